import * as v from "valibot";
import { type NamedBackend, unsupported } from "../backends.ts";
import { followClient } from "../client-signal.ts";
import { checkCostLimit } from "../cost/limit.ts";
import { ApiError, badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import {
  type Exchange,
  type Query,
  readLimit,
  readMetadataFilter,
  readQuery,
} from "../http/exchange.ts";
import { readHint, readJson } from "../http/json.ts";
import { readPage, type Source } from "../lists.ts";
import { fetchJob, hintedBackend, locate, readLocated, remember, toEntry } from "../location.ts";
import { completeCheckpoint, completeEvent, completeJob } from "../objects.ts";
import type { Fields, JobFields, JobRequest, ListName, PageQuery } from "../provider.ts";
import { answerList, answerWith, changing } from "./answers.ts";
import { answerDryRun, readDryRun } from "./dry-run.ts";
import { answerJob, showJob, warnUnchecked } from "./job-answers.ts";
import { ownCursor, readMergedPage } from "./pages.ts";

const maxItemsPerPage = 10_000;

// Types only: ranges are the backend's to check, so that what OpenAI allows tomorrow passes today.
const text = v.pipe(v.string(), v.nonEmpty());
// valibot's own object schemas take arrays too.
const object = v.custom<Fields>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);
// valibot's record passes over keys such as "constructor".
const metadata = v.custom<Readonly<Record<string, string>>>(
  (value) =>
    v.is(object, value) && Object.values(value).every((entry) => typeof entry === "string"),
  "an object of strings",
);
const jobRequestSchema = v.looseObject({
  model: text,
  training_file: text,
  validation_file: v.exactOptional(v.nullable(v.string())),
  suffix: v.exactOptional(v.nullable(v.string())),
  seed: v.exactOptional(v.nullable(v.pipe(v.number(), v.integer()))),
  hyperparameters: v.exactOptional(object),
  method: v.exactOptional(v.intersect([object, v.looseObject({ type: v.string() })])),
  integrations: v.exactOptional(v.nullable(v.array(object))),
  metadata: v.exactOptional(v.nullable(metadata)),
});

/** POST /fine_tuning/jobs */
export async function createJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const { signal } = exchange.request;
  const query = readQuery(exchange, ["dry_run"]);
  const dryRun = readDryRun(query);
  const body = await readJson(exchange.request, gateway.settings.idleSeconds);
  const hint = hintedBackend(gateway, exchange, query, body.hint);
  const request = readJobRequest(body.fields);
  const backend = hint ?? (await locateTrainingFile(gateway, request, signal));
  await gateway.reports.requireEnough(backend, request.training_file);
  if (dryRun) return await answerDryRun(gateway, exchange, backend, request);
  const waiting = followClient(signal, gateway.stopping);
  const unchecked = await checkCostLimit(gateway, backend, request, waiting);
  try {
    const job = await changing(backend.jobs.createJob(request, gateway.stopping));
    await gateway.ledger.record("job", [toEntry(backend, job)]);
    const response = answerJob(gateway, exchange, backend, job);
    return unchecked === undefined ? response : warnUnchecked(gateway, job, unchecked, response);
  } catch (error) {
    throw nameAlternatives(gateway, backend, error);
  }
}

/** The fields themselves, not the schema's copy of them, so that nothing can get lost. */
function readJobRequest(fields: Fields): JobRequest {
  try {
    v.assert(jobRequestSchema, fields);
    return fields;
  } catch (error) {
    if (!v.isValiError(error)) throw error;
    const [issue] = error.issues;
    const param = v.getDotPath(issue) ?? "";
    const missing = issue.received === "undefined";
    throw badRequest(
      missing
        ? `Cannot create the job: "${param}" is missing`
        : `Cannot create the job: "${param}" must be ${describe(issue)}`,
      param,
      missing ? "missing_required_parameter" : "invalid_type",
    );
  }
}

function describe(issue: v.BaseIssue<unknown>): string {
  if (issue.message === "an object of strings") return issue.message;
  if (issue.type === "custom" || issue.expected === "Object") return "an object";
  if (issue.type === "non_empty") return "a string that is not empty";
  if (issue.type === "integer") return "a whole number";
  return (issue.expected ?? "of another type").replaceAll("(", "").replaceAll(")", "");
}

/** A job goes where its training file lives. */
async function locateTrainingFile(
  gateway: Gateway,
  request: JobRequest,
  signal: AbortSignal,
): Promise<NamedBackend> {
  const id = request.training_file;
  try {
    return (await locate(gateway, "file", id, undefined, signal)).backend;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new ApiError(404, error.message, { param: "training_file", code: error.code });
  }
}

/** OpenAI closes fine-tuning: an organisation that is shut out learns where it can still go. */
function nameAlternatives(gateway: Gateway, backend: NamedBackend, error: unknown): unknown {
  if (!(error instanceof ApiError) || error.code !== "training_not_available") return error;
  const others = gateway.backends.all.filter((other) => other !== backend);
  if (others.length === 0) return error;
  const names = others.map(({ name }) => `"${name}"`).join(", ");
  const { status, type, param, code, headers, retry } = error;
  return new ApiError(
    status,
    `${error.message} Other configured backends that could take the job: ${names}.`,
    { type, param, code, headers, retry, cause: error },
  );
}

/** GET /fine_tuning/jobs */
export async function listJobs(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange, ["after", "limit", "metadata", "metadata["]);
  const limit = readLimit(query, 20, maxItemsPerPage);
  const metadata = readMetadataFilter(query);
  const hint = hintedBackend(gateway, exchange, query);
  const filter = metadata === undefined ? {} : { metadata };
  const backends = hint === undefined ? gateway.backends.all : [hint];
  const sources = backends.map(
    ({ name, jobs }): Source<JobFields> => ({
      backend: name,
      startsAfter: jobs.cursors?.includes("jobs") ?? false,
      read: (page, signal) => jobs.listJobs({ ...filter, ...page }, signal),
      ...(metadata !== undefined && { keep: (job: JobFields) => hasMetadata(job, metadata) }),
    }),
  );
  const page = await readMergedPage(
    gateway,
    sources,
    { kind: "job", limit, order: "desc", after: query.values.get("after") },
    exchange.request.signal,
  );
  const named = new Map(backends.map((backend) => [backend.name, backend]));
  const complete = (job: JobFields, name: string) => {
    const backend = named.get(name);
    return backend === undefined ? completeJob(job) : showJob(gateway, backend, job);
  };
  return answerList(gateway, exchange, page, { complete, ends: false });
}

function hasMetadata(job: JobFields, filter: Readonly<Record<string, string>> | null): boolean {
  const metadata = new Map<string, unknown>(Object.entries(job.metadata ?? {}));
  if (filter === null) return metadata.size === 0;
  return Object.entries(filter).every(([key, value]) => metadata.get(key) === value);
}

/** GET /fine_tuning/jobs/{id} */
export async function getJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const { signal } = exchange.request;
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const read = ({ jobs }: NamedBackend) => fetchJob(jobs, id, signal);
  const { location, found: job } = await readLocated(gateway, "job", id, hint, signal, read);
  await remember(gateway, "job", location, job);
  return answerJob(gateway, exchange, location.backend, job);
}

/** POST /fine_tuning/jobs/{id}/cancel */
export async function cancelJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  return await changeJob(gateway, exchange, "cancelJob", "cancel a job");
}

/** POST /fine_tuning/jobs/{id}/pause */
export async function pauseJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  return await changeJob(gateway, exchange, "pauseJob", "pause a job");
}

/** POST /fine_tuning/jobs/{id}/resume */
export async function resumeJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  return await changeJob(gateway, exchange, "resumeJob", "resume a job");
}

/** DELETE /fine_tuning/jobs/{id}, which OpenAI does not have and Azure has. */
export async function deleteJob(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const query = readQuery(exchange);
  const bodyHint = await readHint(exchange.request, gateway.settings.idleSeconds, "delete a job");
  const hint = hintedBackend(gateway, exchange, query, bodyHint);
  const { backend } = await locate(gateway, "job", id, hint, exchange.request.signal);
  if (backend.jobs.deleteJob === undefined) throw unsupported(backend, "delete a job");
  await changing(backend.jobs.deleteJob(id, gateway.stopping));
  await gateway.ledger.forget("job", id);
  return answerWith(exchange, { id, object: "fine_tuning.job", deleted: true });
}

async function changeJob(
  gateway: Gateway,
  exchange: Exchange,
  method: "cancelJob" | "pauseJob" | "resumeJob",
  operation: string,
): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const query = readQuery(exchange);
  const bodyHint = await readHint(exchange.request, gateway.settings.idleSeconds, operation);
  const hint = hintedBackend(gateway, exchange, query, bodyHint);
  const location = await locate(gateway, "job", id, hint, exchange.request.signal);
  const { jobs } = location.backend;
  if (jobs[method] === undefined) throw unsupported(location.backend, operation);
  const job = await changing(jobs[method](id, gateway.stopping));
  await remember(gateway, "job", location, job);
  return answerJob(gateway, exchange, location.backend, job);
}

/** GET /fine_tuning/jobs/{id}/events */
export async function listEvents(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const part = await readJobPart(gateway, exchange, 20);
  const list = part.backend.jobs.listJobEvents?.bind(part.backend.jobs);
  if (list === undefined) throw unsupported(part.backend, "list the events of a job");
  const page = await readPart(
    part,
    "events",
    (query, signal) => list(part.id, query, signal),
    exchange,
  );
  return answerList(gateway, exchange, page, { complete: completeEvent, ends: false });
}

/** GET /fine_tuning/jobs/{id}/checkpoints */
export async function listCheckpoints(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const part = await readJobPart(gateway, exchange, 10);
  const list = part.backend.jobs.listJobCheckpoints?.bind(part.backend.jobs);
  if (list === undefined) throw unsupported(part.backend, "list the checkpoints of a job");
  const page = await readPart(
    part,
    "checkpoints",
    (query, signal) => list(part.id, query, signal),
    exchange,
  );
  const complete = (item: Parameters<typeof completeCheckpoint>[0]) =>
    completeCheckpoint(item, part.id);
  return answerList(gateway, exchange, page, { complete, ends: true });
}

interface JobPart {
  readonly id: string;
  readonly backend: NamedBackend;
  readonly query: Query;
  readonly limit: number;
}

async function readJobPart(gateway: Gateway, exchange: Exchange, usual: number): Promise<JobPart> {
  const id = exchange.ids[0] ?? "";
  const query = readQuery(exchange, ["after", "limit"]);
  const limit = readLimit(query, usual, maxItemsPerPage);
  const hint = hintedBackend(gateway, exchange, query);
  const { backend } = await locate(gateway, "job", id, hint, exchange.request.signal);
  return { id, backend, query, limit };
}

async function readPart<Item extends { readonly id: string; readonly created_at: number }>(
  { backend, query, limit }: JobPart,
  name: ListName,
  list: (query: PageQuery, signal: AbortSignal) => AsyncIterable<Item>,
  exchange: Exchange,
) {
  const source: Source<Item> = {
    backend: backend.name,
    startsAfter: backend.jobs.cursors?.includes(name) ?? false,
    read: list,
  };
  const after = ownCursor(query.values.get("after"), backend.name);
  const page = { limit, order: "desc", after, timeoutSeconds: 0 } as const;
  return await readPage([source], page, exchange.request.signal);
}
