import * as v from "valibot";
import { badRequest } from "../../src/errors.ts";
import { formatMethod } from "../../src/job-request.ts";
import type { EventFields, Fields, JobFields } from "../../src/provider.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { pathOf, Status, Text, Time, toSeconds } from "./account.ts";
import type { JobKind } from "./request.ts";

// What ProtoJSON leaves out, or writes as null or as the empty value of its type.
const Count = v.nullish(v.number(), 0);
const trainingEntries = {
  baseModel: Text,
  warmStartFrom: Text,
  outputModel: Text,
  epochs: Count,
  batchSizeSamples: Count,
  learningRate: Count,
  loraRank: Count,
  maxContextLength: Count,
};
const jobEntries = {
  name: v.pipe(v.string(), v.regex(/^accounts\/[^/]+\/[^/]+\/[\w.-]{1,200}$/)),
  createTime: Time,
  completedTime: v.nullish(Time),
  displayName: Text,
  dataset: Text,
  state: v.nullish(v.string(), "JOB_STATE_UNSPECIFIED"),
  status: Status,
};

/** Reads a supervised job. */
export const SupervisedJob = v.pipe(
  v.object({
    ...jobEntries,
    ...trainingEntries,
    evaluationDataset: Text,
    estimatedCost: v.nullish(AnyObject),
  }),
  v.transform((job): FireworksJob => ({ ...job, kind: "sft" })),
);

/** Reads a DPO job. */
export const DpoJob = v.pipe(
  v.object({ ...jobEntries, trainingConfig: v.nullish(v.object(trainingEntries), {}) }),
  v.transform(
    ({ trainingConfig, ...job }): FireworksJob => ({
      ...trainingConfig,
      ...job,
      kind: "dpo",
      evaluationDataset: "",
    }),
  ),
);

type Entries = v.InferOutput<v.ObjectSchema<typeof jobEntries & typeof trainingEntries, undefined>>;

/** A job of either kind; the times are milliseconds, and what is empty or 0 was not said. */
export interface FireworksJob extends Entries {
  readonly kind: JobKind;
  readonly evaluationDataset: string;
  readonly estimatedCost?: Fields | null | undefined;
}

// A state that is newer than this list passes as it is spelled.
const statuses = new Map([
  // ProtoJSON's default, in effect: the service has not decided yet.
  ["JOB_STATE_UNSPECIFIED", "queued"],
  ["JOB_STATE_CREATING", "queued"],
  ["JOB_STATE_PENDING", "queued"],
  ["JOB_STATE_RE_QUEUEING", "queued"],
  ["JOB_STATE_VALIDATING", "validating_files"],
  ["JOB_STATE_CREATING_INPUT_DATASET", "validating_files"],
  ["JOB_STATE_RUNNING", "running"],
  ["JOB_STATE_IDLE", "running"],
  ["JOB_STATE_ROLLOUT", "running"],
  ["JOB_STATE_EVALUATION", "running"],
  ["JOB_STATE_WRITING_RESULTS", "running"],
  // Until it has ended a job may run, and cost.
  ["JOB_STATE_CANCELLING", "running"],
  ["JOB_STATE_PAUSED", "paused"],
  ["JOB_STATE_COMPLETED", "succeeded"],
  // Deprecated: the job has stopped where the validation loss no longer fell.
  ["JOB_STATE_EARLY_STOPPED", "succeeded"],
  ["JOB_STATE_FAILED", "failed"],
  ["JOB_STATE_EXPIRED", "failed"],
  ["JOB_STATE_CANCELLED", "cancelled"],
]);
const goneStates = [
  ...["JOB_STATE_DELETING", "JOB_STATE_DELETING_CLEANING_UP"],
  ...["JOB_STATE_DELETED", "JOB_STATE_ARCHIVED"],
];

/** Whether a job is deleted, although the API still shows it. */
export function isGone({ state }: FireworksJob): boolean {
  return goneStates.includes(state);
}

/** Whether nothing more can come of a job. */
export function isFinal({ state }: FireworksJob): boolean {
  return ["succeeded", "failed", "cancelled"].includes(statuses.get(state) ?? "");
}

/** The id of a job: `ftjob-sft-…` or `ftjob-dpo-…`. */
function jobIdOf({ kind, name }: FireworksJob): string {
  return `ftjob-${kind}-${pathOf(name).at(-1)}`;
}

/**
 * The id of a file: that of the dataset, behind the id of its account where that is another. Empty
 * for what is no name of a dataset.
 */
function fileIdOf(dataset: string, account: string): string {
  const [, owner, id] = /^accounts\/([\w-]+)\/datasets\/([\w.-]+)$/.exec(dataset) ?? [];
  if (id === undefined) return "";
  return `accounts/${owner}` === account ? id : `${owner}:${id}`;
}

/** Reads what `fileIdOf` made with the same `account`; a 400 that names `param` for other text. */
export function datasetOf(id: string, account: string, param: string): string {
  const [, owner, dataset] = /^(?:([\w-]{1,63}):)?([a-zA-Z][\w.-]{0,126})$/.exec(id) ?? [];
  if (dataset === undefined) {
    throw badRequest(`Cannot create job: "${id.slice(0, 100)}" is no id of a file`, param);
  }
  return `${owner === undefined ? account : `accounts/${owner}`}/datasets/${dataset}`;
}

/** A job in OpenAI's words. */
export function translateJob(job: FireworksJob, account: string): JobFields {
  const status = statuses.get(job.state) ?? job.state;
  const hyperparameters = {
    n_epochs: job.epochs || "auto",
    batch_size: job.batchSizeSamples || "auto",
    learning_rate_multiplier: "auto",
    ...(job.kind === "dpo" && { beta: "auto" }),
  };
  const type = job.kind === "dpo" ? "dpo" : "supervised";
  return {
    id: jobIdOf(job),
    created_at: toSeconds(job.createTime),
    finished_at: isFinal(job) && job.completedTime ? toSeconds(job.completedTime) : null,
    estimated_finish: null,
    model: job.warmStartFrom || job.baseModel,
    fine_tuned_model: status === "succeeded" ? modelOf(job, account) : null,
    organization_id: account,
    status,
    error: describeError(job),
    training_file: fileIdOf(job.dataset, account),
    validation_file: fileIdOf(job.evaluationDataset, account) || null,
    result_files: [],
    trained_tokens: null,
    ...(job.kind === "sft" && { hyperparameters }),
    method: formatMethod({ type, hyperparameters }),
    user_provided_suffix: job.displayName || null,
    learning_rate: job.learningRate || null,
    lora_rank: job.loraRank || null,
    max_context_length: job.maxContextLength || null,
    ...(job.estimatedCost && { estimated_cost: job.estimatedCost }),
  };
}

/** The API's reference: the id of the job is that of its model if the request names none. */
function modelOf({ name, outputModel }: FireworksJob, account: string): string {
  const model = outputModel || `${pathOf(name).at(-1)}`;
  return model.includes("/") ? model : `${account}/models/${model}`;
}

function describeError({ state, status }: FireworksJob): Fields | null {
  if (statuses.get(state) !== "failed") return null;
  const expired = state === "JOB_STATE_EXPIRED";
  const usual = expired ? "The job expired before it had ended" : "Fireworks AI gives no reason";
  const { code = "OK", message = "" } = status ?? {};
  return {
    code: code === "OK" ? (expired ? "expired" : "unknown") : code.toLowerCase(),
    message: message || usual,
    param: null,
  };
}

/**
 * The events of a job, newest first, made of the two times that the API tells of it: it has no
 * events. An id names the job and what happened, so that it is the same in every answer.
 */
export function listEvents(job: FireworksJob, account: string): readonly EventFields[] {
  const id = jobIdOf(job);
  const make = (time: number, key: string, message: string, level = "info"): EventFields => ({
    id: `${id.replace(/^ftjob-/, "ftevent-")}-${key}`,
    created_at: toSeconds(time),
    level,
    message,
  });
  const created = make(job.createTime, "created", `Created fine-tuning job: ${id}`);
  const { completedTime: end } = job;
  if (!isFinal(job) || !end) return [created];
  const error = describeError(job);
  if (error !== null) {
    return [make(end, "failed", `The job has failed: ${error.message}`, "error"), created];
  }
  const { fine_tuned_model: model } = translateJob(job, account);
  if (!model) return [make(end, "cancelled", "The job has been cancelled"), created];
  return [
    make(end, "succeeded", "The job has successfully completed"),
    make(end, "model", `New fine-tuned model created: ${model}`),
    created,
  ];
}
