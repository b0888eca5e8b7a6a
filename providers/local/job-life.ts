import { type ApiError, badRequest } from "../../src/errors.ts";
import { formatMethod } from "../../src/job-request.ts";
import type { Runtime } from "../../src/provider.ts";
import type { ActiveJob } from "./active-job.ts";
import { createMessage, type NewEvent } from "./event-log.ts";
import type { FileStore } from "./file-store.ts";
import { createId } from "./ids.ts";
import type { JobError, JobRecord } from "./job-record.ts";
import type { JobStore } from "./job-store.ts";
import { createResults } from "./results.ts";
import type { Mask } from "./secrets.ts";
import { judgeEnd } from "./trainer-end.ts";
import { applyOutput, readOutput } from "./trainer-output.ts";
import { startTrainer, type TrainerEnd, type TrainerProcess } from "./trainer-process.ts";
import { type ValidationOutcome, validateFiles } from "./validation.ts";

// What happens to one job, step by step. Each step commits its record and events together, and may
// be repeated after a crash at any moment. All but `validateJob` and `followJob` expect to be run
// by `job.exclusive`.

/** What a client can ask of a job that exists. */
export type JobAction = "cancel" | "pause" | "resume";

/** What the steps of a job work with. */
export interface JobContext {
  readonly jobs: JobStore;
  readonly files: FileStore;
  /** The words that start the trainer. */
  readonly trainer: readonly string[];
  /** How long a cancelled trainer may take to end before it is killed, in milliseconds. */
  readonly grace: number;
  readonly secrets: readonly string[];
  /** Takes the secrets out of what a trainer wrote. */
  readonly mask: Mask;
  readonly log: Runtime["log"];
}

/** Takes a job from `validating_files` to `queued`, or to its end. */
export async function validateJob(job: ActiveJob, context: JobContext): Promise<void> {
  const paths = context.jobs.paths(job.id);
  const { signal } = job.validation;
  if (job.cancelled) return await job.exclusive(() => recordCancel(job, context));
  let outcome: ValidationOutcome;
  try {
    outcome = await validateFiles(job.record, paths, signal);
  } catch (error) {
    if (signal.aborted) return;
    context.log("error", `Cannot validate the files of job "${job.id}"`, { error: String(error) });
    const message = "The files could not be read; the gateway's log says why";
    outcome = { error: { code: "server_error", message, param: null } };
  }
  await job.exclusive(async () => {
    if (job.record.status !== "validating_files") return;
    if ("error" in outcome) {
      const { error } = outcome;
      const cause =
        error.param === null ? "" : ` due to an invalid ${error.param.replace("_", " ")}`;
      await fail(job, context, error, `The job failed${cause}. ${error.message}`);
    } else {
      const message = "Files validated, moving job to queued state";
      const { hyperparameters } = outcome;
      await commit(job, context, { status: "queued", hyperparameters }, [
        createMessage("info", message),
      ]);
    }
  });
}

/**
 * Starts the trainer of a queued job, unless one was taken up that an earlier process started but
 * had no time to note; does nothing for a job that is not queued.
 */
export async function startJob(job: ActiveJob, context: JobContext): Promise<void> {
  if (job.cancelled) return await recordCancel(job, context);
  if (job.record.status !== "queued") return;
  job.trainer ??= await spawnTrainer(job, context);
  if (job.trainer === undefined) return;
  await commit(job, context, { status: "running", process: job.trainer.identity }, [
    createMessage("info", "Fine-tuning job started"),
  ]);
}

/** Reads what the trainer of a job has printed since, and its end; true once it has ended. */
export async function followJob(job: ActiveJob, context: JobContext): Promise<boolean> {
  const { trainer } = job;
  if (trainer === undefined) return true;
  // Asked before reading: whatever the trainer printed is there then.
  const end = trainer.getEnd();
  if (end === undefined) {
    while (await job.exclusive(() => readFurther(job, context, false)));
    return false;
  }
  // Nothing that the trainer started outlives it.
  trainer.sendSignal("SIGKILL");
  await job.exclusive(() => conclude(job, context, end));
  job.trainer = undefined;
  return true;
}

/**
 * Ends a job that is not over. Its trainer is asked to end, and killed if it does not. Where the
 * record cannot be written that happens all the same, and the record follows when it can.
 */
export async function cancelJob(job: ActiveJob, context: JobContext): Promise<void> {
  if (job.isOver) throw refuseAction("cancel", job.record);
  job.cancelled = true;
  try {
    await recordCancel(job, context);
  } finally {
    job.validation.abort();
    endTrainer(job, context);
  }
}

/** Asks the trainer of a cancelled job to end, with a time after which it is killed. */
export function endTrainer(job: ActiveJob, context: JobContext): void {
  job.killAt ??= Date.now() + context.grace;
  job.trainer?.sendSignal("SIGTERM");
  // One that is stopped takes note of the signal only when it goes on.
  job.trainer?.sendSignal("SIGCONT");
}

/** Kills the trainer of a cancelled job, and all that it started, when its time has run out. */
export function killOverdue(job: ActiveJob): void {
  if (job.killAt !== undefined && Date.now() >= job.killAt) job.trainer?.sendSignal("SIGKILL");
}

/** Stops the trainer of a running job where it stands; it keeps its memory and its slot. */
export async function pauseJob(job: ActiveJob, context: JobContext): Promise<void> {
  if (job.record.status !== "running") throw refuseAction("pause", job.record);
  await readFurther(job, context, false);
  await commit(job, context, { status: "paused" }, [
    createMessage("info", "Fine-tuning job paused"),
  ]);
  job.trainer?.sendSignal("SIGSTOP");
}

/** Lets the trainer of a paused job go on. */
export async function resumeJob(job: ActiveJob, context: JobContext): Promise<void> {
  if (job.record.status !== "paused") throw refuseAction("resume", job.record);
  await commit(job, context, { status: "running", progress: null }, [
    createMessage("info", "Fine-tuning job resumed"),
  ]);
  job.trainer?.sendSignal("SIGCONT");
}

/** Brings a job to its end if its trainer has ended, whether or not its start was noted. */
export async function catchUp(job: ActiveJob, context: JobContext): Promise<void> {
  const end = job.trainer?.getEnd();
  if (end === undefined) return;
  await startJob(job, context);
  await conclude(job, context, end);
}

/**
 * What a job will be whose trainer has ended but whose end the disk does not take: read from what
 * the trainer printed, as it will be read again. Nothing is written.
 */
export async function foresee(job: ActiveJob, context: JobContext): Promise<JobRecord> {
  const end = job.trainer?.getEnd();
  if (end === undefined) return job.record;
  const paths = context.jobs.paths(job.id);
  let { record } = job;
  for (;;) {
    const output = await readOutput(paths.output, record.output, true);
    if (output === undefined) break;
    record = applyOutput(record, output, context.mask).record;
  }
  const finished_at = Math.floor(Date.now() / 1000);
  if (job.cancelled) return { ...record, status: "cancelled", finished_at };
  const error = await judgeEnd(record, paths, end, context.mask);
  return error === undefined
    ? { ...record, status: "succeeded", finished_at, results_file: null }
    : { ...record, status: "failed", error, finished_at };
}

/** Brings a job to its end whose trainer has ended; does nothing if it is over already. */
async function conclude(job: ActiveJob, context: JobContext, end: TrainerEnd): Promise<void> {
  while (await readFurther(job, context, true));
  if (job.isOver) return;
  if (job.cancelled) return await recordCancel(job, context);
  const error = await judgeEnd(job.record, context.jobs.paths(job.id), end, context.mask);
  if (error !== undefined) return await fail(job, context, error);
  await storeResults(job, context);
  await finish(job, context, { status: "succeeded" }, [
    createMessage("info", "New fine-tuned model created"),
    createMessage("info", "The job has successfully completed"),
  ]);
  context.log("info", `Job "${job.id}" has succeeded`, { model: job.record.result?.model });
}

/** The 400 for what cannot be done to a job as it stands. */
export function refuseAction(action: JobAction, { id, status }: JobRecord): ApiError {
  const rule = {
    cancel: "only a job that is not over can be cancelled",
    pause: "only a running job can be paused",
    resume: "only a paused job can be resumed",
  }[action];
  return badRequest(`Cannot ${action} job "${id}": its status is "${status}"; ${rule}`, null);
}

async function recordCancel(job: ActiveJob, context: JobContext): Promise<void> {
  if (job.isOver) return;
  await readFurther(job, context, false);
  await finish(job, context, { status: "cancelled" }, [
    createMessage("info", "Fine-tuning job cancelled"),
  ]);
}

async function spawnTrainer(
  job: ActiveJob,
  context: JobContext,
): Promise<TrainerProcess | undefined> {
  const { record } = job;
  const paths = context.jobs.paths(job.id);
  await context.jobs.prepare({
    version: 1,
    job_id: record.id,
    model: record.model,
    seed: record.seed,
    method: formatMethod(record.method),
    hyperparameters: record.hyperparameters ?? {},
    suffix: record.suffix,
    training_file: paths.trainingFile,
    validation_file: record.validation_file === null ? null : paths.validationFile,
    output_directory: paths.results,
    metadata: record.metadata,
  });
  try {
    return startTrainer(context.trainer, paths, context.secrets, () => job.wake());
  } catch (error) {
    const message = `Cannot start the trainer: ${error instanceof Error ? error.message : error}`;
    await fail(job, context, { code: "trainer_failed", message, param: null });
    return undefined;
  }
}

// False where nothing further was there to read. What a trainer prints after the end of its job
// stays in its log.
async function readFurther(job: ActiveJob, context: JobContext, ended: boolean): Promise<boolean> {
  if (job.isOver || job.record.process === null) return false;
  const paths = context.jobs.paths(job.id);
  const output = await readOutput(paths.output, job.record.output, ended);
  if (output === undefined) return false;
  const { record, events } = applyOutput(job.record, output, context.mask);
  job.record = await context.jobs.commit(record, events);
  return true;
}

// The id is chosen and committed before the file is written, so that a crash in between leads to
// the same file again and not to a second one.
async function storeResults(job: ActiveJob, context: JobContext): Promise<void> {
  const id = job.record.results_file ?? createId("file-");
  if (job.record.results_file === null) await commit(job, context, { results_file: id }, []);
  if ((await context.files.get(id)) !== undefined) return;
  await context.files.add(
    {
      id,
      filename: "results.csv",
      purpose: "fine-tune-results",
      expires_at: null,
      content: createResults(context.jobs.paths(job.id).output),
    },
    new AbortController().signal,
  );
}

async function fail(
  job: ActiveJob,
  context: JobContext,
  error: JobError,
  message = `The job failed. ${error.message}`,
): Promise<void> {
  const shown = { ...error, message: error.message.toWellFormed() };
  await finish(job, context, { status: "failed", error: shown }, [createMessage("error", message)]);
  context.log("warn", `Job "${job.id}" has failed`, { code: error.code, reason: error.message });
}

async function finish(
  job: ActiveJob,
  context: JobContext,
  fields: Partial<JobRecord>,
  events: readonly NewEvent[],
): Promise<void> {
  const finished_at = job.foreseen?.finished_at ?? Math.floor(Date.now() / 1000);
  await commit(job, context, { ...fields, finished_at }, events);
}

async function commit(
  job: ActiveJob,
  context: JobContext,
  fields: Partial<JobRecord>,
  events: readonly NewEvent[],
): Promise<void> {
  job.record = await context.jobs.commit({ ...job.record, ...fields }, events);
}
