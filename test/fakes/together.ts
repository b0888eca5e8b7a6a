import * as v from "valibot";
import { parseForm } from "./form.ts";
import {
  answerJson,
  checkQuery,
  makeToken,
  Refusal,
  readJson,
  requireNoBody,
} from "./openai/answers.ts";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "./server.ts";
import { JobSchema } from "./together/job-request.ts";

// As Together AI's API reference (OpenAPI 2.0.0) and together-py describe the service; what neither
// tells, such as the words of refusals, is made up.

/** How a fake of Together AI behaves. */
export interface FakeTogetherOptions {
  /** The only key that is let in; `tgp-fake-key` if absent. */
  readonly apiKey?: string;
  /** The clock, Unix seconds. */
  readonly now?: () => number;
}

/** A file object and its bytes. */
export interface StoredFile {
  readonly object: Record<string, unknown> & { readonly id: string; Processed: boolean };
  readonly content: Buffer;
}

/** A job object with its events and checkpoints, oldest first; tests may change all of them. */
export interface StoredJob {
  readonly object: Record<string, unknown> & { readonly id: string; status: string };
  readonly events: Record<string, unknown>[];
  readonly checkpoints: Record<string, unknown>[];
}

/** A running fake of Together AI. */
export interface FakeTogether
  extends Pick<FakeServer, "requests" | "inject" | "countOpenConnections" | "stop"> {
  /** What an `api_base` should be: ends in `/v1`. */
  readonly url: string;
  readonly apiKey: string;
  readonly files: Map<string, StoredFile>;
  readonly jobs: Map<string, StoredJob>;
  /** Takes a job to a status; `completed` adds three checkpoints and the model. */
  advanceJob(id: string, status: string): StoredJob;
}

/** The models that the fake can tune. */
export const tunableModels = ["Qwen/Qwen3-8B", "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"];

const final = ["completed", "error", "user_error", "cancelled"];

/** Starts a server that behaves as Together AI and refuses what it should not be sent. */
export async function startFakeTogether(options: FakeTogetherOptions = {}): Promise<FakeTogether> {
  const { apiKey = "tgp-fake-key", now = () => Math.floor(Date.now() / 1000) } = options;
  const files = new Map<string, StoredFile>();
  const jobs = new Map<string, StoredJob>();
  const account = { files, jobs, now };
  const server = await startServer((request) => {
    const answer = answerSafely(() => {
      checkHeaders(request, apiKey);
      return route(request, account);
    });
    const extra = { "cf-ray": `${makeToken(16).toLowerCase()}-FRA` };
    return { ...answer, headers: { ...answer.headers, ...extra } };
  });
  return {
    ...server,
    url: `${server.origin}/v1`,
    apiKey,
    files,
    jobs,
    advanceJob: (id, status) => advanceJob(find(jobs, id), now(), status),
  };
}

interface Account {
  readonly files: Map<string, StoredFile>;
  readonly jobs: Map<string, StoredJob>;
  readonly now: () => number;
}

function answerSafely(answer: () => FakeAnswer): FakeAnswer {
  try {
    return answer();
  } catch (error) {
    if (error instanceof Refusal) return answerJson({ error: error.fields }, error.status);
    throw error;
  }
}

function checkHeaders({ headers }: FakeRequest, apiKey: string): void {
  if (headers.get("authorization") !== `Bearer ${apiKey}`) {
    const sent = headers.get("authorization");
    throw new Refusal(401, `Invalid API key provided: ${sent}`, { code: "invalid_api_key" });
  }
  if (headers.has("transfer-encoding")) throw new Refusal(400, "fake: a body without its length");
}

function route(request: FakeRequest, account: Account): FakeAnswer {
  const [version, ...names] = request.path.split("/").slice(1).map(decodeURIComponent);
  const [resource, id = "", action = ""] = names;
  checkQuery(request, []);
  const answer =
    version !== "v1" || names.length > 3 || names.includes("")
      ? undefined
      : resource === "files"
        ? answerFiles(request, account, id, action)
        : resource === "fine-tunes"
          ? answerJobs(request, account, id, action)
          : undefined;
  if (answer === undefined) throw new Refusal(404, `Not found: ${request.method} ${request.path}`);
  return answer;
}

function answerFiles(
  request: FakeRequest,
  { files, now }: Account,
  id: string,
  action: string,
): FakeAnswer | undefined {
  if (request.method === "POST") {
    return id === "upload" && action === "" ? storeFile(request, files, now()) : undefined;
  }
  requireNoBody(request);
  if (request.method === "GET" && id === "") {
    return answerJson({ object: "list", data: [...files.values()].map(({ object }) => object) });
  }
  const file = find(files, id);
  if (request.method === "GET" && action === "") return answerJson(file.object);
  if (request.method === "GET" && action === "content") {
    const headers = { "content-type": "application/octet-stream" };
    return { status: 200, headers, body: file.content };
  }
  if (request.method !== "DELETE" || action !== "") return undefined;
  files.delete(id);
  return answerJson({ id, deleted: true });
}

const Form = v.strictObject({
  purpose: v.picklist(["fine-tune", "calibration", "eval", "batch-api"]),
  file_name: v.pipe(v.string(), v.nonEmpty()),
  file_type: v.optional(v.picklist(["csv", "jsonl", "parquet"]), "jsonl"),
});

function storeFile(
  { headers, body }: FakeRequest,
  files: Map<string, StoredFile>,
  created_at: number,
): FakeAnswer {
  const form = parseForm(headers.get("content-type"), body);
  const [file, another] = form.files;
  if (file?.name !== "file" || another !== undefined) {
    throw new Refusal(400, "Unable to save the file - expected one file", { param: "file" });
  }
  const fields = v.safeParse(Form, Object.fromEntries(form.fields));
  if (!fields.success || form.fields.length !== Object.keys(fields.output).length) {
    const param = fields.issues ? v.getDotPath(fields.issues[0]) : null;
    throw new Refusal(400, `Unable to save the file - invalid ${param} specified`, { param });
  }
  const { purpose, file_name: filename, file_type: FileType } = fields.output;
  const object = {
    id: `file-${crypto.randomUUID()}`,
    object: "file",
    created_at,
    filename,
    bytes: file.content.length,
    purpose,
    Processed: true,
    FileType,
    LineCount: 0,
  };
  files.set(object.id, { object, content: file.content });
  // What it answers at once: it looks at the content later.
  return answerJson({ ...object, bytes: 0, Processed: false });
}

function answerJobs(
  request: FakeRequest,
  account: Account,
  id: string,
  action: string,
): FakeAnswer | undefined {
  const { jobs, now } = account;
  if (request.method === "POST" && id === "") return createJob(request, account);
  requireNoBody(request);
  if (request.method === "GET" && id === "") {
    return answerJson({ data: [...jobs.values()].map(({ object }) => object) });
  }
  if (request.method === "GET" && id === "models" && action === "supported") {
    const detailed_models = tunableModels.map((name) => ({ name, parent_model: name }));
    return answerJson({ models: tunableModels, detailed_models });
  }
  const job = find(jobs, id);
  switch (`${request.method} ${action}`) {
    case "GET ": {
      const answer = answerJson({ ...job.object, events: job.events });
      // It is cancelled in a while, and one look shows that it is not yet.
      if (job.object.status === "cancel_requested") advanceJob(job, now(), "cancelled");
      return answer;
    }
    case "GET events":
      return answerJson({ data: job.events });
    case "GET checkpoints":
      return answerJson({ data: job.checkpoints });
    case "POST cancel":
      if (final.includes(job.object.status)) {
        throw new Refusal(400, `Cannot cancel a job that is ${job.object.status}`);
      }
      return answerJson(advanceJob(job, now(), "cancel_requested").object);
    default:
      return undefined;
  }
}

function createJob(request: FakeRequest, { files, jobs, now }: Account): FakeAnswer {
  const { from_checkpoint, ...fields } = readJson(request, JobSchema);
  const parent = from_checkpoint && find(jobs, from_checkpoint.replace(/:\d+$/, ""));
  const model = parent ? parent.object.model : fields.model;
  if ((from_checkpoint === undefined) === (fields.model === undefined)) {
    throw new Refusal(400, "Give either a model or a checkpoint", { param: "model" });
  }
  if (typeof model !== "string" || !tunableModels.includes(model)) {
    throw new Refusal(404, `Model ${model} is not available for fine-tuning`, { param: "model" });
  }
  for (const param of ["training_file", "validation_file"] as const) {
    const id = fields[param];
    if (id !== undefined && files.get(id)?.object.purpose !== "fine-tune") {
      throw new Refusal(400, `File ${id} does not exist`, { param });
    }
  }
  const id = `ft-${crypto.randomUUID()}`;
  const time = toText(now());
  const object = {
    validation_file: "",
    random_seed: null,
    ...fields,
    ...(from_checkpoint === undefined ? {} : { from_checkpoint }),
    id,
    model,
    status: "pending",
    created_at: time,
    updated_at: time,
    user_id: "user_fake",
    owner_address: "user@example.com",
    token_count: 0,
    total_price: 0,
    model_output_name: `fake/${model.split("/")[1]}-${fields.suffix ?? "ft"}-${makeToken(8)}`,
    training_type: fields.training_type ?? { type: "Lora", lora_r: 8, lora_alpha: 16 },
  };
  const job: StoredJob = { object, events: [], checkpoints: [] };
  jobs.set(id, job);
  addEvent(job, now(), "job_pending", "Fine tune request created");
  return answerJson({ ...object, events: [] });
}

function advanceJob(job: StoredJob, now: number, status: string): StoredJob {
  Object.assign(job.object, { status, updated_at: toText(now) });
  if (status === "running") {
    addEvent(job, now, "job_start", "Job started");
    addEvent(job, now, "training_start", "Training started");
  }
  if (status === "cancel_requested") addEvent(job, now, "cancel_requested", "Cancel requested");
  if (status === "error") addEvent(job, now, "job_error", "Out of memory", { level: "error" });
  if (status !== "completed") return job;
  Object.assign(job.object, { token_count: 850_000, total_price: 4_000_000_000 });
  for (const step of [10, 20, 30]) {
    addEvent(job, now, "checkpoint_save", `Saved, at step ${step}`, { step, total_steps: 30 });
    job.checkpoints.push({
      step,
      created_at: toText(now + step),
      path: `/models/${job.object.id}/${step}`,
      checkpoint_type: step === 30 ? "Final" : "Intermediate",
    });
  }
  addEvent(job, now, "job_complete", "Job finished");
  Object.assign(job.object, { updated_at: toText(now + 40) });
  return job;
}

function addEvent(job: StoredJob, now: number, type: string, message: string, more = {}): void {
  // Without a zone, as some of the service's own times.
  const created_at = toText(now).replace("Z", "");
  const usual = { level: null, hash: "", step: 0, total_steps: 0, token_count: 0 };
  job.events.push({ object: "fine-tune-event", created_at, type, message, ...usual, ...more });
}

function toText(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

function find<Item>(items: ReadonlyMap<string, Item>, id: string): Item {
  const item = items.get(id);
  if (item === undefined) throw new Refusal(404, `There is no ${id}`);
  return item;
}
