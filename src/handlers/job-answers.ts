import type { NamedBackend } from "../backends.ts";
import { addCost, findActualCost } from "../cost/cost.ts";
import type { Gateway } from "../gateway.ts";
import type { Exchange } from "../http/exchange.ts";
import { completeJob } from "../objects.ts";
import type { Fields, JobFields } from "../provider.ts";
import { answerWith } from "./answers.ts";

/** OpenAI's job object, with what the job has cost once that is known. */
export function showJob(gateway: Gateway, backend: NamedBackend, job: JobFields): Fields {
  return addCost(completeJob(job), findActualCost(gateway.pricing, backend, job));
}

/** Answers with one job, under the request id of the upstream call that gave it. */
export function answerJob(
  gateway: Gateway,
  exchange: Exchange,
  backend: NamedBackend,
  job: JobFields,
): Response {
  return answerWith(exchange, showJob(gateway, backend, job), job);
}

/** Says in the answer and in the log that a job was created whose cost limit could not be checked. */
export function warnUnchecked(
  { log }: Gateway,
  { id }: JobFields,
  reason: string,
  response: Response,
): Response {
  log.write("warn", "A job was created without a check of its cost", { job: id, reason });
  // Without the reason, which may hold what no header can.
  const text = "max_job_cost_usd was not checked: the cost of the job is not known";
  response.headers.set("warning", `199 tunegate "${text}"`);
  return response;
}
