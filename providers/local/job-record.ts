import * as v from "valibot";
import { formatMethod } from "../../src/job-request.ts";
import type { CheckpointFields, Fields, JobFields } from "../../src/provider.ts";
import { formatNumber, readCreatedAt } from "./ids.ts";

const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const settingSchema = v.optional(v.union([v.literal("auto"), v.number()]));

const checkpointSchema = v.object({
  /** Where its line begins in the trainer's output, in bytes: makes its id. */
  offset: countSchema,
  created_at: countSchema,
  step: countSchema,
  path: v.string(),
  metrics: v.record(v.string(), v.number()),
});

const progressSchema = v.object({
  step: countSchema,
  total_steps: countSchema,
  /** When `step` was read, in milliseconds. */
  time: countSchema,
  /** The step and time since which the pace is measured: the first read since start or resume. */
  first_step: countSchema,
  first_time: countSchema,
});

const recordSchema = v.object({
  version: v.literal(1),
  id: v.string(),
  model: v.string(),
  training_file: v.string(),
  validation_file: v.nullable(v.string()),
  suffix: v.nullable(v.string()),
  seed: countSchema,
  /** As requested. */
  method: v.looseObject({
    type: v.picklist(["supervised", "dpo", "reinforcement"]),
    hyperparameters: v.looseObject({
      n_epochs: settingSchema,
      batch_size: settingSchema,
      learning_rate_multiplier: settingSchema,
    }),
  }),
  // No schema of objects: it leaves out keys such as "constructor" without a word.
  metadata: v.nullable(v.custom<Fields>((value) => typeof value === "object" && value !== null)),
  status: v.picklist([
    "validating_files",
    "queued",
    "running",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
  ]),
  error: v.nullable(
    v.object({ code: v.string(), message: v.string(), param: v.nullable(v.string()) }),
  ),
  finished_at: v.nullable(countSchema),
  /** Without `"auto"`: known once the files are validated. */
  hyperparameters: v.nullable(v.looseObject({})),
  /** The name that the model gets if the job succeeds. */
  model_name: v.string(),
  process: v.nullable(v.object({ pid: countSchema, started: v.string() })),
  /** What of the trainer's output is accounted for in this record and its events, in bytes. */
  output: v.object({ offset: countSchema, skipping: v.boolean() }),
  /** How much of `events.jsonl` counts, in bytes. */
  events: v.object({ bytes: countSchema, full: v.boolean() }),
  progress: v.nullable(progressSchema),
  /** The newest three, oldest first. */
  checkpoints: v.array(checkpointSchema),
  /** What the trainer reported at its end; `model` is a path. */
  result: v.nullable(v.object({ trained_tokens: countSchema, model: v.string() })),
  /** The id chosen for the file of results, before there is one. */
  results_file: v.nullable(v.string()),
});

/** A pace of a shorter time is none: output comes in lumps. */
const minimumMilliseconds = 500;

/** All that is known of a job: what `job.json` holds. Times are Unix seconds unless they say so. */
export type JobRecord = Readonly<v.InferOutput<typeof recordSchema>>;

/** A status of a job here. */
export type LocalJobStatus = JobRecord["status"];

/** Why a job failed, in OpenAI's words. */
export type JobError = NonNullable<JobRecord["error"]>;

/** A new job's record: everything that time has yet to bring is empty. */
export function createRecord(
  fields: Pick<
    JobRecord,
    | "id"
    | "model"
    | "training_file"
    | "validation_file"
    | "suffix"
    | "seed"
    | "method"
    | "metadata"
    | "model_name"
  >,
): JobRecord {
  return {
    version: 1,
    ...fields,
    status: "validating_files",
    error: null,
    finished_at: null,
    hyperparameters: null,
    process: null,
    output: { offset: 0, skipping: false },
    events: { bytes: 0, full: false },
    progress: null,
    checkpoints: [],
    result: null,
    results_file: null,
  };
}

/** Reads the text of a `job.json`; throws for one that is damaged or of another version. */
export function parseRecord(text: string): JobRecord {
  return v.parse(recordSchema, JSON.parse(text));
}

/** Whether a job has come to its end. */
export function isOver(record: JobRecord): boolean {
  return ["succeeded", "failed", "cancelled"].includes(record.status);
}

/** The job as OpenAI's API shows it. */
export function toJobFields(record: JobRecord, organization: string): JobFields {
  const { method } = record;
  const succeeded = record.status === "succeeded";
  const hyperparameters = record.hyperparameters ?? {
    n_epochs: "auto",
    batch_size: "auto",
    learning_rate_multiplier: "auto",
    ...method.hyperparameters,
  };
  return {
    id: record.id,
    created_at: readCreatedAt(record.id),
    model: record.model,
    fine_tuned_model: succeeded ? record.model_name : null,
    organization_id: organization,
    status: record.status,
    training_file: record.training_file,
    validation_file: record.validation_file,
    result_files: succeeded && record.results_file !== null ? [record.results_file] : [],
    // OpenAI's API reference: "This value will only be returned when running `supervised` jobs."
    hyperparameters: method.type === "supervised" ? hyperparameters : null,
    method: formatMethod(method, hyperparameters),
    seed: record.seed,
    user_provided_suffix: record.suffix,
    metadata: record.metadata,
    integrations: [],
    error: record.error,
    finished_at: record.finished_at,
    trained_tokens: succeeded ? (record.result?.trained_tokens ?? null) : null,
    estimated_finish: estimateFinish(record),
  };
}

/** The checkpoints of a job as OpenAI's API shows them, newest first. */
export function toCheckpointFields(record: JobRecord): CheckpointFields[] {
  return record.checkpoints.toReversed().map((checkpoint) => ({
    id: `ftckpt_${record.id.slice("ftjob-".length)}${formatNumber(checkpoint.offset, 6)}`,
    created_at: checkpoint.created_at,
    fine_tuned_model_checkpoint: `${record.model_name}:ckpt-step-${checkpoint.step}`,
    fine_tuning_job_id: record.id,
    step_number: checkpoint.step,
    metrics: { step: checkpoint.step, ...checkpoint.metrics } satisfies Fields,
  }));
}

// From the pace of the steps since the trainer was last started or resumed.
function estimateFinish({ status, progress }: JobRecord): number | null {
  if (status !== "running" || progress === null) return null;
  const steps = progress.step - progress.first_step;
  const time = progress.time - progress.first_time;
  if (steps <= 0 || time < minimumMilliseconds) return null;
  const pace = time / steps;
  const left = Math.max(progress.total_steps - progress.step, 0);
  return Math.ceil((progress.time + pace * left) / 1000);
}
