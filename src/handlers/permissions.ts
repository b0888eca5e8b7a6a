import { backendsWith, type NamedBackend, requireBackend, unsupported } from "../backends.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, type Query, readQuery } from "../http/exchange.ts";
import { readHint, readJson } from "../http/json.ts";
import { hintedBackend, locateModel } from "../location.ts";
import { answerWith, changing } from "./answers.ts";

/** GET /fine_tuning/checkpoints/{model}/permissions */
export async function listPermissions(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange, ["project_id", "after", "limit", "order"]);
  const [model = ""] = exchange.ids;
  const backend = await locatePermissions(gateway, exchange, query);
  const { listCheckpointPermissions } = backend.jobs;
  if (listCheckpointPermissions === undefined) throw unsupported(backend, "list permissions");
  const { signal } = exchange.request;
  return answerWith(
    exchange,
    await listCheckpointPermissions.call(
      backend.jobs,
      model,
      Object.fromEntries(query.values),
      signal,
    ),
  );
}

/** POST /fine_tuning/checkpoints/{model}/permissions */
export async function createPermissions(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange);
  const { hint, fields } = await readJson(exchange.request, gateway.settings.idleSeconds);
  const [model = ""] = exchange.ids;
  const backend = await locatePermissions(gateway, exchange, query, hint);
  const call = backend.jobs.createCheckpointPermissions?.(model, fields, gateway.stopping);
  if (call === undefined) throw unsupported(backend, "create permissions");
  return answerWith(exchange, await changing(call));
}

/** DELETE /fine_tuning/checkpoints/{model}/permissions/{id} */
export async function deletePermission(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange);
  const [model = "", id = ""] = exchange.ids;
  const { idleSeconds } = gateway.settings;
  const hint = await readHint(exchange.request, idleSeconds, "delete a permission");
  const backend = await locatePermissions(gateway, exchange, query, hint);
  const call = backend.jobs.deleteCheckpointPermission?.(model, id, gateway.stopping);
  if (call === undefined) throw unsupported(backend, "delete a permission");
  return answerWith(exchange, await changing(call));
}

/** Permissions belong to a model, so the backend that knows the model has them. */
async function locatePermissions(
  gateway: Gateway,
  exchange: Exchange,
  query: Query,
  bodyHint?: string,
): Promise<NamedBackend> {
  const hint = hintedBackend(gateway, exchange, query, bodyHint);
  if (hint !== undefined) return hint;
  const first = requireBackend(
    gateway.backends,
    "jobs",
    "listCheckpointPermissions",
    "use permissions",
  );
  const able = backendsWith(gateway.backends, "jobs", "listCheckpointPermissions");
  if (able.length === 1) return first;
  const { signal } = exchange.request;
  return (await locateModel(gateway, exchange.ids[0] ?? "", able, signal)).backend;
}
