import type { Gateway } from "../gateway.ts";
import type { Exchange } from "../http/exchange.ts";
import { jsonResponse } from "../http/responses.ts";

/** GET /health/liveliness and /health/liveness, as LiteLLM answers it */
export function getLiveness(_gateway: Gateway, exchange: Exchange): Response {
  return jsonResponse("I'm alive!", exchange.requestId);
}

/** GET /health/readiness: 503 where the ledger cannot be read */
export async function getReadiness(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const ready = await gateway.ledger.ping().then(
    () => true,
    () => false,
  );
  const body = {
    status: ready ? "ready" : "not ready",
    version: gateway.settings.version,
    ledger: ready ? "ok" : "unreadable",
    backends: gateway.backends.all.map(({ name, provider }) => ({ name, provider })),
  };
  return jsonResponse(body, exchange.requestId, {}, ready ? 200 : 503);
}
