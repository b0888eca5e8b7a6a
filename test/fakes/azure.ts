import { answerJson, type Call, type FakeAzureState } from "./azure/calls.ts";
import { answerFiles, storeFile } from "./azure/files.ts";
import { V1, versions } from "./azure/job-request.ts";
import { answerJobs, storeJob } from "./azure/jobs.ts";
import { answerUploads } from "./azure/uploads.ts";
import { type Item, Refusal } from "./openai/answers.ts";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "./server.ts";

/** How a fake of Azure OpenAI behaves. */
export interface FakeAzureOptions {
  /** The only key that is let in; `fake-azure-key` if absent. */
  readonly apiKey?: string;
  /** Whether a token is let in for an audience such as `https://ai.azure.com`; none if absent. */
  readonly acceptsToken?: (token: string, audience: string) => boolean;
  /** The clock, Unix seconds. */
  readonly now?: () => number;
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

/** Starts a server that behaves as Azure OpenAI, its classic API and v1. */
export async function startFakeAzure(options: FakeAzureOptions = {}): Promise<FakeAzure> {
  const { apiKey = "fake-azure-key", now = () => Math.floor(Date.now() / 1000) } = options;
  const state: FakeAzureState = {
    files: new Map(),
    jobs: new Map(),
    uploads: new Map(),
    importing: [],
  };
  const server = await startServer((request) => {
    const answer = answerSafely(request, () => {
      checkCredential(request, apiKey, options.acceptsToken);
      checkHeaders(request);
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
      storeFile(state, createdAt, Buffer.from(content), { status: "processed", ...fields }),
    addJob: (createdAt, fields = {}) => storeJob(state, createdAt, fields),
  };
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

function checkCredential(
  { headers, path }: FakeRequest,
  apiKey: string,
  acceptsToken: FakeAzureOptions["acceptsToken"] = () => false,
): void {
  const key = headers.get("api-key");
  const authorization = headers.get("authorization");
  if (key !== null && authorization !== null) throw new Refusal(400, "fake: two credentials");
  if (authorization !== null) {
    const audience = path.startsWith("/api/projects/")
      ? "https://ai.azure.com"
      : "https://cognitiveservices.azure.com";
    const token = /^Bearer ([\x21-\x7e]+)$/.exec(authorization)?.[1];
    if (token !== undefined && acceptsToken(token, audience)) return;
    throw new Refusal(
      401,
      `Unauthorized. Access token is missing, invalid, audience is incorrect (${audience}), or have expired.`,
      { code: "401" },
    );
  }
  if (key !== apiKey) {
    throw new Refusal(
      401,
      "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
      { code: "401" },
    );
  }
}

function checkHeaders({ headers, query, body }: FakeRequest): void {
  for (const name of headers.keys()) {
    if (/^(cookie|x-stainless.*|custom-llm.*|openai-.*)$/.test(name)) {
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
    return { request, v1: true, expires: true, schema: V1, now };
  }
  const schema = versions[version ?? ""];
  if (schema === undefined || !request.path.startsWith("/openai/")) throw notFound();
  const expires = version === "2025-04-01-preview";
  return { request, v1: false, expires, schema, now };
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
  const routes = { files: answerFiles, uploads: answerUploads, "fine_tuning/jobs": answerJobs };
  const answerRoute = new Map(Object.entries(routes)).get(resource);
  const answer = answerRoute?.(call, state, id, action);
  if (answer === undefined) throw notFound();
  return answer;
}
