import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { JobRequest } from "../../src/provider.ts";
import { type FakeVertex, startFakeVertex } from "../fakes/google/vertex.ts";
import { last } from "./backends.ts";
import { connectAccount, type VertexAccount } from "./vertex-account.ts";

const { signal } = new AbortController();
const training_file = "gs://bucket/train.jsonl";
const fileId = `file-gs-${Buffer.from("bucket/train.jsonl").toString("base64url")}`;
const query = { limit: 20 };
let fake: FakeVertex;
let account: VertexAccount;

beforeEach(async () => {
  fake = await startFakeVertex();
  account = connectAccount(fake);
});
afterEach(() => fake.stop());

async function listJobs(from: VertexAccount = account) {
  return await Array.fromAsync(from.listJobs(query, signal));
}

describe("getJob()", () => {
  test.each([
    [undefined, "queued"],
    ["JOB_STATE_UNSPECIFIED", "queued"],
    ["JOB_STATE_QUEUED", "queued"],
    ["JOB_STATE_PENDING", "queued"],
    ["JOB_STATE_RUNNING", "running"],
    ["JOB_STATE_UPDATING", "running"],
    ["JOB_STATE_CANCELLING", "running"],
    ["JOB_STATE_PAUSED", "paused"],
    ["JOB_STATE_SUCCEEDED", "succeeded"],
    ["JOB_STATE_PARTIALLY_SUCCEEDED", "succeeded"],
    ["JOB_STATE_FAILED", "failed"],
    ["JOB_STATE_EXPIRED", "failed"],
    ["JOB_STATE_CANCELLED", "cancelled"],
    ["JOB_STATE_DREAMING", "JOB_STATE_DREAMING"],
  ])("shows the state %s as %s", async (state, status) => {
    const { number } = fake.addJob({ state });
    const job = await account.getJob(`ftjob-${number}`, signal);
    expect<string>(job.status).toBe(status);
    expect(job.fine_tuned_model).toBeNull();
  });

  test("shows all that Google tells of a job that has succeeded", async () => {
    const endpoint = `projects/${fake.number}/locations/us-central1/endpoints/9876543210`;
    const { number } = fake.addJob({
      state: "JOB_STATE_SUCCEEDED",
      createTime: "2026-11-01T10:00:00.123456789Z",
      startTime: "2026-11-01T10:03:00Z",
      endTime: "2026-11-01T10:40:00.999999Z",
      tunedModelDisplayName: "my-run",
      labels: { team: "a", run_id: "7" },
      supervisedTuningSpec: {
        trainingDatasetUri: training_file,
        validationDatasetUri: "gs://bucket/valid.jsonl",
        hyperParameters: {
          epochCount: "3",
          learningRateMultiplier: 0.5,
          adapterSize: "ADAPTER_SIZE_THIRTY_TWO",
        },
      },
      tunedModel: { model: "projects/1/locations/us-central1/models/2@1", endpoint },
      tuningDataStats: {
        supervisedTuningDataStats: { totalBillableTokenCount: "40000", tuningStepCount: "30" },
      },
    });
    const job = await account.getJob(`ftjob-${number}`, signal);
    const hyperparameters = { n_epochs: 3, batch_size: "auto", learning_rate_multiplier: 0.5 };
    expect(job).toEqual({
      id: `ftjob-${number}`,
      created_at: Date.UTC(2026, 10, 1, 10) / 1000,
      finished_at: Date.UTC(2026, 10, 1, 10, 40) / 1000,
      estimated_finish: null,
      model: "gemini-2.5-flash",
      fine_tuned_model: endpoint,
      organization_id: "projects/123456789012",
      status: "succeeded",
      error: null,
      training_file: fileId,
      validation_file: `file-gs-${Buffer.from("bucket/valid.jsonl").toString("base64url")}`,
      result_files: [],
      trained_tokens: 120_000,
      hyperparameters,
      method: { type: "supervised", supervised: { hyperparameters } },
      metadata: { team: "a", run_id: "7" },
      tuned_model_display_name: "my-run",
      adapter_size: 32,
    });
  });

  test("knows no trained tokens where Google does not tell the epochs", async () => {
    const { number } = fake.addJob({
      state: "JOB_STATE_SUCCEEDED",
      tuningDataStats: { supervisedTuningDataStats: { totalBillableTokenCount: "40000" } },
    });
    const job = await account.getJob(`ftjob-${number}`, signal);
    expect(job.trained_tokens).toBeNull();
    expect(job.hyperparameters).toMatchObject({ n_epochs: "auto" });
  });

  test("shows no end and no model of a job that still runs, whatever Google sends along", async () => {
    const { number } = fake.addJob({
      state: "JOB_STATE_RUNNING",
      endTime: "2026-11-01T10:40:00Z",
      tunedModel: { endpoint: "projects/1/locations/us-central1/endpoints/1" },
      error: { code: 3, message: "not yet" },
    });
    const job = await account.getJob(`ftjob-${number}`, signal);
    expect(job).toMatchObject({ finished_at: null, fine_tuned_model: null, error: null });
  });

  test.each([
    [
      { code: 3, message: "Row 7 of gs://bucket/train.jsonl is bad" },
      "invalid_argument",
      "training_file",
    ],
    [{ code: 5, message: "No gs://bucket/valid.jsonl" }, "not_found", "validation_file"],
    [{ code: 13, message: "Internal error" }, "internal", null],
    [{ code: 99, message: "New" }, "code_99", null],
  ])("shows why a job has failed: %j", async (error, code, param) => {
    const { number } = fake.addJob({
      state: "JOB_STATE_FAILED",
      error,
      supervisedTuningSpec: {
        trainingDatasetUri: training_file,
        validationDatasetUri: "gs://bucket/valid.jsonl",
      },
    });
    const job = await account.getJob(`ftjob-${number}`, signal);
    expect(job.error).toEqual({ code, message: error.message, param });
  });

  test("has an error for what fails without one, and none for what was cancelled", async () => {
    const failed = fake.addJob({ state: "JOB_STATE_FAILED" });
    const expired = fake.addJob({ state: "JOB_STATE_EXPIRED" });
    const cancelled = fake.addJob({
      state: "JOB_STATE_CANCELLED",
      error: { code: 1, message: "x" },
    });
    const errors = await Promise.all(
      [failed, expired, cancelled].map(
        async ({ number }) => (await account.getJob(`ftjob-${number}`, signal)).error,
      ),
    );
    expect(errors).toEqual([
      { code: "unknown", message: "Vertex AI gives no reason", param: null },
      { code: "expired", message: "The job expired before it had ended", param: null },
      null,
    ]);
  });

  test("shows the model that a continued job started from", async () => {
    const preTunedModel = {
      tunedModelName: "projects/1/locations/us-central1/models/2@1",
      checkpointId: "3",
      baseModel: "gemini-2.5-flash",
    };
    const { number } = fake.addJob({ baseModel: undefined, preTunedModel });
    expect(await account.getJob(`ftjob-${number}`, signal)).toMatchObject({
      model: "gemini-2.5-flash",
      pre_tuned_model: { model: preTunedModel.tunedModelName, checkpoint_id: "3" },
    });
  });

  test("answers 404 for an id that Google does not know, and asks for none that it cannot know", async () => {
    await expect(account.getJob("ftjob-17", signal)).rejects.toMatchObject({
      status: 404,
      code: "not_found",
    });
    const { length } = fake.requests;
    for (const id of [
      "ftjob-abc",
      "17",
      "",
      "..",
      "ftjob-1/2",
      "ftjob-0",
      "file-1",
      `ftjob-${"9".repeat(40)}`,
    ]) {
      await expect(account.getJob(id, signal)).rejects.toMatchObject({ status: 404 });
    }
    expect(fake.requests.length).toBe(length);
  });

  test.each([
    ["no JSON", "<html>"],
    ["a list", "[]"],
    ["no name", '{"createTime":"2026-11-01T10:00:00Z"}'],
    ["a strange name", '{"name":"../x","createTime":"2026-11-01T10:00:00Z"}'],
    ["no time", '{"name":"projects/1/locations/l/tuningJobs/1"}'],
    ["a time that is none", '{"name":"projects/1/locations/l/tuningJobs/1","createTime":"soon"}'],
    [
      "a number for a state",
      '{"name":"projects/1/locations/l/tuningJobs/1","createTime":"2026-11-01T10:00:00Z","state":3}',
    ],
  ])("answers 502 for %s", async (_, body) => {
    fake.inject({ answer: { status: 200, body } });
    await expect(account.getJob("ftjob-1", signal)).rejects.toMatchObject({
      status: 502,
      code: "upstream_invalid_answer",
    });
  });

  test("answers 502 for a credential that is refused, 504 for a service that is silent", async () => {
    const stranger = connectAccount(fake, {}, { token: "another" });
    await expect(stranger.getJob("ftjob-1", signal)).rejects.toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
    });
    fake.inject({ hang: true });
    const hasty = connectAccount(fake, {}, { timeout: 0.1 });
    await expect(hasty.getJob("ftjob-1", signal)).rejects.toMatchObject({ status: 504 });
  });

  test("says what to grant after a 403", async () => {
    const elsewhere = connectAccount(fake, { vertex_project: "other-project" });
    await expect(elsewhere.getJob("ftjob-1", signal)).rejects.toMatchObject({
      status: 403,
      code: "permission_denied",
      message: expect.stringContaining("roles/aiplatform.user"),
    });
  });
});

describe("listJobs()", () => {
  test("reads every page and is newest first, in whatever order Google answers", async () => {
    const hours = [4, 9, 1, 7, 7, 2, 8, 3];
    for (const hour of hours) {
      fake.addJob({ createTime: `2026-11-01T0${hour}:00:00${hour % 2 ? "" : ".5"}Z` });
    }
    const jobs = await listJobs();
    expect(jobs.length).toBe(hours.length);
    const times = jobs.map(({ created_at }) => created_at);
    expect(times).toEqual(times.toSorted((one, other) => other - one));
    expect(await listJobs()).toEqual(jobs);
    expect(fake.requests.filter(({ query }) => query.has("pageToken")).length).toBe(4);
  });

  test("knows the empty page that Google writes as {}", async () => {
    expect(await listJobs()).toEqual([]);
  });

  test("lists jobs of every kind of tuning, also of one that is not known here", async () => {
    fake.addJob({
      preferenceOptimizationSpec: {
        trainingDatasetUri: training_file,
        hyperParameters: { beta: 0.1, epochCount: 2 },
      },
    });
    const others = ["reinforcementTuningSpec", "distillationSpec"];
    for (const name of others) {
      fake.addJob({
        supervisedTuningSpec: undefined,
        encryptionSpec: { kmsKeyName: "k" },
        [name]: { trainingDatasetUri: training_file, hyperParameters: { epochCount: [] } },
      });
    }
    fake.addJob({ supervisedTuningSpec: undefined, partnerModelTuningSpec: "?" });
    const jobs = await listJobs();
    const methods = jobs.map(({ method, training_file }) => [method, training_file]);
    const auto = { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" };
    expect(methods).toBeArrayOfSize(4);
    expect(methods).toContainEqual([
      { type: "dpo", dpo: { hyperparameters: { ...auto, n_epochs: 2, beta: 0.1 } } },
      fileId,
    ]);
    expect(methods).toContainEqual([
      { type: "reinforcement", reinforcement: { hyperparameters: auto } },
      fileId,
    ]);
    expect(methods).toContainEqual([
      { type: "distillationSpec", distillationSpec: { hyperparameters: auto } },
      fileId,
    ]);
    expect(methods).toContainEqual([{ type: "unknown", unknown: { hyperparameters: auto } }, ""]);
  });

  test("counts a job once that moves to the next page meanwhile", async () => {
    const jobs = [1, 2, 3].map((day) => fake.addJob({ createTime: `2026-11-0${day}T00:00:00Z` }));
    const page = { tuningJobs: [jobs[2], jobs[1]], nextPageToken: "more" };
    fake.inject({ answer: { status: 200, body: JSON.stringify(page) } });
    fake.inject({
      answer: { status: 200, body: JSON.stringify({ tuningJobs: [jobs[1], jobs[0]] }) },
    });
    expect(
      (await listJobs()).map(({ created_at }) => new Date(created_at * 1000).getUTCDate()),
    ).toEqual([3, 2, 1]);
  });

  test("reads on after an empty page, and answers 502 for a token that comes twice", async () => {
    fake.inject({ answer: { status: 200, body: '{"nextPageToken":"a"}' } });
    fake.inject({ answer: { status: 200, body: '{"tuningJobs":[],"nextPageToken":"a"}' } });
    await expect(listJobs()).rejects.toMatchObject({ status: 502 });
    expect(last(fake.requests).query.get("pageToken")).toBe("a");
  });

  test.each(['{"tuningJobs":{}}', '{"nextPageToken":1}', "[]", '{"tuningJobs":[null]}'])(
    "answers 502 for %s",
    async (body) => {
      fake.inject({ answer: { status: 200, body } });
      await expect(listJobs()).rejects.toMatchObject({ status: 502 });
    },
  );

  test("does not stop at half of the list when a later page fails", async () => {
    for (let count = 0; count < 5; count += 1) fake.addJob();
    fake.inject({});
    fake.inject({ answer: { status: 503, body: "{}" } });
    await expect(listJobs()).rejects.toMatchObject({ status: 502 });
  });

  test("ends with its client", async () => {
    const controller = new AbortController();
    fake.inject({ hang: true });
    const reading = Array.fromAsync(account.listJobs(query, controller.signal));
    const reason = new Error("gone");
    setTimeout(() => controller.abort(reason), 20);
    await expect(reading).rejects.toBe(reason);
  });

  test("hides the labels that the configuration gives to every job", async () => {
    fake.addJob({ labels: { cost: "7", team: "a" } });
    const [job] = await listJobs(connectAccount(fake, { labels: { cost: "7" } }));
    expect(job?.metadata).toEqual({ team: "a" });
  });
});

describe("cancelJob()", () => {
  test("answers once Google has cancelled", async () => {
    fake.cancelReads = 2;
    const { number } = fake.addJob({ state: "JOB_STATE_RUNNING" });
    const job = await account.cancelJob(`ftjob-${number}`, signal);
    expect(job).toMatchObject({ status: "cancelled", error: null });
    expect(job.finished_at).toBeNumber();
    const [{ method, path, body } = last([])] = fake.requests;
    expect([method, path.split("/").at(-1), body.toString()]).toEqual([
      "POST",
      `${number}:cancel`,
      "{}",
    ]);
  });

  test("says that a job still runs when Google takes long", async () => {
    fake.cancelReads = 100;
    const { number } = fake.addJob({ state: "JOB_STATE_RUNNING" });
    const job = await account.cancelJob(`ftjob-${number}`, signal);
    expect(job).toMatchObject({ status: "running", finished_at: null });
  });

  test("refuses what has ended, in Google's words", async () => {
    const { number } = fake.addJob({ state: "JOB_STATE_SUCCEEDED" });
    await expect(account.cancelJob(`ftjob-${number}`, signal)).rejects.toMatchObject({
      status: 400,
      code: "failed_precondition",
      message: expect.stringContaining("cannot be cancelled"),
    });
  });

  test("answers 404 for a job that is not there", async () => {
    await expect(account.cancelJob("ftjob-1", signal)).rejects.toMatchObject({ status: 404 });
    await expect(account.cancelJob("ftjob-x", signal)).rejects.toMatchObject({ status: 404 });
  });

  test("ends its wait with its signal", async () => {
    fake.cancelReads = 100;
    const { number } = fake.addJob({ state: "JOB_STATE_RUNNING" });
    const controller = new AbortController();
    const reason = new Error("stopping");
    setTimeout(() => controller.abort(reason), 150);
    await expect(account.cancelJob(`ftjob-${number}`, controller.signal)).rejects.toBe(reason);
  });
});

describe("createJob() from what was tuned before", () => {
  const model = "projects/123456789012/locations/us-central1/models/5@1";
  const endpoints = "projects/123456789012/locations/us-central1/endpoints";
  const request: JobRequest = { model, training_file };

  beforeEach(() => {
    for (let count = 0; count < 4; count += 1) fake.addJob();
    fake.addJob({
      tunedModel: {
        model,
        endpoint: `${endpoints}/10`,
        checkpoints: [
          { checkpointId: "1", epoch: "1", step: "10", endpoint: `${endpoints}/11` },
          { checkpointId: "2", epoch: "2", step: "20", endpoint: `${endpoints}/10` },
        ],
      },
    });
  });

  test.each([
    [model, { tunedModelName: model }],
    [`${endpoints}/10`, { tunedModelName: model }],
    [`${endpoints}/11`, { tunedModelName: model, checkpointId: "1" }],
    [
      `${endpoints}/11`.replace("123456789012", "my-project"),
      { tunedModelName: model, checkpointId: "1" },
    ],
  ])("takes %s", async (name, expected) => {
    await account.createJob({ ...request, model: name }, signal);
    const { body } = last(fake.requests);
    const sent = JSON.parse(body.toString());
    expect(sent.preTunedModel).toEqual(expected);
    expect(sent).not.toHaveProperty("baseModel");
  });

  test.each([`${endpoints}/12`, "projects/other/locations/us-central1/endpoints/11"])(
    "refuses the endpoint %s, which no job has made",
    async (name) => {
      await expect(account.createJob({ ...request, model: name }, signal)).rejects.toMatchObject({
        status: 400,
        param: "model",
      });
      expect(fake.requests.some(({ method }) => method === "POST")).toBeFalse();
    },
  );
});
