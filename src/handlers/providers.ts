import type { NamedBackend } from "../backends.ts";
import { summarizeBackend } from "../capabilities.ts";
import { badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readQuery } from "../http/exchange.ts";
import { hintedBackend, withinSignal } from "../location.ts";
import { answerWith } from "./answers.ts";

const maxModels = 1000;

/** GET /providers: what each backend can do; with `include=models` also what can be tuned there. */
export async function listProviders(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange, ["include"]);
  const include = query.values.get("include");
  if (include !== undefined && include !== "models") {
    throw badRequest('Cannot include that: "include" must be "models"', "include");
  }
  const hint = hintedBackend(gateway, exchange, query);
  const backends = hint === undefined ? gateway.backends.all : [hint];
  const data = await Promise.all(
    backends.map(async (backend) => {
      const provider = gateway.pricing.providers[backend.provider];
      const summary = summarizeBackend(backend, provider ?? {});
      if (include === undefined) return summary;
      return { ...summary, models: await readModels(gateway, exchange, backend) };
    }),
  );
  return answerWith(exchange, { object: "list", data, has_more: false });
}

/** The ids of a backend's models; null where it has no such list, or cannot give it in time. */
async function readModels(
  { settings, log }: Gateway,
  { request }: Exchange,
  { name, jobs }: NamedBackend,
): Promise<readonly string[] | null> {
  if (jobs.listModels === undefined) return null;
  const late = AbortSignal.timeout(settings.listTimeoutSeconds * 1000);
  const signal = AbortSignal.any([request.signal, late]);
  try {
    return await withinSignal(collectIds(jobs.listModels(signal)), signal);
  } catch (error) {
    request.signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    log.write("warn", "The models of a backend cannot be listed", { backend: name, reason });
    return null;
  }
}

async function collectIds(models: AsyncIterable<{ readonly id: string }>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of models) if (ids.push(id) >= maxModels) break;
  return ids;
}
