import type { FakeAnswer, FakeRequest } from "../server.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  makeToken,
  Refusal,
  readJson,
  requireNoBody,
  takePage,
  withEnds,
} from "./answers.ts";
import { type Files, storeFile } from "./files.ts";
import { JobSchema } from "./job-request.ts";

/** A job object with its events and checkpoints, oldest first. */
export interface StoredJob {
  object: Item;
  readonly events: Item[];
  readonly checkpoints: Item[];
}

/** The jobs of a fake account. */
export type Jobs = Map<string, StoredJob>;

/** Models that can be tuned. */
export const tunableModels = [
  "gpt-4o-mini-2024-07-18",
  "gpt-4.1-mini-2025-04-14",
  "gpt-4.1-2025-04-14",
];

/** Stores a job as if it had been created at `createdAt`, Unix seconds; `fields` override. */
export function storeJob(jobs: Jobs, createdAt: number, fields: Record<string, unknown>): Item {
  const object: Item = {
    object: "fine_tuning.job",
    model: tunableModels[0],
    fine_tuned_model: null,
    organization_id: "org-fake",
    result_files: [],
    status: "validating_files",
    training_file: "file-fake",
    validation_file: null,
    hyperparameters: { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" },
    trained_tokens: null,
    error: {},
    user_provided_suffix: null,
    seed: 683_058_546,
    estimated_finish: null,
    integrations: [],
    metadata: null,
    usage_metrics: null,
    shared_with_openai: false,
    finished_at: null,
    ...fields,
    id: `ftjob-${makeToken(24)}`,
    created_at: createdAt,
  };
  const job = { object, events: [], checkpoints: [] };
  jobs.set(object.id, job);
  addEvent(job, createdAt, `Created fine-tuning job: ${object.id}`);
  addEvent(job, createdAt, `Validating training file: ${object.training_file}`);
  return object;
}

function addEvent(job: StoredJob, createdAt: number, message: string, data?: object): void {
  job.events.push({
    object: "fine_tuning.job.event",
    id: `ftevent-${makeToken(24)}`,
    created_at: createdAt,
    level: "info",
    message,
    data: data ?? {},
    type: data === undefined ? "message" : "metrics",
  });
}

/** `POST /fine_tuning/jobs`. */
export function createJob(jobs: Jobs, files: Files, now: number, request: FakeRequest): FakeAnswer {
  const fields = readJson(request, JobSchema);
  const { suffix, ...rest } = fields;
  if (!tunableModels.includes(fields.model) && !fields.model.startsWith("ft:")) {
    throw new Refusal(
      400,
      `Model ${fields.model} is not available for fine-tuning or does not exist.`,
      { param: "model", code: "model_not_available" },
    );
  }
  for (const param of ["training_file", "validation_file"] as const) {
    const id = fields[param];
    if (id && files.get(id)?.object.purpose !== "fine-tune") {
      throw new Refusal(400, `invalid ${param}: ${id}`, { param });
    }
  }
  const hyperparameters = {
    n_epochs: "auto",
    batch_size: "auto",
    learning_rate_multiplier: "auto",
    ...fields.hyperparameters,
    ...fields.method?.supervised?.hyperparameters,
  };
  const type = fields.method?.type ?? "supervised";
  return answerJson(
    storeJob(jobs, now, {
      method: { type: "supervised", supervised: { hyperparameters } },
      ...rest,
      hyperparameters: type === "supervised" ? hyperparameters : null,
      seed: fields.seed ?? 683_058_546,
      validation_file: fields.validation_file ?? null,
      integrations: fields.integrations ?? [],
      metadata: fields.metadata ?? null,
      user_provided_suffix: suffix ?? null,
    }),
  );
}

/** Takes a job to a later status, with the events, checkpoints and files that belong to it. */
export function advanceJob(job: StoredJob, files: Files, now: number, status: string): Item {
  const { object } = job;
  if (status === "running") {
    addEvent(job, now, "Files validated, moving job to queued state");
    addEvent(job, now, "Fine-tuning job started");
    object.estimated_finish = now + 600;
  }
  if (status === "failed") {
    object.error = {
      code: "invalid_n_examples",
      param: "training_file",
      message: "Training file has 7 example(s), but must have at least 10 examples",
    };
  }
  if (status === "succeeded") finishJob(job, files, now);
  if (["succeeded", "failed", "cancelled"].includes(status)) {
    object.finished_at = now;
    object.estimated_finish = null;
  }
  object.status = status;
  return object;
}

function finishJob(job: StoredJob, files: Files, now: number): void {
  const { object } = job;
  const model = `ft:${object.model}:fake:${object.user_provided_suffix ?? ""}:${makeToken(8)}`;
  const rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"];
  for (let step = 1; step <= 9; step += 1) {
    const loss = Number((2 / step).toFixed(5));
    addEvent(job, now + step, `Step ${step}/9: training loss=${loss}`, {
      step,
      train_loss: loss,
      total_steps: 9,
      train_mean_token_accuracy: 0.5,
    });
    rows.push(`${step},${loss},0.5,,`);
    if (step % 3 === 0)
      addCheckpoint(job, now + step, step, loss, step === 9 ? model : `${model}:ckpt-step-${step}`);
  }
  addEvent(job, now + 10, "New fine-tuned model created");
  addEvent(job, now + 10, "The job has successfully completed");
  const result = storeFile(files, now + 10, {
    filename: "step_metrics.csv",
    purpose: "fine-tune-results",
    content: Buffer.from(`${rows.join("\n")}\n`),
  });
  object.fine_tuned_model = model;
  object.result_files = [result.id];
  object.trained_tokens = 5768;
}

function addCheckpoint(
  job: StoredJob,
  createdAt: number,
  step: number,
  loss: number,
  model: string,
): void {
  job.checkpoints.push({
    object: "fine_tuning.job.checkpoint",
    id: `ftckpt_${makeToken(24)}`,
    created_at: createdAt,
    fine_tuned_model_checkpoint: model,
    fine_tuning_job_id: job.object.id,
    metrics: { step, train_loss: loss, train_mean_token_accuracy: 0.5 },
    step_number: step,
  });
  addEvent(job, createdAt, `Checkpoint created at step ${step}`);
}

// What each command is allowed in, and where it leads.
const commands: Readonly<Record<string, { from: readonly string[]; to: string }>> = {
  cancel: { from: ["validating_files", "queued", "running", "pausing", "paused"], to: "cancelled" },
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "queued" },
};

/** Routes below `/fine_tuning/jobs/{id}`; `rest` is what follows the id. */
export function answerJob(
  jobs: Jobs,
  files: Files,
  now: number,
  request: FakeRequest,
  id: string,
  rest: string,
): FakeAnswer | undefined {
  const command = request.method === "POST" ? commands[rest] : undefined;
  const read = request.method === "GET" && ["", "events", "checkpoints"].includes(rest);
  if (command === undefined && !read) return undefined;
  requireNoBody(request);
  checkQuery(request, rest === "events" || rest === "checkpoints" ? ["after", "limit"] : []);
  const job = jobs.get(id);
  if (job === undefined) {
    throw new Refusal(404, `Could not find fine tune: ${id}`, {
      param: "fine_tune_id",
      code: "fine_tune_not_found",
    });
  }
  if (command !== undefined) {
    const { status } = job.object;
    if (!command.from.includes(String(status))) {
      throw new Refusal(400, `Cannot ${rest} job ${id}: its status is ${status}.`);
    }
    return answerJson(advanceJob(job, files, now, command.to));
  }
  if (rest === "events") {
    return answerJson({
      object: "list",
      ...takePage(request, job.events, { limit: 20, most: 1000 }),
    });
  }
  if (rest === "checkpoints") {
    const page = takePage(request, job.checkpoints, { limit: 10, most: 1000 });
    return answerJson({ object: "list", ...withEnds(page) });
  }
  return answerJson(job.object);
}

/** `GET /fine_tuning/jobs`. */
export function listJobs(jobs: Jobs, request: FakeRequest): FakeAnswer {
  requireNoBody(request);
  checkQuery(request, ["after", "limit", "metadata"]);
  const { query } = request;
  const wanted = [...query].flatMap(([name, value]) => {
    const key = /^metadata\[(.*)\]$/.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  if (query.has("metadata") && query.get("metadata") !== "null") {
    throw new Refusal(400, "Invalid 'metadata'.", { param: "metadata" });
  }
  const items = [...jobs.values()]
    .map(({ object }) => object)
    .filter(({ metadata }) => {
      if (query.has("metadata")) return metadata === null;
      const pairs = new Map(Object.entries(metadata ?? {}));
      return wanted.every(([key, value]) => pairs.get(key) === value);
    });
  return answerJson({ object: "list", ...takePage(request, items, { limit: 20, most: 1000 }) });
}
