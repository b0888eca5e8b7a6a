import { setTimeout } from "node:timers/promises";
import type { DatasetReport } from "../dataset/report.ts";
import { ApiError, badRequest } from "../errors.ts";
import type { Gateway, GatewaySettings } from "../gateway.ts";
import type { JobRequest } from "../provider.ts";
import type { Reports } from "../reports.ts";
import { methodOf } from "./cost.ts";
import { estimateJob, isCount, type JobEstimate, quote } from "./estimate.ts";
import { findPrice, type PricedBackend } from "./prices.ts";

/** How long a job waits for the tokens of its training file. */
const countingSeconds = 60;
const pollMilliseconds = 250;

/** What of a gateway an estimate needs. */
export interface EstimateParts extends Pick<Gateway, "pricing"> {
  readonly reports: Pick<Reports, "find">;
}

/** An estimate, and the report that it was made of. */
export interface ReportedEstimate extends JobEstimate {
  readonly report: DatasetReport | undefined;
}

/** Estimates a job; waits up to `seconds` for the tokens of its training file. */
export async function estimateRequest(
  gateway: EstimateParts,
  backend: PricedBackend,
  request: JobRequest,
  signal: AbortSignal,
  seconds = countingSeconds,
): Promise<ReportedEstimate> {
  const find = () => gateway.reports.find(backend.name, request.training_file);
  const report = await readCounted(find, seconds, signal);
  return { ...estimateJob(request, report, gateway.pricing, backend), report };
}

/**
 * Refuses a job whose estimate is above `max_job_cost_usd` with a 400, and with one that may be
 * repeated while tokens are still being counted. Returns why the limit could not be checked, where
 * no cost is known; such a job is not refused.
 */
export async function checkCostLimit(
  gateway: EstimateParts & { readonly settings: Pick<GatewaySettings, "maxJobCostUsd"> },
  backend: PricedBackend,
  request: JobRequest,
  signal: AbortSignal,
  seconds = countingSeconds,
): Promise<string | undefined> {
  const limit = gateway.settings.maxJobCostUsd;
  if (limit === undefined) return undefined;
  const price = findPrice(gateway.pricing, backend, request.model, methodOf(request));
  // Without a price the tokens would make no difference.
  const wait = price === undefined ? 0 : seconds;
  const estimate = await estimateRequest(gateway, backend, request, signal, wait);
  refuseAbove(limit, estimate);
  if (estimate.estimated_cost !== null) return undefined;
  if (price !== undefined) refuseOddEpochs(estimate);
  if (price !== undefined && isCounting(estimate.report)) {
    throw new ApiError(
      400,
      `Cannot create the job: the tokens of the file ${quote(request.training_file)} are still being counted, and jobs above $${limit} are refused here; try again`,
      { param: "training_file", code: "file_not_ready", retry: true },
    );
  }
  return estimate.reason ?? undefined;
}

function refuseAbove(limit: number, { estimated_cost, assumptions }: JobEstimate): void {
  if (estimated_cost === null || estimated_cost.usd <= limit) return;
  const { usd, tokens, usd_per_million_tokens } = estimated_cost;
  const said = assumptions.length === 0 ? "" : ` (${assumptions.join("; ")})`;
  throw badRequest(
    `Cannot create the job: it is estimated at $${usd} (${tokens} tokens at $${usd_per_million_tokens} per million), more than the $${limit} that a job may cost here${said}`,
    "training_file",
    "cost_limit_exceeded",
  );
}

/** A service may read `"50"` as a number: what has no estimate for its form alone must not pass. */
function refuseOddEpochs({ hyperparameters: { n_epochs } }: JobEstimate): void {
  if (n_epochs === "auto" || n_epochs === null || isCount(n_epochs)) return;
  throw badRequest(
    'Cannot create the job: "n_epochs" must be "auto" or a whole number above 0, as the cost of a job is limited here',
    "hyperparameters.n_epochs",
    "invalid_type",
  );
}

/** The report of a file once its tokens are counted, or as it is when `seconds` are over. */
async function readCounted(
  find: () => Promise<DatasetReport | undefined>,
  seconds: number,
  signal: AbortSignal,
): Promise<DatasetReport | undefined> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const report = await find();
    const left = end - performance.now();
    if (!isCounting(report) || left <= 0) return report;
    await setTimeout(Math.min(pollMilliseconds, left), undefined, { signal }).catch((error) => {
      signal.throwIfAborted();
      throw error;
    });
  }
}

function isCounting(report: DatasetReport | undefined): boolean {
  return report?.tokens?.status === "counting";
}
