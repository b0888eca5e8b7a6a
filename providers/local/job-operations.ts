import { ApiError, badRequest, jobNotFound } from "../../src/errors.ts";
import {
  type CheckedJobRequest,
  type CheckedMethod,
  checkJobRequest,
  formatMethod,
} from "../../src/job-request.ts";
import type { Backend, JobQuery, JobRequest, Runtime } from "../../src/provider.ts";
import { explainWriteError, hasCode } from "./disk.ts";
import { createMessage, findEvent, readEvents } from "./event-log.ts";
import type { FileStore } from "./file-store.ts";
import { createId, createRandomText } from "./ids.ts";
import { createRecord, type JobRecord, toCheckpointFields, toJobFields } from "./job-record.ts";
import type { JobStore } from "./job-store.ts";
import type { Scheduler } from "./scheduler.ts";

/** Which jobs are accepted. */
export interface JobOptions {
  readonly models: readonly string[];
  readonly methods: readonly CheckedMethod["type"][];
}

/** What the operations on jobs work with. */
export interface JobParts {
  readonly options: JobOptions;
  /** Stands for `organization_id`. */
  readonly organization: string;
  readonly files: FileStore;
  readonly jobs: JobStore;
  readonly scheduler: Scheduler;
  readonly log: Runtime["log"];
}

/** The part of the local backend that deals with jobs. */
export function createJobOperations(parts: JobParts) {
  const { options, organization, files, jobs, scheduler, log } = parts;
  const show = (record: JobRecord) => toJobFields(record, organization);

  async function requireJob(id: string): Promise<JobRecord> {
    await scheduler.settle();
    const stored = await jobs.read(id);
    const record = stored === undefined ? undefined : await scheduler.inspect(stored);
    if (record === undefined) throw jobNotFound(id);
    return record;
  }

  // One damaged record is no reason to hide all the others.
  async function readListed(id: string): Promise<JobRecord | undefined> {
    try {
      const record = await jobs.read(id);
      return record === undefined ? undefined : await scheduler.inspect(record);
    } catch (error) {
      log("error", `Cannot list job "${id}"`, { error: String(error) });
      return undefined;
    }
  }

  async function checkRequest(request: JobRequest): Promise<CheckedJobRequest> {
    const checked = checkJobRequest(request);
    checkOptions(checked, options);
    await checkFile(files, checked.training_file, "training_file");
    if (checked.validation_file !== null) {
      await checkFile(files, checked.validation_file, "validation_file");
    }
    return checked;
  }

  return {
    async createJob(request) {
      const checked = await checkRequest(request);
      await scheduler.start();
      try {
        const record = await storeJob(checked, files, jobs);
        scheduler.submit(record);
        return show(record);
      } catch (error) {
        throw explainWriteError("create job", error);
      }
    },

    // What the trainer is told, but for what is made with the job.
    async previewJob(request) {
      const { model, training_file, validation_file, ...checked } = await checkRequest(request);
      const { suffix, seed, metadata } = checked;
      const method = formatMethod(checked.method);
      return { model, training_file, validation_file, suffix, seed, method, metadata };
    },

    async getJob(id) {
      return show(await requireJob(id));
    },

    async *listJobs(query) {
      if (query.after !== undefined) await requireJob(query.after);
      await scheduler.settle();
      for (const id of await jobs.listIds()) {
        if (query.after !== undefined && id >= query.after) continue;
        const record = await readListed(id);
        if (record !== undefined && hasMetadata(record, query)) yield show(record);
      }
    },

    async cancelJob(id) {
      return show(await scheduler.change("cancel", id));
    },

    async pauseJob(id) {
      return show(await scheduler.change("pause", id));
    },

    async resumeJob(id) {
      return show(await scheduler.change("resume", id));
    },

    async *listJobEvents(id, query) {
      const { events } = await requireJob(id);
      const path = jobs.paths(id).events;
      if (query.after === undefined) return yield* readEvents(path, events.bytes);
      const end = await findEvent(path, id, events.bytes, query.after);
      if (end === undefined) throw afterNotFound("event", query.after);
      yield* readEvents(path, end);
    },

    async *listJobCheckpoints(id, query) {
      const checkpoints = toCheckpointFields(await requireJob(id));
      if (query.after === undefined) return yield* checkpoints;
      const index = checkpoints.findIndex((checkpoint) => checkpoint.id === query.after);
      if (index === -1) throw afterNotFound("checkpoint", query.after);
      yield* checkpoints.slice(index + 1);
    },
  } satisfies Partial<Backend>;
}

function checkOptions(request: CheckedJobRequest, { models, methods }: JobOptions): void {
  if (!models.includes(request.model)) {
    throw badRequest(
      `Model ${request.model} is not available for fine-tuning or does not exist.`,
      "model",
      "model_not_available",
    );
  }
  if (!methods.includes(request.method.type)) {
    throw badRequest(
      `Cannot create job: "method.type" must be ${methods.map((type) => `"${type}"`).join(" or ")} here, not "${request.method.type}"`,
      "method.type",
    );
  }
  if (request.integrations.length > 0) {
    throw badRequest("Cannot create job: there are no integrations here", "integrations");
  }
}

async function checkFile(
  files: FileStore,
  id: string,
  param: "training_file" | "validation_file",
): Promise<void> {
  const file = await files.get(id);
  if (file === undefined) {
    throw badRequest(`Cannot create job: there is no file "${id}" here`, param);
  }
  if (file.purpose !== "fine-tune") {
    throw badRequest(
      `Cannot create job: the purpose of file "${id}" is "${file.purpose}", not "fine-tune"`,
      param,
    );
  }
}

async function storeJob(
  request: CheckedJobRequest,
  files: FileStore,
  jobs: JobStore,
): Promise<JobRecord> {
  const { model, training_file, validation_file, suffix, method, metadata } = request;
  const id = createId("ftjob-");
  const record = createRecord({
    id,
    model,
    training_file,
    validation_file,
    suffix,
    seed: request.seed ?? Math.floor(Math.random() * 2 ** 31),
    method,
    metadata,
    model_name: `ft:${model}:local:${formatSuffix(suffix ?? "")}:${createRandomText(8)}`,
  });
  const validation = validation_file === null ? "" : ` and validation file: ${validation_file}`;
  const events = [
    createMessage("info", `Created fine-tuning job: ${id}`),
    createMessage("info", `Validating training file: ${training_file}${validation}`),
  ];
  const paths = {
    training: files.contentPath(training_file),
    validation: validation_file === null ? null : files.contentPath(validation_file),
  };
  try {
    return await jobs.create(record, events, paths.training, paths.validation);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    throw badRequest("Cannot create job: one of its files was deleted just now", "training_file");
  }
}

// Colons separate the parts of a tuned model's name.
function formatSuffix(suffix: string): string {
  return suffix.replaceAll(/[^0-9A-Za-z._-]+/g, "-");
}

function hasMetadata(record: JobRecord, { metadata }: JobQuery): boolean {
  if (metadata === undefined || metadata === null) return true;
  return Object.entries(metadata).every(([key, value]) => record.metadata?.[key] === value);
}

function afterNotFound(kind: string, id: string): ApiError {
  return new ApiError(404, `Cannot list ${kind}s: there is no ${kind} "${id}"`, { param: "after" });
}
