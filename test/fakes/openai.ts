import {
  answerJson,
  checkQuery,
  type Item,
  makeToken,
  Refusal,
  requireNoBody,
} from "./openai/answers.ts";
import { answerFile, createFile, type Files, listFiles, storeFile } from "./openai/files.ts";
import { answerGrader } from "./openai/graders.ts";
import {
  advanceJob,
  answerJob,
  createJob,
  type Jobs,
  listJobs,
  storeJob,
  tunableModels,
} from "./openai/jobs.ts";
import { answerPermissions, type Permissions } from "./openai/permissions.ts";
import { answerUpload, createUpload, type Uploads } from "./openai/uploads.ts";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "./server.ts";

export type { Fault } from "./server.ts";

/** How a fake of OpenAI's API behaves. */
export interface FakeOpenAIOptions {
  /** The only key that is let in; `sk-fake-key` if absent. */
  readonly apiKey?: string;
  /** The values that these headers must have; absent ones must not be sent. */
  readonly organization?: string;
  readonly project?: string;
  /** Headers that must be sent beside, lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Refuses new jobs as OpenAI does since it closes fine-tuning. */
  readonly trainingClosed?: boolean;
  /** The clock, Unix seconds. */
  readonly now?: () => number;
  /** Larger bodies than that are left out of `requests`. */
  readonly keptBytes?: number;
}

/** What the fake account holds; tests may look and change. */
export interface FakeOpenAIState {
  readonly files: Files;
  readonly jobs: Jobs;
  readonly uploads: Uploads;
  readonly permissions: Permissions;
}

/** A running fake of OpenAI's API. */
export interface FakeOpenAI
  extends Pick<
    FakeServer,
    "requests" | "inject" | "countConnections" | "countOpenConnections" | "stop"
  > {
  /** What an `api_base` should be: ends in `/v1`. */
  readonly url: string;
  readonly apiKey: string;
  readonly state: FakeOpenAIState;
  /** What arrived that the real service would let pass but a gateway must never send. */
  readonly violations: readonly string[];
  /** Stores a file created at `createdAt`, Unix seconds, and returns its object. */
  addFile(
    createdAt: number,
    file?: { filename?: string; purpose?: string; content?: string | Buffer },
  ): Item;
  /** Stores a job created at `createdAt`; `fields` override what it would hold. */
  addJob(createdAt: number, fields?: Record<string, unknown>): Item;
  /** Takes a job to a status; `succeeded` adds nine steps, three checkpoints and a result file. */
  advanceJob(
    id: string,
    status: "queued" | "running" | "pausing" | "paused" | "succeeded" | "failed" | "cancelled",
  ): Item;
}

/** Starts a server that behaves as OpenAI's API and refuses what it should not be sent. */
export async function startFakeOpenAI(options: FakeOpenAIOptions = {}): Promise<FakeOpenAI> {
  const { apiKey = "sk-fake-key", now = () => Math.floor(Date.now() / 1000) } = options;
  const violations: string[] = [];
  const state: FakeOpenAIState = {
    files: new Map(),
    jobs: new Map(),
    uploads: new Map(),
    permissions: new Map(),
  };

  const server = await startServer((request) => {
    const extra = {
      "x-request-id": `req_${makeToken(32).toLowerCase()}`,
      "openai-organization": options.organization ?? "org-fake",
      "openai-processing-ms": "12",
      "openai-version": "2020-10-01",
    };
    const answer = answerSafely(() => {
      checkKey(request, apiKey);
      const violation = findViolation(request, options);
      if (violation !== undefined) {
        violations.push(violation);
        throw new Refusal(400, `fake: ${violation}`);
      }
      return route(request, { state, options, now: now() });
    });
    return { ...answer, headers: { ...answer.headers, ...extra } };
  }, options.keptBytes);

  return {
    ...server,
    url: `${server.origin}/v1`,
    apiKey,
    state,
    violations,
    addFile(createdAt, { filename = "train.jsonl", purpose = "fine-tune", content = "{}\n" } = {}) {
      return storeFile(state.files, createdAt, {
        filename,
        purpose,
        content: Buffer.from(content),
      });
    },
    addJob: (createdAt, fields = {}) => storeJob(state.jobs, createdAt, fields),
    advanceJob(id, status) {
      const job = state.jobs.get(id);
      if (job === undefined) throw new Error(`The fake has no job ${id}`);
      return advanceJob(job, state.files, now(), status);
    },
  };
}

interface Service {
  readonly state: FakeOpenAIState;
  readonly options: FakeOpenAIOptions;
  readonly now: number;
}

function answerSafely(answer: () => FakeAnswer): FakeAnswer {
  try {
    return answer();
  } catch (error) {
    if (error instanceof Refusal) return answerJson({ error: error.fields }, error.status);
    throw error;
  }
}

function checkKey(request: FakeRequest, apiKey: string): void {
  const authorization = request.headers.get("authorization");
  if (authorization === `Bearer ${apiKey}`) return;
  const sent = authorization?.replace(/^Bearer /, "") ?? "";
  const masked = `${sent.slice(0, 8)}*****${sent.slice(-4)}`;
  throw new Refusal(
    401,
    `Incorrect API key provided: ${masked}. You can find your API key at https://platform.openai.com/account/api-keys.`,
    { code: "invalid_api_key" },
  );
}

function findViolation(request: FakeRequest, options: FakeOpenAIOptions): string | undefined {
  const { headers, query, body } = request;
  const expected = {
    "openai-organization": options.organization,
    "openai-project": options.project,
    ...options.headers,
  };
  for (const [name, value] of Object.entries(expected)) {
    if (headers.get(name) !== (value ?? null)) return `header ${name} is ${headers.get(name)}`;
  }
  for (const name of headers.keys()) {
    if (/^(x-stainless|x-forwarded|custom-llm|cookie$|api-key$|forwarded$)/.test(name)) {
      return `header ${name} was forwarded`;
    }
  }
  if (headers.has("transfer-encoding")) return "a body came without its length";
  if (query.has("custom_llm_provider") || query.has("provider")) return "a hint in the query";
  const json = headers.get("content-type")?.includes("json") && body.toString("utf8");
  if (json && /"custom_llm_provider"\s*:/.test(json)) return "a hint in the body";
  return undefined;
}

function route(request: FakeRequest, service: Service): FakeAnswer {
  const [version, ...names] = request.path.split("/").slice(1).map(decodeURIComponent);
  const depth = names[0] === "fine_tuning" ? 2 : 1;
  const [id, action, last, ...more] = names.slice(depth);
  const known = version === "v1" && !names.includes("") && more.length === 0;
  const resource = known ? names.slice(0, depth).join("/") : "";
  const answer =
    id === undefined
      ? answerCollection(request, service, resource)
      : answerItem(request, service, resource, id, action ?? "", last ?? "");
  if (answer !== undefined) return answer;
  throw new Refusal(404, `Invalid URL (${request.method} ${request.path})`);
}

function answerCollection(
  request: FakeRequest,
  { state: { files, jobs, uploads }, options, now }: Service,
  resource: string,
): FakeAnswer | undefined {
  switch (`${request.method} ${resource}`) {
    case "POST files":
      return createFile(files, now, request);
    case "GET files":
      return listFiles(files, request);
    case "POST uploads":
      return createUpload(uploads, now, request);
    case "GET models":
      return listModels(request);
    case "GET fine_tuning/jobs":
      return listJobs(jobs, request);
    case "POST fine_tuning/jobs":
      if (options.trainingClosed) throw trainingClosed();
      return createJob(jobs, files, now, request);
    default:
      return undefined;
  }
}

function answerItem(
  request: FakeRequest,
  { state: { files, jobs, uploads, permissions }, now }: Service,
  resource: string,
  id: string,
  action: string,
  last: string,
): FakeAnswer | undefined {
  if (resource === "fine_tuning/checkpoints" && action === "permissions") {
    return answerPermissions(permissions, now, request, id, last);
  }
  if (last !== "") return undefined;
  switch (resource) {
    case "files":
      return answerFile(files, request, id, action);
    case "uploads":
      return answerUpload(uploads, files, now, request, id, action);
    case "models":
      return action === "" ? getModel(request, id) : undefined;
    case "fine_tuning/jobs":
      return answerJob(jobs, files, now, request, id, action);
    case "fine_tuning/alpha":
      return id === "graders" ? answerGrader(request, action) : undefined;
    default:
      return undefined;
  }
}

function trainingClosed(): Refusal {
  return new Refusal(
    403,
    "OpenAI is winding down the fine-tuning platform and your organization is no longer able to create new fine-tuning training jobs.",
    { code: "training_not_available" },
  );
}

const models = tunableModels.map((id) => ({
  id,
  object: "model",
  created: 1_686_935_002,
  owned_by: "system",
}));

function listModels(request: FakeRequest): FakeAnswer {
  requireNoBody(request);
  checkQuery(request, []);
  return answerJson({ object: "list", data: models });
}

function getModel(request: FakeRequest, id: string): FakeAnswer | undefined {
  if (request.method !== "GET") return undefined;
  requireNoBody(request);
  checkQuery(request, []);
  const model = models.find((one) => one.id === id);
  if (model !== undefined) return answerJson(model);
  throw new Refusal(404, `The model '${id}' does not exist`, {
    param: "model",
    code: "model_not_found",
  });
}
