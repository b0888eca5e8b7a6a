import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "../server.ts";
import {
  answerTensorboard,
  type FakeSeries,
  storeExperiment,
  type TensorboardState,
} from "./tensorboard.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  invalid,
  readObject,
  takePage,
  VertexRefusal,
} from "./vertex-answers.ts";
import { readTuningJob } from "./vertex-fields.ts";

/** How a fake of Vertex AI behaves. */
export interface FakeVertexOptions {
  /** Whether an access token is let in; `fake-access-token` alone if absent. */
  readonly accepts?: (token: string) => boolean;
  /** Whether there is an object at a `gs://` URI; always if absent. */
  readonly exists?: (uri: string) => boolean;
  /** The number of the first job; no two jobs at Google have the same. */
  readonly firstNumber?: bigint;
}

/** A running fake of Vertex AI: one project, known by id and number, in one location. */
export interface FakeVertex extends Pick<FakeServer, "requests" | "inject" | "stop"> {
  /** Where `/v1` is. */
  readonly url: string;
  readonly project: "my-project";
  readonly number: "123456789012";
  readonly location: "us-central1";
  /** By their numbers, in the order in which they are listed. */
  readonly jobs: Map<string, Item>;
  readonly tensorboard: TensorboardState;
  /** How many reads a cancelled job takes to end; 1 if not set. */
  cancelReads: number;
  /** Stores a job; `fields` override those of one that waits. */
  addJob(fields?: Item): Item & { readonly number: string };
  /** Gives a job its experiment with these curves. */
  addCurves(job: Item, series: readonly FakeSeries[]): void;
}

const project = "my-project";
const number = "123456789012";
const location = "us-central1";
const parent = `projects/${number}/locations/${location}`;
const jobPageSize = 3;
const models = ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.5-flash"];

/** Starts a server that behaves as Vertex AI does for tuning jobs and their metrics. */
export async function startFakeVertex(options: FakeVertexOptions = {}): Promise<FakeVertex> {
  const { accepts = (token) => token === "fake-access-token", exists = () => true } = options;
  const { firstNumber = 6753283646234001408n } = options;
  const jobs = new Map<string, Item>();
  const readsLeft = new Map<string, number>();
  const tensorboard: TensorboardState = { contexts: new Map(), series: new Map() };

  function addJob(fields: Item = {}): Item & { readonly number: string } {
    const id = String(firstNumber + BigInt(jobs.size));
    const now = new Date().toISOString().replace("Z", "456Z");
    const job: Item = {
      name: `${parent}/tuningJobs/${id}`,
      baseModel: "gemini-2.5-flash",
      state: "JOB_STATE_PENDING",
      createTime: now,
      updateTime: now,
      tunedModelDisplayName: `tuned-${id}`,
      ...("preferenceOptimizationSpec" in fields
        ? {}
        : { supervisedTuningSpec: { trainingDatasetUri: "gs://bucket/train.jsonl" } }),
      ...fields,
    };
    jobs.set(id, job);
    return Object.assign(job, { number: id });
  }

  const server = await startServer((request) => {
    try {
      checkHeaders(request, accepts);
      const name = resolveName(request);
      const answer = answerJobs(request, name) ?? answerTensorboard(request, name, tensorboard);
      return answer ?? notFound(request);
    } catch (error) {
      if (error instanceof VertexRefusal) return error.answer;
      throw error;
    }
  });

  function answerJobs(request: FakeRequest, name: string): FakeAnswer | undefined {
    const [, id, action = ""] = /\/tuningJobs(?:\/([^/:]+)(:\w+)?)?$/.exec(name) ?? [];
    const operation = `${request.method} ${id === undefined ? "jobs" : `job${action}`}`;
    if (!name.startsWith(`${parent}/tuningJobs`)) return undefined;
    if (operation === "POST jobs") return createJob(request);
    if (operation === "GET jobs") {
      checkQuery(request, ["filter", "pageSize", "pageToken"]);
      return answerJson(takePage(request, [...jobs.values()].map(show), "tuningJobs", jobPageSize));
    }
    checkQuery(request, []);
    const job = jobs.get(id ?? "");
    if (job === undefined) {
      throw new VertexRefusal("NOT_FOUND", `The TuningJob "${name}" does not exist.`);
    }
    if (operation === "GET job") return answerJson(show(readJob(id ?? "", job)));
    if (operation !== "POST job:cancel") return undefined;
    if (Object.keys(readObject(request)).length > 0) throw invalid(undefined, "fake: not empty");
    return cancelJob(id ?? "", job);
  }

  function createJob(request: FakeRequest): FakeAnswer {
    checkQuery(request, []);
    const fields = readTuningJob(readObject(request));
    checkJob(fields, exists);
    return answerJson(show(addJob(fields)));
  }

  function cancelJob(id: string, job: Item): FakeAnswer {
    if (/_(SUCCEEDED|FAILED|CANCELLED|EXPIRED)$/.test(String(job.state))) {
      throw new VertexRefusal(
        "FAILED_PRECONDITION",
        `The TuningJob is in state ${job.state} and cannot be cancelled.`,
      );
    }
    job.state = "JOB_STATE_CANCELLING";
    readsLeft.set(id, fake.cancelReads);
    return answerJson({});
  }

  function readJob(id: string, job: Item): Item {
    const left = readsLeft.get(id);
    if (left === undefined) return job;
    readsLeft.set(id, left - 1);
    if (left > 1) return job;
    readsLeft.delete(id);
    const error = { code: 1, message: "The job was cancelled by the user." };
    return Object.assign(job, { state: "JOB_STATE_CANCELLED", endTime: now(), error });
  }

  const fake: FakeVertex = {
    ...server,
    url: server.origin,
    ...{ project, number, location, jobs, tensorboard, addJob },
    cancelReads: 1,
    addCurves(job, series) {
      const id = String(job.name).split("/").at(-1) ?? "";
      job.experiment = storeExperiment(tensorboard, parent, id, series);
    },
  };
  return fake;
}

function now(): string {
  return new Date().toISOString();
}

/** Without what only the fake knows. */
function show({ number: _, ...job }: Item): Item {
  return job;
}

function checkHeaders({ headers, body }: FakeRequest, accepts: (token: string) => boolean): void {
  const [, token] = /^Bearer (\S+)$/.exec(headers.get("authorization") ?? "") ?? [];
  if (token === undefined || !accepts(token)) {
    throw new VertexRefusal(
      "UNAUTHENTICATED",
      "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
    );
  }
  for (const name of headers.keys()) {
    if (/^(cookie|x-stainless.*|custom-llm.*|openai-.*)$/.test(name)) {
      throw invalid(undefined, `fake: header ${name} was forwarded`);
    }
  }
  if (body.includes('"custom_llm_provider"'))
    throw invalid(undefined, "fake: a hint was forwarded");
}

/** The name of the resource by the project's number, as Google keeps it. */
function resolveName({ path }: FakeRequest): string {
  const [, version, of, place, ...rest] = path.split("/").map(decodeURIComponent);
  if (version !== "v1" || of !== "projects") throw new VertexRefusal("NOT_FOUND", "Not Found");
  if (place !== project && place !== number) {
    throw new VertexRefusal(
      "PERMISSION_DENIED",
      `Permission 'aiplatform.tuningJobs.list' denied on resource '//aiplatform.googleapis.com/projects/${place}' (or it may not exist).`,
    );
  }
  if (rest[0] !== "locations" || rest[1] !== location) {
    throw invalid(undefined, `The location ${rest[1]} does not match the endpoint's ${location}.`);
  }
  return ["projects", number, ...rest].join("/");
}

function checkJob(fields: Item, exists: (uri: string) => boolean): void {
  const { baseModel, preTunedModel, supervisedTuningSpec, preferenceOptimizationSpec } = fields;
  if ((baseModel === undefined) === (preTunedModel === undefined)) {
    throw invalid("tuning_job", "Exactly one of base_model and pre_tuned_model must be set.");
  }
  if (baseModel !== undefined && !models.includes(String(baseModel))) {
    throw invalid("tuning_job.base_model", `Base model ${baseModel} is not supported.`);
  }
  if ((supervisedTuningSpec === undefined) === (preferenceOptimizationSpec === undefined)) {
    throw invalid("tuning_job", "Exactly one of the tuning specs must be set.");
  }
  const spec = Object.entries(supervisedTuningSpec ?? preferenceOptimizationSpec ?? {});
  const uris = spec.filter(([name]) => name.endsWith("DatasetUri"));
  if (!uris.some(([name]) => name === "trainingDatasetUri")) {
    throw invalid("tuning_job.training_dataset_uri", "Required field is not set.");
  }
  for (const [, uri] of uris) {
    if (exists(String(uri))) continue;
    throw invalid(undefined, `The dataset ${uri} does not exist or cannot be read.`);
  }
  if ([...String(fields.tunedModelDisplayName ?? "")].length > 128) {
    throw invalid("tuning_job.tuned_model_display_name", "The display name is too long.");
  }
}

function notFound(request: FakeRequest): FakeAnswer {
  return answerJson(
    { error: { code: 404, message: `Method not found: ${request.path}`, status: "NOT_FOUND" } },
    404,
  );
}
