import type { NamedBackend } from "../backends.ts";
import { followClient } from "../client-signal.ts";
import { checkCostLimit, estimateRequest } from "../cost/limit.ts";
import type { DatasetReport } from "../dataset/report.ts";
import { badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import type { Exchange, Query } from "../http/exchange.ts";
import type { Fields, JobRequest } from "../provider.ts";
import { answerWith } from "./answers.ts";

/** Reads `dry_run`, which is `true` or `false`. */
export function readDryRun(query: Query): boolean {
  const text = query.values.get("dry_run");
  if (text === undefined || text === "false") return false;
  if (text === "true") return true;
  throw badRequest(
    `Cannot take "dry_run" as ${JSON.stringify(text.slice(0, 100))}: it must be true or false`,
    "dry_run",
  );
}

/**
 * Answers what a job would be, and what it would cost, without creating it. Throws what the gateway
 * and the provider would refuse; what the service alone can know, only the real call tells.
 */
export async function answerDryRun(
  gateway: Gateway,
  exchange: Exchange,
  backend: NamedBackend,
  request: JobRequest,
): Promise<Response> {
  const signal = followClient(exchange.request.signal, gateway.stopping);
  const unchecked = await checkCostLimit(gateway, backend, request, signal);
  const preview = await backend.jobs.previewJob?.(request, signal);
  const { report, ...estimate } = await estimateRequest(gateway, backend, request, signal);
  const answer = {
    object: "fine_tuning.job.dry_run",
    backend: backend.name,
    request: preview ?? request,
    // False where the provider cannot say what it would send: then it is the request as it came.
    request_is_exact: preview !== undefined,
    training_file: describeFile(request.training_file, report),
    ...estimate,
    cost_limit_usd: gateway.settings.maxJobCostUsd ?? null,
    cost_limit_checked: gateway.settings.maxJobCostUsd !== undefined && unchecked === undefined,
  };
  return answerWith(exchange, answer);
}

function describeFile(id: string, report: DatasetReport | undefined): Fields {
  const { format = null, bytes = null, examples = null, tokens = null } = report ?? {};
  return { id, format, bytes, examples, tokens };
}
