import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { JobRequest } from "../../src/provider.ts";
import { type FakeVertex, startFakeVertex } from "../fakes/google/vertex.ts";
import { last } from "./backends.ts";
import { connectAccount } from "./vertex-account.ts";

const { signal } = new AbortController();
const training_file = "gs://bucket/train.jsonl";
const least: JobRequest = { model: "gemini-2.5-flash", training_file };
let fake: FakeVertex;

beforeEach(async () => {
  fake = await startFakeVertex();
});
afterEach(() => fake.stop());

async function create(request: JobRequest, options = {}) {
  const job = await connectAccount(fake, options).createJob(request, signal);
  const { method, path, body } = last(fake.requests);
  expect(`${method} ${path}`).toBe("POST /v1/projects/my-project/locations/us-central1/tuningJobs");
  return { job, sent: JSON.parse(body.toString()) };
}

describe("createJob() carries out", () => {
  test("the least that a request may hold, and leaves out what is null or auto", async () => {
    const nothing = { validation_file: null, suffix: null, seed: null, integrations: null };
    const requests: JobRequest[] = [
      least,
      { ...least, ...nothing, metadata: null, adapter_size: null },
      { ...least, integrations: [], metadata: {} },
      {
        ...least,
        hyperparameters: { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" },
      },
      { ...least, method: { type: "supervised" } },
      {
        ...least,
        method: { type: "supervised", supervised: { hyperparameters: { adapter_size: "auto" } } },
      },
    ];
    for (const request of requests) {
      const { sent, job } = await create(request);
      expect(sent).toEqual({
        baseModel: "gemini-2.5-flash",
        supervisedTuningSpec: { trainingDatasetUri: training_file },
      });
      expect(job).toMatchObject({ status: "queued", model: "gemini-2.5-flash" });
      expect(job.id).toMatch(/^ftjob-\d+$/);
    }
  });

  test("everything that Vertex AI has", async () => {
    const { sent, job } = await create(
      {
        ...least,
        validation_file: "gs://bucket/valid.jsonl",
        suffix: "my run – 10 ✓",
        method: {
          type: "supervised",
          supervised: {
            hyperparameters: { n_epochs: 3, learning_rate_multiplier: 0.5, adapter_size: 4 },
          },
        },
        metadata: { team: "a-1", größe: "7", empty: "" },
        export_last_checkpoint_only: true,
      },
      {
        labels: { cost: "12" },
        service_account: "tuner@my-project.iam.gserviceaccount.com",
        encryption_key: "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
      },
    );
    expect(sent).toEqual({
      baseModel: "gemini-2.5-flash",
      tunedModelDisplayName: "my run – 10 ✓",
      labels: { cost: "12", team: "a-1", größe: "7", empty: "" },
      serviceAccount: "tuner@my-project.iam.gserviceaccount.com",
      encryptionSpec: { kmsKeyName: "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k" },
      supervisedTuningSpec: {
        trainingDatasetUri: training_file,
        validationDatasetUri: "gs://bucket/valid.jsonl",
        hyperParameters: {
          epochCount: "3",
          learningRateMultiplier: 0.5,
          adapterSize: "ADAPTER_SIZE_FOUR",
        },
        exportLastCheckpointOnly: true,
      },
    });
    expect(job).toMatchObject({
      metadata: { team: "a-1", größe: "7", empty: "" },
      adapter_size: 4,
      hyperparameters: { n_epochs: 3, batch_size: "auto", learning_rate_multiplier: 0.5 },
    });
  });

  test("preferences, with their beta", async () => {
    const hyperparameters = { beta: 0.1, n_epochs: 2, adapter_size: 1, batch_size: "auto" };
    const { sent, job } = await create({
      ...least,
      method: { type: "dpo", dpo: { hyperparameters } },
    });
    expect(sent).toEqual({
      baseModel: "gemini-2.5-flash",
      preferenceOptimizationSpec: {
        trainingDatasetUri: training_file,
        hyperParameters: { epochCount: "2", adapterSize: "ADAPTER_SIZE_ONE", beta: 0.1 },
      },
    });
    expect(job.method).toEqual({
      type: "dpo",
      dpo: {
        hyperparameters: {
          n_epochs: 2,
          batch_size: "auto",
          learning_rate_multiplier: "auto",
          beta: 0.1,
        },
      },
    });
  });

  test.each([
    [1, "ONE"],
    [2, "TWO"],
    [4, "FOUR"],
    [8, "EIGHT"],
    [16, "SIXTEEN"],
    [32, "THIRTY_TWO"],
    ["ADAPTER_SIZE_EIGHT", "EIGHT"],
  ])("the adapter size %p wherever it is given", async (adapter_size, name) => {
    const hyperparameters = { adapter_size };
    for (const fields of [
      { adapter_size },
      { hyperparameters },
      { method: { type: "supervised", supervised: { hyperparameters } } },
      { adapter_size, hyperparameters },
    ]) {
      const { sent } = await create({ ...least, ...fields });
      expect(sent.supervisedTuningSpec.hyperParameters).toEqual({
        adapterSize: `ADAPTER_SIZE_${name}`,
      });
    }
  });

  test("a file by the id that the gateway gave to its URI", async () => {
    const { job } = await create(least);
    const { sent } = await create({ ...least, training_file: job.training_file });
    expect(sent.supervisedTuningSpec.trainingDatasetUri).toBe(training_file);
  });
});

describe("createJob() refuses", () => {
  const method = (hyperparameters: unknown, type = "supervised") => ({
    method: { type, [type]: { hyperparameters } },
  });
  const long = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`k${at}`, "v"]));

  test.each<[object, string]>([
    [{ hyperparameters: { batch_size: 4 } }, "hyperparameters.batch_size"],
    [method({ batch_size: 4 }), "method.supervised.hyperparameters.batch_size"],
    [method({ batch_size: 4 }, "dpo"), "method.dpo.hyperparameters.batch_size"],
    [method({ n_epochs: "3" }), "method.supervised.hyperparameters.n_epochs"],
    [method({ n_epochs: 1.5 }), "method.supervised.hyperparameters.n_epochs"],
    [method({ n_epochs: 0 }), "method.supervised.hyperparameters.n_epochs"],
    [method({ beta: 0.1 }), "method.supervised.hyperparameters.beta"],
    [method({ beta: "x" }, "dpo"), "method.dpo.hyperparameters.beta"],
    [
      method({ learning_rate_multiplier: -1 }),
      "method.supervised.hyperparameters.learning_rate_multiplier",
    ],
    [method({ adapter_size: 3 }), "method.supervised.hyperparameters.adapter_size"],
    [method([]), "method.supervised.hyperparameters"],
    [{ hyperparameters: { adapter_size: "4" } }, "hyperparameters.adapter_size"],
    [{ adapter_size: true }, "adapter_size"],
    [{ adapter_size: 4, hyperparameters: { adapter_size: 8 } }, "hyperparameters.adapter_size"],
    [{ adapter_size: "constructor" }, "adapter_size"],
    [{ export_last_checkpoint_only: "yes" }, "export_last_checkpoint_only"],
    [{ seed: 0 }, "seed"],
    [{ integrations: [{ type: "wandb", wandb: { project: "p" } }] }, "integrations"],
    [
      { method: { type: "reinforcement", reinforcement: { grader: { type: "python" } } } },
      "method.type",
    ],
    [{ method: { type: "guess" } }, "method.type"],
    [{ method: { type: "constructor" } }, "method.type"],
    [{ suffix: "" }, "suffix"],
    [{ suffix: "x".repeat(65) }, "suffix"],
    [{ metadata: { Team: "a" } }, "metadata.Team"],
    [{ metadata: { team: "A" } }, "metadata.team"],
    [{ metadata: { "1st": "a" } }, "metadata.1st"],
    [{ metadata: { team: "a b" } }, "metadata.team"],
    [{ metadata: { team: "x".repeat(64) } }, "metadata.team"],
    [{ metadata: { ["k".repeat(64)]: "v" } }, `metadata.${"k".repeat(64)}`],
    [{ metadata: { constructor: "Function" } }, "metadata.constructor"],
    [{ metadata: { cost: "0" } }, "metadata.cost"],
    [{ metadata: long }, "metadata"],
    [{ trainingType: "Standard" }, "trainingType"],
    [{ training_file: "train.jsonl" }, "training_file"],
    [{ training_file: "gs://bucket" }, "training_file"],
    [{ training_file: "file-abc" }, "training_file"],
    [{ validation_file: "file-abc" }, "validation_file"],
    [{ validation_file: "" }, "validation_file"],
  ])("%j, naming %s", async (fields, param) => {
    const many = Array.from({ length: 49 }, (_, at) => [`label${at}`, "v"]);
    const labels = { cost: "12", ...Object.fromEntries(many) };
    const account = connectAccount(fake, { labels });
    await expect(account.createJob({ ...least, ...fields }, signal)).rejects.toMatchObject({
      status: 400,
      param,
    });
    expect(fake.requests).toEqual([]);
  });
});

describe("createJob() tells", () => {
  test.each<[object, string]>([
    [{ model: "gemini-0" }, "model"],
    [{ training_file: "gs://gone/train.jsonl" }, "training_file"],
    [{ validation_file: "gs://gone/valid.jsonl" }, "validation_file"],
  ])("which field Google refuses: %j", async (fields, param) => {
    await fake.stop();
    fake = await startFakeVertex({ exists: (uri) => uri === training_file });
    const account = connectAccount(fake);
    await expect(account.createJob({ ...least, ...fields }, signal)).rejects.toMatchObject({
      status: 400,
      code: "invalid_argument",
      param,
    });
  });

  test.each([
    [403, "PERMISSION_DENIED", 403, /roles\/aiplatform\.user/],
    [409, "ABORTED", 409, /^said$/],
    [429, "RESOURCE_EXHAUSTED", 429, /quota/],
    [500, "INTERNAL", 502, /"main".*said/],
    [503, "UNAVAILABLE", 502, /"main".*said/],
  ])("what Google's %i means", async (code, word, status, message) => {
    const body = JSON.stringify({ error: { code, message: "said", status: word } });
    fake.inject({ answer: { status: code, body } });
    await expect(connectAccount(fake).createJob(least, signal)).rejects.toMatchObject({
      status,
      code: word.toLowerCase(),
      message: expect.stringMatching(message),
    });
    expect(fake.jobs.size).toBe(0);
  });

  test("that it cannot tell what became of a job whose answer is lost or garbage", async () => {
    const account = connectAccount(fake, {}, { timeout: 0.2 });
    for (const [fault, status] of [
      [{ carriedOut: true, reset: true }, 502],
      [{ carriedOut: true, answer: { status: 200, body: "{}" } }, 502],
      [{ cutOffAfter: 20 }, 502],
      [{ carriedOut: true, hang: true }, 504],
    ] as const) {
      fake.inject(fault);
      const error = await account.createJob(least, signal).catch((error) => error);
      expect(error).toMatchObject({ status });
      expect(error.retry).not.toBeTrue();
    }
    expect(fake.jobs.size).toBe(4);
  });
});

describe("the fake refuses what Vertex AI refuses:", () => {
  const spec = { trainingDatasetUri: training_file };
  const body = { baseModel: "gemini-2.5-flash", supervisedTuningSpec: spec };
  const tuned = (hyperParameters: object) => ({
    supervisedTuningSpec: { ...spec, hyperParameters },
  });

  async function post(fields: object, path = "projects/my-project/locations/us-central1") {
    const response = await fetch(`${fake.url}/v1/${path}/tuningJobs`, {
      method: "POST",
      headers: { authorization: "Bearer fake-access-token", "content-type": "application/json" },
      body: JSON.stringify({ ...body, ...fields }),
    });
    await response.body?.cancel();
    return response.status;
  }

  test("and takes what it takes, in snake_case and with numbers for int64 too", async () => {
    expect(await post({})).toBe(200);
    const hyper_parameters = { epoch_count: 3, adapter_size: "ADAPTER_SIZE_ONE" };
    const supervised_tuning_spec = { training_dataset_uri: training_file, hyper_parameters };
    expect(await post({ supervisedTuningSpec: undefined, supervised_tuning_spec })).toBe(200);
    expect([...fake.jobs.values()].at(-1)).toMatchObject({
      supervisedTuningSpec: {
        trainingDatasetUri: training_file,
        hyperParameters: { epochCount: "3", adapterSize: "ADAPTER_SIZE_ONE" },
      },
    });
  });

  test.each<object>([
    { validation_dataset: training_file },
    { supervisedTuningSpec: { ...spec, validation_dataset: training_file } },
    { state: "JOB_STATE_SUCCEEDED" },
    { supervisedTuningSpec: {} },
    { supervisedTuningSpec: undefined },
    { preferenceOptimizationSpec: spec },
    { reinforcementTuningSpec: spec },
    { preTunedModel: { tunedModelName: "projects/1/locations/l/models/1" } },
    { baseModel: undefined },
    { baseModel: 7 },
    tuned({ epochCount: "auto" }),
    tuned({ epochCount: 1.5 }),
    tuned({ batchSize: "4" }),
    tuned({ beta: 0.1 }),
    tuned({ adapterSize: 4 }),
    tuned({ adapterSize: "ADAPTER_SIZE_THREE" }),
    tuned({ learningRateMultiplier: "1" }),
    { labels: { Team: "a" } },
    { labels: { team: 1 } },
    { tunedModelDisplayName: "x".repeat(129) },
    { supervisedTuningSpec: { trainingDatasetUri: "file-1" } },
  ])("%j", async (fields) => {
    expect(await post(fields)).toBe(400);
  });

  test("another project and another location", async () => {
    expect(await post({}, "projects/other/locations/us-central1")).toBe(403);
    expect(await post({}, "projects/my-project/locations/europe-west4")).toBe(400);
  });
});
