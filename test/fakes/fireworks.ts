import { answerJson, bodies, Refusal, readBody } from "./fireworks/bodies.ts";
import { parseForm } from "./form.ts";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "./server.ts";

/** How a fake of Fireworks AI's API behaves. */
export interface FakeFireworksOptions {
  /** The most that a page of a list holds, whatever is asked for; 2 if absent. */
  readonly pageLimit?: number;
  /** Cuts display names after so many characters; never if absent. */
  readonly longestDisplayName?: number;
}

/** A dataset as the fake keeps it. */
export interface FakeDataset {
  readonly fields: Record<string, unknown>;
  file?: { readonly filename: string; readonly content: Buffer };
}

/** A running fake of Fireworks AI's control plane and of the store that its signed URLs lead to. */
export interface FakeFireworks extends Pick<FakeServer, "requests" | "inject" | "stop"> {
  /** What an `api_base` should be: ends in `/v1`. */
  readonly url: string;
  readonly apiKey: string;
  readonly accountId: string;
  /** What the signed URLs carry, which is as good as a key. */
  readonly signature: string;
  /** By their names, `accounts/…/datasets/…`. */
  readonly datasets: Map<string, FakeDataset>;
  /** By their names, as the API shows them. */
  readonly jobs: Map<string, Record<string, unknown>>;
  /** The kinds of the models of accounts, by their names. */
  readonly models: Map<string, string>;
  /** Changes what is kept of a job, by the id that ends its name. */
  changeJob(id: string, fields: Readonly<Record<string, unknown>>): void;
  /** Takes a job to its good end. */
  finishJob(id: string): void;
}

const account = "accounts/acme";
const apiKey = "fw_a-secret-of-fireworks";
const signature = "signature-that-nobody-else-may-have";

const finalStates = ["COMPLETED", "FAILED", "CANCELLED", "EXPIRED"].map((s) => `JOB_STATE_${s}`);

/** Starts a server that behaves as Fireworks AI's API and refuses what that would not take. */
export async function startFakeFireworks(
  options: FakeFireworksOptions = {},
): Promise<FakeFireworks> {
  const { pageLimit = 2, longestDisplayName = Number.POSITIVE_INFINITY } = options;
  const datasets = new Map<string, FakeDataset>();
  const jobs = new Map<string, Record<string, unknown>>();
  const models = new Map<string, string>();
  let time = Date.now() - 1_000_000;
  let count = 0;

  function tell(): string {
    time += 250;
    // With nanoseconds, as Google's clocks write it.
    return new Date(time).toISOString().replace("Z", "456789Z");
  }

  function createDataset(json: unknown): object {
    const { datasetId, dataset } = readBody(bodies.datasets, json);
    const name = `${account}/datasets/${datasetId}`;
    if (datasets.has(name)) throw new Refusal(409, 6, "dataset already exists");
    const { displayName = "", ...rest } = dataset;
    const shown = displayName.slice(0, longestDisplayName);
    const times = { createTime: tell(), updateTime: tell() };
    const fields = {
      ...rest,
      name,
      displayName: shown,
      state: "UPLOADING",
      status: null,
      ...times,
    };
    datasets.set(name, { fields });
    return fields;
  }

  function storeFile(dataset: FakeDataset, request: FakeRequest): object {
    const form = parseForm(request.headers.get("content-type"), request.body);
    const [file, ...others] = form.files;
    if (file?.name !== "file" || others.length + form.fields.length > 0) {
      throw new Refusal(400, 3, "the form must have one file");
    }
    if (!file.filename.endsWith(".jsonl")) throw new Refusal(400, 3, "the file must be .jsonl");
    const text = file.content.toString("utf8");
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    if (String(lines.length) !== dataset.fields.exampleCount) {
      throw new Refusal(400, 3, `the dataset has ${lines.length} examples`);
    }
    dataset.file = file;
    dataset.fields.state = "READY";
    const { length: bytes } = file.content;
    return { id: "x", object: "file", bytes, filename: file.filename, purpose: "fine-tune" };
  }

  function createJob(list: "supervisedFineTuningJobs" | "dpoJobs", json: unknown): object {
    const body =
      list === "dpoJobs"
        ? readBody(bodies.dpoJobs, json)
        : readBody(bodies.supervisedFineTuningJobs, json);
    const config = "trainingConfig" in body ? body.trainingConfig : body;
    const { baseModel, warmStartFrom } = config;
    if ((baseModel === undefined) === (warmStartFrom === undefined)) {
      throw new Refusal(400, 3, "exactly one of base_model and warm_start_from must be given");
    }
    if (baseModel === "accounts/fireworks/models/untunable") {
      throw new Refusal(400, 3, "model is not tunable");
    }
    if (!datasets.has(body.dataset)) throw new Refusal(404, 5, "dataset not found");
    count += 1;
    const id = `b7get${count}`;
    const outputModel = config.outputModel ?? `${account}/models/ft-${id}`;
    // The gateway writes out what is empty.
    const empty = { epochs: 0, learningRate: 0, maxContextLength: null, warmStartFrom: "" };
    const trained = { ...empty, ...config, outputModel };
    const own = "trainingConfig" in body ? { trainingConfig: trained } : trained;
    const job = {
      ...{ displayName: "", ...body, ...own, createTime: tell(), completedTime: null },
      ...{ state: "JOB_STATE_CREATING", status: { code: "OK", message: "" }, estimatedCost: null },
      name: `${account}/${list}/${id}`,
    };
    jobs.set(job.name, job);
    return job;
  }

  function finish(job: Record<string, unknown>, state: string): void {
    Object.assign(job, { state: `JOB_STATE_${state}`, completedTime: tell() });
  }

  function answerJob(job: Record<string, unknown>, call: string): object {
    if (call === "GET") {
      const shown = { ...job };
      if (job.state === "JOB_STATE_CANCELLING") finish(job, "CANCELLED");
      return shown;
    }
    if (call === "DELETE") {
      // It goes in steps, and is still shown meanwhile.
      Object.assign(job, { state: "JOB_STATE_DELETING" });
      return {};
    }
    if (call === "POST:cancel") {
      if (finalStates.includes(String(job.state))) throw new Refusal(400, 9, "the job has ended");
      job.state = "JOB_STATE_CANCELLING";
      return {};
    }
    if (call === "POST:resume") {
      if (job.state !== "JOB_STATE_PAUSED") throw new Refusal(400, 9, "the job is not paused");
      job.state = "JOB_STATE_PENDING";
      return job;
    }
    throw new Refusal(404, 5, "Not Found");
  }

  function answerDataset(name: string, verb: string, request: FakeRequest): object {
    const dataset = datasets.get(name);
    if (dataset === undefined) throw new Refusal(404, 5, "dataset not found");
    if (verb === "GET") return dataset.fields;
    if (verb === "POST:upload") return storeFile(dataset, request);
    if (verb === "DELETE") {
      datasets.delete(name);
      return {};
    }
    if (verb !== "GET:getDownloadEndpoint") throw new Refusal(404, 5, "Not Found");
    if (dataset.file === undefined) return {};
    const url = `${server.origin}/store/${name}/${dataset.file.filename}?X-Goog-Signature=${signature}&X-Goog-Credential=a%2Fb`;
    return { filenameToSignedUrls: { [dataset.file.filename]: url } };
  }

  function listPage(list: string, items: readonly object[], query: URLSearchParams): object {
    for (const name of query.keys()) {
      if (!["pageSize", "pageToken"].includes(name)) throw new Refusal(400, 3, `unknown ${name}`);
    }
    const start = Number(query.get("pageToken") ?? 0);
    const end = start + Math.min(Number(query.get("pageSize") ?? 50), pageLimit);
    const page = items.slice(start, end);
    return {
      ...(page.length > 0 && { [list]: page }),
      nextPageToken: end < items.length ? String(end) : "",
      totalSize: items.length,
    };
  }

  function answerCall(request: FakeRequest): object {
    if (request.headers.get("authorization") !== `Bearer ${apiKey}`) {
      throw new Refusal(401, 16, `invalid key ${request.headers.get("authorization")}`);
    }
    const path = request.path.split("/").map(decodeURIComponent).join("/");
    const [, name, list, , verb] =
      /^\/v1\/(accounts\/[^/]+\/(\w+)(\/[^/:]+)?)(:\w+)?$/.exec(path) ?? [];
    if (name === undefined || list === undefined) throw new Refusal(404, 5, "Not Found");
    const call = `${request.method}${verb ?? ""}`;
    const json = () => JSON.parse(request.body.toString("utf8"));
    if (name === `${account}/${list}`) {
      const named = [...datasets.values()].map(({ fields }) => fields);
      const all = list === "datasets" ? named : [...jobs.values()];
      const own = all
        .filter((one) => String(one.name).startsWith(`${name}/`))
        .sort((one, other) => (String(one.name) < String(other.name) ? -1 : 1));
      if (call === "GET") return listPage(list, own, request.query);
      if (call === "POST" && list === "datasets") return createDataset(json());
      if (call === "POST" && (list === "supervisedFineTuningJobs" || list === "dpoJobs")) {
        return createJob(list, json());
      }
    }
    if (list === "datasets") return answerDataset(name, call, request);
    const kind = models.get(name);
    if (call === "GET" && kind !== undefined) return { name, kind, state: "READY" };
    const job = jobs.get(name);
    if (job === undefined) throw new Refusal(404, 5, `${list} not found`);
    return answerJob(job, call);
  }

  function answerStore({ path, query, headers }: FakeRequest): FakeAnswer {
    const dataset = datasets.get(path.split("/").slice(2, 6).join("/"));
    const isSigned =
      query.get("X-Goog-Signature") === signature && query.get("X-Goog-Credential") === "a/b";
    if (!isSigned || headers.has("authorization")) {
      return { status: 403, headers: {}, body: "<Error>SignatureDoesNotMatch</Error>" };
    }
    if (dataset?.file === undefined) return { status: 404, headers: {}, body: "<Error/>" };
    const { content } = dataset.file;
    const type = { "content-type": "application/octet-stream" };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
    if (from === undefined) return { status: 200, headers: type, body: content };
    const range = { "content-range": `bytes ${from}-${to}/${content.length}` };
    const part = content.subarray(Number(from), Number(to) + 1);
    return { status: 206, headers: { ...type, ...range }, body: part };
  }

  const server = await startServer((request) => {
    if (request.path.startsWith("/store/")) return answerStore(request);
    try {
      return answerJson(200, answerCall(request));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, message } = error;
      return answerJson(status, { code, message, details: [] });
    }
  });

  function findJob(id: string): Record<string, unknown> {
    const job = [...jobs.values()].find(({ name }) => id.endsWith(`${name}`.split("/")[3] ?? "?"));
    if (job === undefined) throw new Error(`The fake has no job ${id}`);
    return job;
  }

  return {
    ...{ datasets, jobs, models, apiKey, signature, accountId: "acme" },
    url: `${server.origin}/v1`,
    requests: server.requests,
    inject: server.inject,
    stop: server.stop,
    changeJob: (id, fields) => void Object.assign(findJob(id), fields),
    finishJob: (id) => finish(findJob(id), "COMPLETED"),
  };
}
