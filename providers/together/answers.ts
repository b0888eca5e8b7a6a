import { createHash } from "node:crypto";
import * as v from "valibot";
import { formatMethod } from "../../src/job-request.ts";
import type {
  CheckpointFields,
  EventFields,
  Fields,
  FileFields,
  JobFields,
} from "../../src/provider.ts";
import { FileObject } from "../../src/upstream/objects.ts";
import { roundRate, type Settings } from "./options.ts";

const Text = v.nullish(v.string());
const Count = v.nullish(v.number());

/** Reads a time of RFC 3339 as Unix milliseconds; the service leaves out the zone at times. */
const Time = v.pipe(
  v.string(),
  v.transform((text) => Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)),
  v.number(),
);

/** Reads a file. */
export const TogetherFile = v.looseObject({
  ...FileObject.entries,
  Processed: v.nullish(v.boolean()),
});

/** Reads the names of the models that can be tuned. */
export const ModelList = v.looseObject({ models: v.array(v.string()) });

/** Reads an event; its time becomes Unix milliseconds. */
export const TogetherEvent = v.looseObject({
  created_at: Time,
  level: Text,
  message: Text,
  type: Text,
  step: Count,
  total_steps: Count,
});

/** Reads a job, of which the create call and lists tell less; its times become Unix milliseconds. */
export const TogetherJob = v.looseObject({
  id: v.pipe(v.string(), v.nonEmpty()),
  created_at: Time,
  // Go's servers write "" or the year 1 for a time that is not known.
  updated_at: v.fallback(v.nullish(Time), null),
  status: v.string(),
  model: Text,
  from_checkpoint: Text,
  training_file: Text,
  validation_file: Text,
  model_output_name: Text,
  suffix: Text,
  token_count: Count,
  random_seed: Count,
  n_epochs: Count,
  batch_size: v.nullish(v.union([v.number(), v.string()])),
  learning_rate: Count,
  training_method: v.nullish(v.looseObject({ method: v.string(), dpo_beta: Count })),
  // Wanted for the reason of a failure alone, so that an odd one must not hide the job.
  events: v.fallback(v.nullish(v.array(TogetherEvent)), null),
});

/** Reads a checkpoint; its time becomes Unix milliseconds. */
export const Checkpoint = v.looseObject({
  created_at: Time,
  step: v.pipe(v.number(), v.integer()),
  checkpoint_type: v.string(),
  object_name: Text,
});

type TogetherEvent = v.InferOutput<typeof TogetherEvent>;
type TogetherJob = v.InferOutput<typeof TogetherJob>;
type Checkpoint = v.InferOutput<typeof Checkpoint>;

/** A file of the contract; `processed` once the service has looked at its examples. */
export function formatFile(file: v.InferOutput<typeof TogetherFile>): FileFields {
  return { ...file, status: file.Processed === false ? "uploaded" : "processed" };
}

const statuses = new Map([
  ["pending", "queued"],
  ["queued", "queued"],
  ["running", "running"],
  ["compressing", "running"],
  ["uploading", "running"],
  // It goes on, and is billed, until it is cancelled.
  ["cancel_requested", "running"],
  ["cancelled", "cancelled"],
  ["error", "failed"],
  ["user_error", "failed"],
  ["completed", "succeeded"],
]);

/** A job of the contract, with `total_price` and `token_count` as the service tells them. */
export function formatJob(job: TogetherJob, settings: Settings): JobFields {
  const status = statuses.get(job.status) ?? job.status;
  const succeeded = status === "succeeded";
  const isOver = succeeded || status === "failed" || status === "cancelled";
  const { total_price, token_count, updated_at } = job;
  return {
    id: job.id,
    created_at: toSeconds(job.created_at),
    model: job.model || job.from_checkpoint || "",
    status,
    training_file: job.training_file ?? "",
    validation_file: job.validation_file || null,
    // The name is told from the start, the model is there at the end.
    fine_tuned_model: succeeded ? job.model_output_name || null : null,
    finished_at: isOver && updated_at && updated_at > 0 ? toSeconds(updated_at) : null,
    trained_tokens: succeeded ? token_count || null : null,
    error: status === "failed" ? formatError(job) : null,
    user_provided_suffix: job.suffix || null,
    method: formatTraining(job, settings),
    ...dropAbsent({ seed: job.random_seed, total_price, token_count }),
  };
}

function formatTraining(job: TogetherJob, settings: Settings): Fields {
  const { n_epochs, batch_size, learning_rate, training_method } = job;
  const { method = "sft", dpo_beta: beta } = training_method ?? {};
  const hyperparameters = dropAbsent({
    n_epochs,
    batch_size: typeof batch_size === "string" ? "auto" : batch_size,
    learning_rate_multiplier: learning_rate && roundRate(learning_rate / settings.learning_rate),
    beta,
  });
  return formatMethod({ type: method === "sft" ? "supervised" : method, hyperparameters });
}

// A job says only that it failed; the reason is in its events, where it has them with it.
function formatError({ status, events }: TogetherJob): Fields {
  const failure = (events ?? []).findLast(({ type }) => /error/i.test(type ?? ""));
  const message = failure?.message || `The job ended as "${status}"; its events tell more`;
  return { code: status, message, param: null };
}

const levels = new Map([
  ["", "info"],
  ["legacy_info", "info"],
  ["warning", "warn"],
  ["legacy_iwarning", "warn"],
  ["legacy_ierror", "error"],
]);

/** The events of a job, the newest first, with ids that stay the same. */
export function formatEvents(
  jobId: string,
  events: readonly TogetherEvent[],
): readonly EventFields[] {
  const makeId = makeNamer("ftevent", jobId);
  const sorted = events.toSorted((one, other) => one.created_at - other.created_at);
  const formatted = sorted.map(({ created_at, type, message, step, total_steps, ...event }) => {
    const level = (event.level ?? "").toLowerCase();
    return {
      id: makeId(created_at, type, message, step),
      created_at: toSeconds(created_at),
      level: levels.get(level) ?? level,
      message: message || type || "The service says nothing of this event",
      data: dropAbsent({ type, step, total_steps }),
    };
  });
  return formatted.reverse();
}

/** The checkpoints of a job, the newest first, with ids that stay the same. */
export function formatCheckpoints(
  jobId: string,
  checkpoints: readonly Checkpoint[],
): readonly CheckpointFields[] {
  const makeId = makeNamer("ftckpt", jobId);
  return checkpoints
    .toSorted((one, other) => other.created_at - one.created_at || other.step - one.step)
    .map(({ created_at, step, checkpoint_type, object_name }) => ({
      id: makeId(step, checkpoint_type),
      created_at: toSeconds(created_at),
      // Without a name of its own, what a new job can continue from; 0 stands for the end.
      fine_tuned_model_checkpoint: object_name || (step === 0 ? jobId : `${jobId}:${step}`),
      step_number: step,
      metrics: {},
      checkpoint_type,
    }));
}

/** Names what the service gives no id, by what stays the same of it; equals are counted. */
function makeNamer(prefix: string, jobId: string): (...lasting: unknown[]) => string {
  const counts = new Map<string, number>();
  return (...lasting) => {
    const text = JSON.stringify([jobId, ...lasting]);
    const count = counts.get(text) ?? 0;
    counts.set(text, count + 1);
    const digest = createHash("sha256").update(`${count}${text}`).digest("hex");
    return `${prefix}-${digest.slice(0, 24)}`;
  };
}

function dropAbsent(fields: Fields): Fields {
  const given = ([, value]: readonly [string, unknown]) => value !== undefined && value !== null;
  return Object.fromEntries(Object.entries(fields).filter(given));
}

function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
