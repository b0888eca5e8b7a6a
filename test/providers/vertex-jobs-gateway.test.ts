import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import vertexAi from "../../providers/vertex_ai/index.ts";
import { type FakeStorage, startFakeStorage } from "../fakes/google/storage.ts";
import { type FakeTokens, startFakeTokens } from "../fakes/google/token.ts";
import { type FakeVertex, startFakeVertex } from "../fakes/google/vertex.ts";
import { catchError, startTestGateway, type TestGateway } from "../support/gateway.ts";

// The unmodified SDK, which repeats what it may, through the gateway to two projects of Vertex AI.

const training_file = "gs://bucket/train.jsonl";
let tokens: FakeTokens;
let storage: FakeStorage;
let first: FakeVertex;
let second: FakeVertex;
let gateway: TestGateway;
let client: OpenAI;

beforeEach(async () => {
  tokens = await startFakeTokens();
  const accepts = (token: string) => tokens.tokens.includes(token);
  storage = await startFakeStorage({ accepts });
  storage.addObject("train.jsonl", "{}\n");
  const exists = (uri: string) => storage.objects.has(uri.replace("gs://bucket/", ""));
  first = await startFakeVertex({ accepts, exists });
  second = await startFakeVertex({ accepts, exists, firstNumber: 77n });
  gateway = await startTestGateway({
    providers: { vertex_ai: vertexAi },
    config: `finetune_settings:\n${describeBackend("vertex_ai", first)}${describeBackend("second", second)}`,
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "unused", maxRetries: 2 });
});

afterEach(async () => {
  await gateway.stop();
  await Promise.all([tokens, storage, first, second].map((server) => server.stop()));
});

function describeBackend(name: string, { project, url }: FakeVertex): string {
  const options = {
    custom_llm_provider: "vertex_ai",
    name,
    vertex_project: project,
    vertex_credentials: JSON.stringify(tokens.serviceAccount),
    gcs_bucket_name: `bucket/${name}`,
    api_base: url,
    storage_base: storage.origin,
  };
  return `  - ${JSON.stringify(options)}\n`;
}

async function createJob(fields: object = {}) {
  const request = { model: "gemini-2.5-flash", training_file, custom_llm_provider: "vertex_ai" };
  return await client.fineTuning.jobs.create({ ...request, ...fields } as never);
}

function countCreates({ requests }: FakeVertex): number {
  return requests.filter(({ method, path }) => method === "POST" && path.endsWith("/tuningJobs"))
    .length;
}

test("a job is created, read, cancelled and told of", async () => {
  const { id, ...created } = await createJob({
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2 } } },
    metadata: { team: "a" },
  });
  expect(created).toMatchObject({ object: "fine_tuning.job", status: "queued", seed: 0 });
  expect(await client.fineTuning.jobs.retrieve(id)).toMatchObject({ id, ...created });
  const cancelled = await client.fineTuning.jobs.cancel(id);
  expect(cancelled.status).toBe("cancelled");
  const events = await client.fineTuning.jobs.listEvents(id);
  expect(events.data.map(({ message }) => message)).toEqual([
    "The job has been cancelled",
    `Created fine-tuning job: ${id}`,
  ]);
});

test("a job goes where its training file lives, and both keep their ids", async () => {
  const line = JSON.stringify({
    messages: [
      { role: "user", content: "Grüß Gott 👋" },
      { role: "assistant", content: "Servus" },
    ],
  });
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${line}\n`.repeat(10)), "train.jsonl"),
    purpose: "fine-tune",
    custom_llm_provider: "second",
  } as never);
  const model = "gemini-2.5-pro";
  const { id } = await client.fineTuning.jobs.create({ model, training_file: file.id });
  expect(countCreates(second)).toBe(1);
  expect(await client.fineTuning.jobs.retrieve(id)).toMatchObject({
    training_file: file.id,
    model,
  });
});

test("two projects make one list, which pages exactly by any id", async () => {
  for (const day of [1, 4, 5, 8]) first.addJob({ createTime: `2026-11-0${day}T00:00:00Z` });
  for (const day of [2, 3, 6, 7]) second.addJob({ createTime: `2026-11-0${day}T00:00:00Z` });
  const days: number[] = [];
  for await (const { created_at } of client.fineTuning.jobs.list({ limit: 1 })) {
    days.push(new Date(created_at * 1000).getUTCDate());
  }
  expect(days).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
});

test("events page by their ids, and results are a file", async () => {
  const endTime = "2026-11-01T10:40:00Z";
  const job = first.addJob({ state: "JOB_STATE_SUCCEEDED", createTime: endTime, endTime });
  const values = Array.from({ length: 30 }, (_, step) => ({ step, wallTime: endTime, value: 0.5 }));
  first.addCurves(job, [{ displayName: "/train_total_loss", values }]);
  const seen: string[] = [];
  for await (const { id } of client.fineTuning.jobs.listEvents(`ftjob-${job.number}`, {
    limit: 7,
  })) {
    seen.push(id);
  }
  expect(new Set(seen).size).toBe(32);
  expect(seen.length).toBe(32);
  const { result_files } = await client.fineTuning.jobs.retrieve(`ftjob-${job.number}`);
  const [file = ""] = result_files;
  expect((await client.files.retrieve(file)).purpose).toBe("fine-tune-results");
  const text = await (await client.files.content(file)).text();
  expect(text.split("\n").length).toBe(32);
});

describe("a create is sent once, whatever Google answers:", () => {
  test.each([
    [{ answer: { status: 409, body: "{}" } }, 409],
    [{ answer: { status: 429, body: "{}" } }, 429],
    [{ answer: { status: 500, body: "{}" } }, 502],
    [{ answer: { status: 503, body: "<html>" } }, 502],
    [{ carriedOut: true, reset: true }, 502],
    [{ carriedOut: true, answer: { status: 200, body: "garbage" } }, 502],
  ] as const)("%j", async (fault, status) => {
    first.inject({ method: "POST", ...fault });
    const error = await catchError(async () => await createJob());
    expect(error).toMatchObject({ status });
    expect(countCreates(first)).toBe(1);
  });
});

test("a training file that is not there is named before Google is asked", async () => {
  const error = await catchError(
    async () => await createJob({ training_file: "gs://bucket/other.jsonl" }),
  );
  expect(error).toMatchObject({ status: 404, param: "training_file" });
  expect(countCreates(first)).toBe(0);
});

test("a training file that only Google may read is left to Google", async () => {
  storage.inject({ answer: { status: 403, body: "{}" } });
  await createJob();
  expect(countCreates(first)).toBe(1);
});

test("a cancel of what has ended is refused once, and a pause or resume touches nothing", async () => {
  const { number } = first.addJob({ state: "JOB_STATE_SUCCEEDED" });
  const id = `ftjob-${number}`;
  const hint = { headers: { "custom-llm-provider": "vertex_ai" } };
  expect(await catchError(async () => await client.fineTuning.jobs.cancel(id, hint))).toMatchObject(
    {
      status: 400,
      code: "failed_precondition",
    },
  );
  const { length } = first.requests;
  for (const act of ["pause", "resume"] as const) {
    const error = await catchError(async () => await client.fineTuning.jobs[act](id, hint));
    expect(error).toMatchObject({ status: 400, code: "unsupported_operation" });
  }
  expect(first.requests.length).toBe(length);
});
