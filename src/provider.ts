import type * as v from "valibot";
import type { DatasetFormat } from "./dataset/report.ts";

export type { DatasetFormat } from "./dataset/report.ts";

/**
 * The registry contract. A provider is a kind of service and lives in one file of `providers/`,
 * which default-exports `defineProvider({ options, create })`. A backend is one configured account
 * of it. The gateway speaks OpenAI's API to clients; the contract's objects carry OpenAI's field
 * names, Unix seconds and statuses, and the gateway completes them to full OpenAI objects.
 *
 * Every method does the whole call and throws `ApiError` for what the client should read; any other
 * error is a bug and becomes a bare 500. A method that the service lacks is left out: the gateway
 * then answers 400 `unsupported_operation` in its place. `signal` is the last parameter and must
 * reach every upstream call; once it is aborted, throw its `reason`. Reads end with their client, and
 * so do `uploadFile` and `addUploadPart` until the last byte is on its way; what else creates or
 * changes something goes on without it.
 *
 * Three rules let the gateway find ids and keep retries from paying twice:
 * - An id that the service does not have is a 404 (`fileNotFound`, `jobNotFound` of `errors.ts`), or
 *   a 400 where it is not of the service's form. Any other error means "cannot tell".
 * - An `ApiError` with `retry: true` says that the service surely has nothing, or not the whole request;
 *   only then may an SDK send a create again. A service's own 401 is about our key: make it a 502.
 * - `id` and `created_at` of an object are the same in every answer, ids differ between backends,
 *   and items of the same second keep their order.
 *
 * `src/upstream/` calls services that speak JSON as OpenAI does, and `src/job-request.ts` checks a
 * job request for those that do not take it as it is.
 */
export interface Backend {
  /**
   * Stores one file. Resolves once the service has all of it; on failure nothing may be left.
   * `expires_after` and `extra` too are carried out or refused with a 400 naming the field.
   */
  uploadFile(upload: FileUpload, signal: AbortSignal): Promise<FileFields>;
  /**
   * Stores one file while it still comes from the client, for a service that takes OpenAI's form as
   * it is. The gateway uses it in place of `uploadFile` where it need not see the whole file before.
   */
  relayUpload?(form: UploadForm, signal: AbortSignal): Promise<FileFields>;
  /** Starts a job. Refuses with a 400 naming the field whatever it cannot carry out. */
  createJob(request: JobRequest, signal: AbortSignal): Promise<JobFields>;
  /**
   * The service's own request that `createJob` would send, without sending it; throws what
   * `createJob` would refuse by itself. Without this method a dry run shows the request as it came.
   */
  previewJob?(request: JobRequest, signal: AbortSignal): Promise<Fields>;
  /** Asks for the end of a job; the returned status is what is true afterwards. */
  cancelJob(id: string, signal: AbortSignal): Promise<JobFields>;
  /** Jobs, newest first by `created_at`. */
  listJobs(query: JobQuery, signal: AbortSignal): AsyncIterable<JobFields>;

  /** One job; without this method the gateway looks for the job in `listJobs`. */
  getJob?(id: string, signal: AbortSignal): Promise<JobFields>;
  pauseJob?(id: string, signal: AbortSignal): Promise<JobFields>;
  resumeJob?(id: string, signal: AbortSignal): Promise<JobFields>;
  deleteJob?(id: string, signal: AbortSignal): Promise<void>;
  /** Events of one job, newest first. */
  listJobEvents?(id: string, query: PageQuery, signal: AbortSignal): AsyncIterable<EventFields>;
  /** Checkpoints of one job, newest first. */
  listJobCheckpoints?(
    id: string,
    query: PageQuery,
    signal: AbortSignal,
  ): AsyncIterable<CheckpointFields>;

  /** Stores a file that the service itself fetches from the URL in `content_url`. */
  importFile?(request: Fields, signal: AbortSignal): Promise<FileFields>;
  getFile?(id: string, signal: AbortSignal): Promise<FileFields>;
  /** Files by `created_at` in `query.order`. */
  listFiles?(query: FileQuery, signal: AbortSignal): AsyncIterable<FileFields>;
  /** The bytes of a file, or of `range` where the service can. */
  readFile?(id: string, range: string | undefined, signal: AbortSignal): Promise<FileContent>;
  deleteFile?(id: string, signal: AbortSignal): Promise<void>;
  /** What `uploadFile` would change or leave out; throws what it would refuse, and stores nothing. */
  checkFile?(upload: FileUpload, signal: AbortSignal): Promise<FileReport>;
  /** What the backend had to change or leave out of a file that it stored in another form. */
  readFileReport?(id: string, signal: AbortSignal): Promise<FileReport>;

  createUpload?(request: Fields, signal: AbortSignal): Promise<UploadFields>;
  addUploadPart?(id: string, data: Blob, signal: AbortSignal): Promise<PartFields>;
  completeUpload?(id: string, request: Fields, signal: AbortSignal): Promise<UploadFields>;
  cancelUpload?(id: string, signal: AbortSignal): Promise<UploadFields>;

  /** Answers with OpenAI's whole list object; `query` holds the client's own parameters. */
  listCheckpointPermissions?(
    model: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Fields>;
  createCheckpointPermissions?(
    model: string,
    request: Fields,
    signal: AbortSignal,
  ): Promise<Fields>;
  deleteCheckpointPermission?(
    model: string,
    permissionId: string,
    signal: AbortSignal,
  ): Promise<Fields>;

  runGrader?(request: Fields, signal: AbortSignal): Promise<Fields>;
  validateGrader?(request: Fields, signal: AbortSignal): Promise<Fields>;

  /** Models that can be tuned here. */
  listModels?(signal: AbortSignal): AsyncIterable<ModelFields>;
  getModel?(id: string, signal: AbortSignal): Promise<ModelFields>;

  /**
   * The lists that start after `query.after` by themselves. For a list that is not named here the
   * gateway never sends `after`: it reads from the start and leaves out what comes before.
   */
  readonly cursors?: readonly ListName[];

  /** Tries whether the service can be reached and takes the credential; changes nothing. */
  checkAccess?(signal: AbortSignal): Promise<void>;

  /** Called once when the gateway stops, after the last request. */
  close?(): Promise<void>;
}

/** The lists that can be paged by `after`. */
export type ListName = "files" | "jobs" | "events" | "checkpoints";

/** A kind of service: what its entry in `config.yaml` may hold, and how a backend is made of it. */
export interface Provider<Options = unknown> {
  /** A strict object whose entries carry a `v.description`, which is their documentation. */
  readonly options: OptionsSchema & v.GenericSchema<unknown, Options>;
  /** What the service asks of datasets; absent where nothing is known of it. */
  readonly datasets?: DatasetRules;
  /** What training costs; the operator can override it. */
  readonly prices?: readonly TrainingPrice[];
  /** Makes a backend; contacts nothing, so that a backend that is down does not stop the start. */
  create(options: Options, runtime: Runtime): Backend;
}

/** The schema of a provider's options: `v.strictObject({…})`. */
export type OptionsSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** Types a provider by its options schema; returns it as it is. */
export function defineProvider<const Schema extends OptionsSchema>(provider: {
  readonly options: Schema;
  readonly datasets?: DatasetRules;
  readonly prices?: readonly TrainingPrice[];
  create(options: v.InferOutput<Schema>, runtime: Runtime): Backend;
}): Provider {
  return provider as Provider;
}

/** The published rules of a service for datasets, as data. */
export interface DatasetRules {
  /** The formats it takes; a gateway's conversion counts. */
  readonly formats: readonly DatasetFormat[];
  /** The fewest examples of a training file. */
  readonly minExamples?: number;
  readonly maxFileBytes?: number;
  readonly maxImagesPerExample?: number;
  readonly maxImageBytes?: number;
  /** By the model's name; the first whose `model` the name begins with counts. */
  readonly models: readonly ModelRules[];
}

/** What is known of the models whose names begin with `model`; "" means all others. */
export interface ModelRules {
  readonly model: string;
  /** Of one example; the service cuts off or leaves out what is longer. */
  readonly maxExampleTokens?: number;
  /** How tokens are counted, `estimated` where the model's own tokenizer is not published. */
  readonly tokenizer: "o200k_base" | "cl100k_base";
  readonly estimated?: boolean;
}

/** What training costs for a model. */
export interface TrainingPrice {
  /** Its name, which stands for its versions too: `gpt-4.1` for `gpt-4.1-2025-04-14`. */
  readonly model: string;
  /** OpenAI's name of the method; absent for all. */
  readonly method?: string;
  readonly usd_per_million_tokens: number;
  /** Where it is published. */
  readonly source: string;
  /** When it was read there, as `2026-11-22`. */
  readonly date: string;
}

/** What the gateway lends to one backend. */
export interface Runtime {
  /** The backend's name in `config.yaml`. */
  readonly name: string;
  /** Absolute path of a directory that belongs to this backend alone; made on first use by it. */
  readonly directory: string;
  /**
   * Which operations this instance is asked for. Two entries of one name, in `files_settings` and
   * `finetune_settings`, become two instances with one `directory`.
   */
  readonly serves: { readonly files: boolean; readonly jobs: boolean };
  /** The words that start this very executable; append a subcommand. */
  readonly command: readonly string[];
  /** The configured keys and tokens; not to be handed to anything that the backend starts. */
  readonly secrets: readonly string[];
  /** Writes one line to the gateway's log; secrets are masked. */
  log(
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

/** A JSON object as OpenAI's API names its fields; unknown fields pass through untouched. */
export type Fields = { readonly [field: string]: unknown };

/** A file on its way in. */
export interface FileUpload {
  /** The content: can be read more than once and need not be in memory. `type` is the part's. */
  readonly content: Blob;
  /** Of the content, in hexadecimal. */
  readonly sha256: string;
  readonly filename: string;
  readonly purpose: string;
  readonly expires_after?: { readonly anchor: string; readonly seconds: number };
  /** Form fields that OpenAI does not define, such as `a[b]`, in the order they came. */
  readonly extra: readonly (readonly [name: string, value: string])[];
}

/** The form of OpenAI's `POST /files`, on its way from the client. */
export interface UploadForm {
  readonly contentType: string;
  /** In bytes; fails if it turns out to be another one. */
  readonly length: number;
  /** To be read once; each stays as it is only until the next one is asked for. */
  readonly pieces: AsyncGenerator<Uint8Array, void>;
}

/** OpenAI's CreateFineTuningJobRequest: types are checked, ranges are the backend's to check. */
export type JobRequest = Fields & {
  readonly model: string;
  readonly training_file: string;
  readonly validation_file?: string | null;
  readonly suffix?: string | null;
  readonly seed?: number | null;
  readonly hyperparameters?: Fields;
  readonly method?: Fields & { readonly type: string };
  readonly integrations?: readonly Fields[] | null;
  readonly metadata?: Readonly<Record<string, string>> | null;
};

/** How far into a list the gateway wants to read. */
export interface PageQuery {
  /** Start after the item of this id; sent only to lists that `cursors` names. */
  readonly after?: string;
  /** The number of items that the gateway is going to read at first; a good page size. */
  readonly limit: number;
}

/** A filter is a saving only: the gateway applies it again to what comes back. */
export interface JobQuery extends PageQuery {
  /** Key and value pairs that a job must have; null means jobs without metadata. */
  readonly metadata?: Readonly<Record<string, string>> | null;
}

/** A filter is a saving only: the gateway applies it again to what comes back. */
export interface FileQuery extends PageQuery {
  readonly purpose?: string;
  readonly order: "asc" | "desc";
}

/** The statuses that OpenAI's API uses for jobs; `pausing` and `paused` are not in its schema. */
export type JobStatus =
  | "validating_files"
  | "queued"
  | "running"
  | "pausing"
  | "paused"
  | "succeeded"
  | "failed"
  | "cancelled";

/** What a backend must know of a file; times are Unix seconds, sizes bytes. */
export type FileFields = Fields & {
  readonly id: string;
  readonly bytes: number;
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: string;
  readonly status?: "uploaded" | "processed" | "error" | (string & {});
};

/** What a backend knows of a job, the optional part where it does; times are Unix seconds. */
export type JobFields = Fields & {
  readonly id: string;
  readonly created_at: number;
  readonly model: string;
  readonly fine_tuned_model?: string | null;
  readonly finished_at?: number | null;
  readonly estimated_finish?: number | null;
  readonly trained_tokens?: number | null;
  readonly validation_file?: string | null;
  readonly result_files?: readonly string[];
  readonly error?: Fields | null;
  /** One of `JobStatus`; a state that is newer than this file passes as the service spells it. */
  readonly status: JobStatus | (string & {});
  readonly training_file: string;
};

/** What a backend must know of an event of a job. */
export type EventFields = Fields & {
  readonly id: string;
  readonly created_at: number;
  readonly level: "info" | "warn" | "error" | (string & {});
  readonly message: string;
};

/** What a backend must know of a checkpoint of a job. */
export type CheckpointFields = Fields & {
  readonly id: string;
  readonly created_at: number;
  readonly fine_tuned_model_checkpoint: string;
  readonly step_number: number;
  readonly metrics: Fields;
};

/** What a backend must know of an upload in parts. */
export type UploadFields = Fields & { readonly id: string };

/** What a backend must know of a part of an upload. */
export type PartFields = Fields & { readonly id: string };

/** What a backend must know of a model. */
export type ModelFields = Fields & { readonly id: string };

/** How a file was carried over to another form. */
export interface FileReport {
  /** Lines that are not blank. */
  readonly examples: number;
  /** The first 100, in the order of the file. */
  readonly warnings: readonly FileWarning[];
  readonly warningCount: number;
}

/** What was left out or changed in one line, because the request allowed it. */
export interface FileWarning {
  /** 1-based; blank lines count. */
  readonly line: number;
  /** A word for programs, such as `unsupported_weight`. */
  readonly code: string;
  readonly message: string;
}

/** The bytes of a file on their way out, with the headers that describe them. */
export interface FileContent {
  readonly body: Blob | ReadableStream<Uint8Array>;
  /** 200, or 206 for a part. */
  readonly status?: 200 | 206;
  /** `content-type`, `content-disposition`, `content-length`, `content-range`, `x-request-id`. */
  readonly headers: Readonly<Record<string, string>>;
}

const requestIds = new WeakMap<object, string>();

/**
 * Notes the service's own id of the call that gave `answer`, an object or a list that a backend
 * returns, so that the client finds it in `x-request-id`. Returns `answer`.
 */
export function withRequestId<Answer extends object>(answer: Answer, id: string | null): Answer {
  if (id !== null && id !== "") requestIds.set(answer, id);
  return answer;
}

/** The id noted by `withRequestId`, if any. */
export function requestIdOf(answer: object): string | undefined {
  return requestIds.get(answer);
}
