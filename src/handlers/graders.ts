import { requireBackend, unsupported } from "../backends.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readQuery } from "../http/exchange.ts";
import { readJson } from "../http/json.ts";
import { hintedBackend } from "../location.ts";
import { answerWith, changing } from "./answers.ts";

/** POST /fine_tuning/alpha/graders/run */
export async function runGrader(gateway: Gateway, exchange: Exchange): Promise<Response> {
  return await useGrader(gateway, exchange, "runGrader", "run a grader");
}

/** POST /fine_tuning/alpha/graders/validate */
export async function validateGrader(gateway: Gateway, exchange: Exchange): Promise<Response> {
  return await useGrader(gateway, exchange, "validateGrader", "validate a grader");
}

async function useGrader(
  gateway: Gateway,
  exchange: Exchange,
  method: "runGrader" | "validateGrader",
  operation: string,
): Promise<Response> {
  const query = readQuery(exchange);
  const { hint, fields } = await readJson(exchange.request, gateway.settings.idleSeconds);
  const backend =
    hintedBackend(gateway, exchange, query, hint) ??
    requireBackend(gateway.backends, "jobs", method, operation);
  const call = backend.jobs[method]?.(fields, gateway.stopping);
  if (call === undefined) throw unsupported(backend, operation);
  return answerWith(exchange, await changing(call));
}
