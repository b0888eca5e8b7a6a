import * as v from "valibot";
import { parseForm } from "./form.ts";
import { type Item, Refusal, requireNoBody, takePage, withEnds } from "./openai/answers.ts";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "./server.ts";

/** How a fake of Azure OpenAI behaves. */
export interface FakeAzureOptions {
  /** The only key that is let in; `fake-azure-key` if absent. */
  readonly apiKey?: string;
  /** The clock, Unix seconds. */
  readonly now?: () => number;
}

/** A job object with its events and checkpoints, oldest first, in Azure's words. */
export interface AzureJob {
  readonly object: Item;
  readonly events: Item[];
  readonly checkpoints: Item[];
}

/** What the fake resource holds; tests may look and change. */
export interface FakeAzureState {
  readonly files: Map<string, { object: Item; content: Buffer }>;
  readonly jobs: Map<string, AzureJob>;
  readonly uploads: Map<string, { object: Item; parts: Map<string, Buffer> }>;
}

/** A running fake of Azure OpenAI. */
export interface FakeAzure extends Pick<FakeServer, "requests" | "inject" | "stop"> {
  /** The endpoint: `/openai/…` and `/openai/v1/…` are below it. */
  readonly url: string;
  readonly apiKey: string;
  readonly state: FakeAzureState;
  /** Stores a file created at `createdAt`, Unix seconds; `fields` override its object's. */
  addFile(createdAt: number, fields?: Record<string, unknown>, content?: string): Item;
  /** Stores a job created at `createdAt`; `fields` override its object's. */
  addJob(createdAt: number, fields?: Record<string, unknown>): Item;
}

// What the classic API takes, by the specification of AzureOpenAI/authoring 2024-10-21; the
// preview of 2025-04-01 adds `method` and `integrations`. Neither knows null or "auto".
const numbers = {
  n_epochs: v.optional(v.pipe(v.number(), v.integer())),
  batch_size: v.optional(v.pipe(v.number(), v.integer())),
  learning_rate_multiplier: v.optional(v.number()),
};
const classicEntries = {
  model: v.string(),
  training_file: v.string(),
  validation_file: v.optional(v.string()),
  hyperparameters: v.optional(v.strictObject(numbers)),
  suffix: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/))),
  seed: v.optional(v.pipe(v.number(), v.integer())),
};
const Classic = v.strictObject(classicEntries);
const Preview = v.strictObject({
  ...classicEntries,
  integrations: v.optional(v.array(v.looseObject({ type: v.literal("wandb") }))),
  method: v.optional(
    v.strictObject({
      type: v.picklist(["supervised", "dpo"]),
      supervised: v.optional(
        v.strictObject({ hyperparameters: v.optional(v.strictObject(numbers)) }),
      ),
      dpo: v.optional(
        v.strictObject({
          hyperparameters: v.optional(v.strictObject({ ...numbers, beta: v.optional(v.number()) })),
        }),
      ),
    }),
  ),
});
const V1 = v.looseObject({ model: v.string(), training_file: v.string() });
const versions: Readonly<Record<string, typeof Classic | typeof Preview>> = {
  "2023-03-15-preview": Classic,
  "2024-10-21": Classic,
  "2025-04-01-preview": Preview,
};

interface Call {
  readonly request: FakeRequest;
  readonly v1: boolean;
  readonly schema: v.GenericSchema<unknown, { model: string; training_file: string }>;
  readonly now: number;
}

/** Starts a server that behaves as Azure OpenAI, its classic API and v1. */
export async function startFakeAzure(options: FakeAzureOptions = {}): Promise<FakeAzure> {
  const { apiKey = "fake-azure-key", now = () => Math.floor(Date.now() / 1000) } = options;
  const state: FakeAzureState = { files: new Map(), jobs: new Map(), uploads: new Map() };
  const server = await startServer((request) => {
    const answer = answerSafely(request, () => {
      checkHeaders(request, apiKey);
      return route(findCall(request, now()), state);
    });
    const ids = { "apim-request-id": crypto.randomUUID(), "x-ms-region": "Sweden Central" };
    return { ...answer, headers: { ...answer.headers, ...ids } };
  });
  return {
    ...server,
    url: server.origin,
    apiKey,
    state,
    addFile: (createdAt, fields = {}, content = "{}\n") =>
      storeFile(state, createdAt, Buffer.from(content), fields),
    addJob: (createdAt, fields = {}) => storeJob(state, createdAt, fields),
  };
}

function answerJson(value: unknown, status = 200, headers = {}): FakeAnswer {
  const body = JSON.stringify(value);
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

function answerSafely(request: FakeRequest, answer: () => FakeAnswer): FakeAnswer {
  try {
    return answer();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { message, param, code, type } = error.fields;
    const v1 = request.path.startsWith("/openai/v1/");
    if (v1) return answerJson({ error: { message, type, param, code } }, error.status);
    const microsoft = { code: code ?? "invalidPayload", message, ...(param && { target: param }) };
    return answerJson({ error: microsoft }, error.status);
  }
}

function checkHeaders({ headers, query, body }: FakeRequest, apiKey: string): void {
  if (headers.get("api-key") !== apiKey) {
    throw new Refusal(
      401,
      "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
      { code: "401" },
    );
  }
  for (const name of headers.keys()) {
    if (/^(authorization|cookie|x-stainless.*|custom-llm.*|openai-.*)$/.test(name)) {
      throw new Refusal(400, `fake: header ${name} was forwarded`);
    }
  }
  if (headers.has("transfer-encoding")) throw new Refusal(411, "fake: no length");
  if (query.has("custom_llm_provider") || body.includes('"custom_llm_provider"')) {
    throw new Refusal(400, "fake: a routing hint was forwarded");
  }
}

function findCall(request: FakeRequest, now: number): Call {
  const version = request.query.get("api-version");
  if (/^(\/api\/projects\/[^/]+)?\/openai\/v1\//.test(request.path)) {
    if (version !== null && (version !== "preview" || request.path.startsWith("/api/"))) {
      throw new Refusal(400, "API version not supported", { code: "BadRequest" });
    }
    return { request, v1: true, schema: V1, now };
  }
  const schema = versions[version ?? ""];
  if (schema === undefined || !request.path.startsWith("/openai/")) throw notFound();
  return { request, v1: false, schema, now };
}

function notFound(): Refusal {
  return new Refusal(404, "Resource not found", { code: "404" });
}

function route(call: Call, state: FakeAzureState): FakeAnswer {
  const { request } = call;
  const path = request.path.replace(/^.*?\/openai(\/v1)?\//, "");
  const names = path.split("/").map(decodeURIComponent);
  const rest = names[0] === "fine_tuning" && names[1] === "jobs" ? names.slice(2) : names.slice(1);
  const [id, action = "", ...more] = rest;
  if (more.length > 0 || names.includes("")) throw notFound();
  const resource = names.slice(0, names.length - rest.length).join("/");
  const answer =
    resource === "files"
      ? answerFiles(call, state, id, action)
      : resource === "uploads"
        ? answerUploads(call, state, id, action)
        : resource === "fine_tuning/jobs"
          ? answerJobs(call, state, id, action)
          : undefined;
  if (answer === undefined) throw notFound();
  return answer;
}

function checkParameters({ request }: Call, known: readonly string[]): void {
  for (const name of request.query.keys()) {
    if (name !== "api-version" && !known.includes(name)) {
      throw new Refusal(400, `Unknown parameter ${name}`, { param: name });
    }
  }
}

function makeId(prefix: string): string {
  return `${prefix}${crypto.randomUUID().replaceAll("-", "")}`;
}

function storeFile(
  { files }: FakeAzureState,
  createdAt: number,
  content: Buffer,
  fields: Record<string, unknown>,
): Item {
  const object: Item = {
    id: makeId("file-"),
    object: "file",
    status: "pending",
    bytes: content.length,
    purpose: "fine-tune",
    filename: "train.jsonl",
    created_at: createdAt,
    ...fields,
  };
  files.set(object.id, { object, content });
  return object;
}

function answerFiles(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, v1, now } = call;
  const operation = `${request.method} ${action}`;
  if (operation === "POST " && id === undefined) {
    const { fields, file } = readForm(request, "file");
    const { purpose, ...others } = Object.fromEntries(fields);
    if (purpose !== "fine-tune") throw new Refusal(400, "Bad purpose", { param: "purpose" });
    const [unknown] = Object.keys(others).filter((name) => !name.startsWith("expires_after["));
    if (unknown !== undefined) throw new Refusal(400, `Unknown field ${unknown}`);
    const object = storeFile(state, now, file.content, { filename: file.filename });
    return answerJson(object, 201, { location: `${request.path}/${object.id}` });
  }
  requireNoBody(request);
  checkParameters(call, id === undefined ? ["purpose"] : []);
  if (operation === "GET " && id === undefined) {
    const purpose = request.query.get("purpose");
    const data = [...state.files.values()]
      .map(({ object }) => object)
      .filter((object) => purpose === null || object.purpose === purpose);
    const page = { object: "list", data };
    return answerJson(v1 ? { ...withEnds(page), has_more: false } : page);
  }
  const file = state.files.get(id ?? "");
  if (file === undefined) {
    throw new Refusal(404, `The specified file '${id}' was not found.`, { code: "notFound" });
  }
  if (operation === "GET ") return answerJson(file.object);
  if (operation === "GET content") {
    const headers = { "content-type": "application/octet-stream" };
    return { status: 200, headers, body: file.content };
  }
  if (operation !== "DELETE ") return undefined;
  state.files.delete(file.object.id);
  return answerJson({ object: "file", deleted: true, id });
}

function readForm(request: FakeRequest, name: string) {
  try {
    const { fields, files } = parseForm(request.headers.get("content-type"), request.body);
    const [file] = files;
    if (files.length === 1 && file?.name === name) return { fields, file };
  } catch (error) {
    throw new Refusal(400, `fake: ${error}`);
  }
  throw new Refusal(400, `fake: expected exactly one file, in '${name}'`);
}

function storeJob(
  { jobs }: FakeAzureState,
  createdAt: number,
  fields: Record<string, unknown>,
): Item {
  const id = makeId("ftjob-");
  const object: Item = {
    object: "fine_tuning.job",
    id,
    created_at: createdAt,
    status: "pending",
    model: "gpt-4o-mini-2024-07-18",
    training_file: "file-0",
    organisation_id: "",
    result_files: null,
    ...fields,
  };
  const event = (level: string, message: string) => ({
    object: "fine_tuning.job.event",
    id: makeId("ftevent-"),
    created_at: createdAt,
    level,
    message,
    type: "message",
  });
  const events = [event("info", "Job enqueued."), event("warning", "Training is slow.")];
  const checkpoints = [10, 20].map((step) => ({
    object: "fine_tuning.job.checkpoint",
    id: makeId("ftchkpt-"),
    created_at: createdAt + step,
    fine_tuned_model_checkpoint: `gpt-4o-mini-2024-07-18.${id.replace("ftjob", "ft")}:ckpt-${step}`,
    fine_tuning_job_id: id,
    step_number: step,
    metrics: { step, train_loss: 0.5 },
  }));
  jobs.set(id, { object, events, checkpoints });
  return object;
}

function answerJobs(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, v1, now } = call;
  const operation = `${request.method} ${action}`;
  const paged = id === undefined || action === "events" || action === "checkpoints";
  checkParameters(call, request.method === "GET" && paged ? ["after", "limit"] : []);
  if (operation === "POST " && id === undefined) {
    const fields = readJson(call, call.schema);
    if (!state.files.has(fields.training_file)) {
      throw new Refusal(400, "The training file does not exist.", { param: "training_file" });
    }
    const status = v1 ? "queued" : "pending";
    const object = storeJob(state, now, { ...fields, status });
    return answerJson(object, 201, { location: `${request.path}/${object.id}` });
  }
  requireNoBody(request);
  if (operation === "GET " && id === undefined) {
    const objects = [...state.jobs.values()].map(({ object }) => object);
    return answerJson({ object: "list", ...takePage(request, objects, { limit: 20, most: 100 }) });
  }
  const job = state.jobs.get(id ?? "");
  if (job === undefined) {
    throw new Refusal(404, `The fine-tuning job '${id}' was not found.`, { code: "notFound" });
  }
  const commands: Readonly<Record<string, string>> = {
    "POST cancel": "cancelled",
    ...(v1 && { "POST pause": "paused", "POST resume": "resuming" }),
  };
  const status = commands[operation];
  if (status !== undefined) {
    if (/^(succeeded|failed|cancelled)$/.test(String(job.object.status))) {
      throw new Refusal(409, "The job is in a final state.", { code: "conflict" });
    }
    job.object.status = status;
    return answerJson(job.object);
  }
  if (operation === "GET ") return answerJson(job.object);
  if (operation === "GET events") {
    return answerJson({
      object: "list",
      ...takePage(request, job.events, { limit: 20, most: 100 }),
    });
  }
  if (operation !== "GET checkpoints") return undefined;
  const page = takePage(request, job.checkpoints, { limit: 10, most: 100 });
  return answerJson({ object: "list", ...page });
}

function readJson<Value>({ request }: Call, schema: v.GenericSchema<unknown, Value>): Value {
  if (request.headers.get("content-type") !== "application/json") {
    throw new Refusal(415, "fake: the body is not JSON");
  }
  const result = v.safeParse(schema, JSON.parse(request.body.toString()));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Refusal(400, issue.message, { param: v.getDotPath(issue) });
}

const CreateUpload = v.strictObject({
  purpose: v.string(),
  filename: v.string(),
  bytes: v.number(),
  mime_type: v.string(),
});
const CompleteUpload = v.strictObject({
  part_ids: v.array(v.string()),
  md5: v.optional(v.string()),
});

function answerUploads(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, now } = call;
  checkParameters(call, []);
  if (request.method !== "POST") return undefined;
  if (id === undefined) {
    const { filename, bytes, purpose } = readJson(call, CreateUpload);
    const object = { id: makeId("upload_"), object: "upload", created_at: now, status: "pending" };
    const expiry = { expires_at: now + 7200, file: null };
    state.uploads.set(object.id, {
      object: { ...object, filename, bytes, purpose, ...expiry },
      parts: new Map(),
    });
    return answerJson(state.uploads.get(object.id)?.object);
  }
  const upload = state.uploads.get(id);
  if (upload === undefined) throw new Refusal(404, "No such upload.", { code: "notFound" });
  if (action === "parts") {
    const part = { id: makeId("part_"), object: "upload.part", created_at: now, upload_id: id };
    upload.parts.set(part.id, readForm(request, "data").file.content);
    return answerJson({ ...part, azure_block_id: "AAAA" });
  }
  if (action === "complete") {
    const { part_ids } = readJson(call, CompleteUpload);
    const parts = part_ids.map((part) => upload.parts.get(part) ?? Buffer.alloc(0));
    const { filename, purpose } = upload.object;
    upload.object.file = storeFile(state, now, Buffer.concat(parts), { filename, purpose });
    upload.object.status = "completed";
    return answerJson(upload.object);
  }
  if (action !== "cancel") return undefined;
  requireNoBody(request);
  upload.object.status = "cancelled";
  return answerJson(upload.object);
}
