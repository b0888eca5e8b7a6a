import { setTimeout } from "node:timers/promises";
import { ApiError, badRequest } from "../../src/errors.ts";
import type { Backend, Fields, JobFields, JobRequest } from "../../src/provider.ts";
import type { Context } from "./context.ts";
import { listEvents } from "./events.ts";
import { parseGsUri, toGsUri } from "./ids.ts";
import { listCheckpoints, translateJob } from "./job-objects.ts";
import { connectJobs, type JobStore, makeNames } from "./job-store.ts";
import { readRequest } from "./request.ts";
import { createMetricsReader } from "./tensorboard.ts";
import { isFinal } from "./tuning-job.ts";

/** The operations on jobs that Vertex AI has; it can neither pause nor delete a job. */
export type JobOperations = Required<
  Pick<
    Backend,
    | "createJob"
    | "previewJob"
    | "getJob"
    | "listJobs"
    | "cancelJob"
    | "listJobEvents"
    | "listJobCheckpoints"
  >
>;

// Milliseconds. Most jobs end within seconds of a cancellation; a client waits for the answer.
const cancelPauses = [100, 300, 600, 1000];

/** Makes the operations on jobs of one account. */
export function createJobs(context: Context): JobOperations {
  const jobs = connectJobs(context);
  const metrics = createMetricsReader(context);
  const names = makeNames(context);

  async function translateRequest(request: JobRequest, signal: AbortSignal) {
    const wanted = readRequest(request, context.settings);
    const { training_file, validation_file } = wanted;
    const [source, trainingUri, validationUri] = await Promise.all([
      findModel(jobs, context.settings.vertex_project, wanted.model, signal),
      findUri(context, training_file, "training_file", signal),
      validation_file === null
        ? undefined
        : findUri(context, validation_file, "validation_file", signal),
    ]);
    const body: Fields = { ...source, ...wanted.makeBody(trainingUri, validationUri) };
    return { body, trainingUri, validationUri };
  }

  async function createJob(request: JobRequest, signal: AbortSignal): Promise<JobFields> {
    const { body, trainingUri, validationUri } = await translateRequest(request, signal);
    try {
      return translateJob(await jobs.create(body, signal), names);
    } catch (error) {
      throw nameField(error, trainingUri, validationUri);
    }
  }

  async function* listJobs(signal: AbortSignal): AsyncGenerator<JobFields> {
    // Google promises no order: only all of them, sorted, are surely newest first. A job that
    // moves from one page to the next meanwhile counts once.
    const found = new Map<string, { readonly time: number; readonly fields: JobFields }>();
    for await (const job of jobs.list(signal)) {
      found.set(job.name, { time: job.createTime, fields: translateJob(job, names) });
    }
    const sorted = [...found].sort(
      ([name, one], [otherName, other]) => other.time - one.time || (name < otherName ? 1 : -1),
    );
    for (const [, { fields }] of sorted) yield fields;
  }

  async function cancelJob(id: string, signal: AbortSignal): Promise<JobFields> {
    await jobs.cancel(id, signal);
    let job = await jobs.get(id, signal);
    for (const pause of cancelPauses) {
      if (isFinal(job)) break;
      await setTimeout(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
      job = await jobs.get(id, signal);
    }
    return translateJob(job, names);
  }

  return {
    createJob,
    previewJob: async (request, signal) => (await translateRequest(request, signal)).body,
    getJob: async (id, signal) => translateJob(await jobs.get(id, signal), names),
    listJobs: (_query, signal) => listJobs(signal),
    cancelJob,
    async *listJobEvents(id, _query, signal) {
      const job = await jobs.get(id, signal);
      yield* listEvents(job, await metrics.read(job, signal), names);
    },
    async *listJobCheckpoints(id, _query, signal) {
      const job = await jobs.get(id, signal);
      if (job.tunedModel === undefined) return;
      const { rows } = await metrics.read(job, signal);
      yield* listCheckpoints(job, rows, names);
    },
  };
}

const modelName = /^projects\/[^/]+\/locations\/[^/]+\/models\/[^/]+$/;
const endpointName = /^projects\/[^/]+\/locations\/[^/]+\/endpoints\/[^/]+$/;

/**
 * What a job starts from: a base model, or one that an earlier job has tuned, by the name of the
 * model or of the endpoint that serves it or one of its checkpoints.
 */
async function findModel(
  jobs: JobStore,
  project: string,
  model: string,
  signal: AbortSignal,
): Promise<Fields> {
  if (modelName.test(model)) return { preTunedModel: { tunedModelName: model } };
  if (!endpointName.test(model)) return { baseModel: model };
  for await (const { name, tunedModel } of jobs.list(signal)) {
    if (tunedModel?.model === undefined) continue;
    // Google answers with the number of the project where the configuration may have its id.
    const number = name.split("/")[1] ?? "";
    const endpoint = model.replace(`projects/${project}/`, `projects/${number}/`);
    const tunedModelName = tunedModel.model;
    if (tunedModel.endpoint === endpoint) return { preTunedModel: { tunedModelName } };
    const checkpoint = tunedModel.checkpoints.find((one) => one.endpoint === endpoint);
    if (checkpoint === undefined) continue;
    return { preTunedModel: { tunedModelName, checkpointId: checkpoint.checkpointId } };
  }
  throw badRequest(
    `Cannot create job: no tuning job of this project and location has made the endpoint "${model}"; name the model itself, such as "projects/…/locations/…/models/…@1"`,
    "model",
  );
}

/**
 * The URI of a file that exists. Of an object that our account may not read, only Google can say
 * whether the account that tunes may.
 */
async function findUri(
  { storage }: Context,
  id: string,
  param: string,
  signal: AbortSignal,
): Promise<string> {
  const uri = toGsUri(id, storage?.folder, param);
  const place = parseGsUri(uri);
  if (storage === undefined || place === undefined) return uri;
  try {
    if ((await storage.find(place, signal)) !== undefined) return uri;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return uri;
    throw error;
  }
  throw new ApiError(404, `No such File object: ${id}`, { param });
}

// Google's fields, however they are spelled, and OpenAI's.
const params: readonly (readonly [RegExp, string])[] = [
  [/training_?dataset_?uri/i, "training_file"],
  [/validation_?dataset_?uri/i, "validation_file"],
  [/base_?model|pre_?tuned_?model/i, "model"],
  [/display_?name/i, "suffix"],
  [/epoch_?count/i, "hyperparameters.n_epochs"],
  [/learning_?rate_?multiplier/i, "hyperparameters.learning_rate_multiplier"],
  [/adapter_?size/i, "adapter_size"],
  [/\blabels\b/i, "metadata"],
];

/** A refusal of Google's with the field of the request that it is about. */
function nameField(error: unknown, trainingUri: string, validationUri: string | undefined) {
  if (!(error instanceof ApiError) || error.status >= 500) return error;
  const { status, message, type, code, headers, retry } = error;
  const known = params.find(([pattern]) => pattern.test(error.param ?? ""))?.[1];
  const param = known ?? error.param ?? findFile(message, trainingUri, validationUri);
  return new ApiError(status, message, { type, param, code, headers, retry, cause: error });
}

function findFile(message: string, trainingUri: string, validationUri: string | undefined) {
  if (validationUri !== undefined && message.includes(validationUri)) return "validation_file";
  return message.includes(trainingUri) ? "training_file" : null;
}
