import { backendsWith, unsupported } from "../backends.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readQuery } from "../http/exchange.ts";
import { readPage, type Source } from "../lists.ts";
import { hintedBackend, locateModel } from "../location.ts";
import { completeModel } from "../objects.ts";
import type { ModelFields } from "../provider.ts";
import { answerList, answerWith } from "./answers.ts";

/** GET /models */
export async function listModels(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const able = hint === undefined ? backendsWith(gateway.backends, "jobs", "listModels") : [hint];
  const sources = able.map((backend): Source<ModelFields & { created_at: number }> => {
    const list = backend.jobs.listModels?.bind(backend.jobs);
    if (list === undefined) throw unsupported(backend, "list models");
    return {
      backend: backend.name,
      startsAfter: false,
      // Models have no common order: those of a backend stay together, in its own.
      read: async function* (_page, signal) {
        for await (const model of list(signal)) yield { ...model, created_at: 0 };
      },
    };
  });
  const { listTimeoutSeconds: timeoutSeconds } = gateway.settings;
  const everything = { limit: Number.POSITIVE_INFINITY, order: "desc", after: undefined } as const;
  const page = await readPage(sources, { ...everything, timeoutSeconds }, exchange.request.signal);
  const complete = (
    { created_at: _, ...model }: ModelFields & { created_at: number },
    name: string,
  ) => completeModel(model, name);
  return answerList(gateway, exchange, page, { complete, ends: false });
}

/** GET /models/{id} */
export async function getModel(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const candidates = hint === undefined ? gateway.backends.all : [hint];
  const { signal } = exchange.request;
  const { backend, found } = await locateModel(gateway, exchange.ids[0] ?? "", candidates, signal);
  return answerWith(exchange, completeModel(found, backend.name), found);
}
