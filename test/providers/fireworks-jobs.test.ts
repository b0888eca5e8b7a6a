import { afterEach, expect, test } from "bun:test";
import { last } from "./backends.ts";
import { catchError, model, never, startAccount, stopFakes } from "./fireworks-account.ts";

afterEach(stopFakes);

test("createJob() carries out every field of a supervised job", async () => {
  const { fake, backend, upload, createJob, lastBody } = await startAccount();
  const [training, validation] = [await upload(), await upload()];
  const request = {
    ...{ model: "qwen3-8b", training_file: training.id, validation_file: validation.id },
    ...{ suffix: "support-bot", learning_rate: 0.0002, lora_rank: 32, max_context_length: 8192 },
    hyperparameters: { n_epochs: 2, batch_size: 16 },
  };
  const made = await createJob(request);
  const { outputModel, ...body } = lastBody();
  expect(outputModel).toMatch(/^accounts\/acme\/models\/support-bot-[0-9a-f]{8}$/);
  expect(body).toEqual({
    dataset: `accounts/acme/datasets/${training.id}`,
    evaluationDataset: `accounts/acme/datasets/${validation.id}`,
    displayName: "support-bot",
    baseModel: model,
    epochs: 2,
    batchSizeSamples: 16,
    learningRate: 0.0002,
    loraRank: 32,
    maxContextLength: 8192,
  });
  const hyperparameters = { n_epochs: 2, batch_size: 16, learning_rate_multiplier: "auto" };
  expect(made).toMatchObject({
    ...{ model, status: "queued", user_provided_suffix: "support-bot", fine_tuned_model: null },
    ...{ training_file: training.id, validation_file: validation.id, hyperparameters },
    method: { type: "supervised", supervised: { hyperparameters } },
    ...{ learning_rate: 0.0002, lora_rank: 32, max_context_length: 8192 },
  });
  const estimatedCost = { currencyCode: "USD", units: "3", nanos: 250_000_000 };
  fake.changeJob(made.id, { estimatedCost });
  fake.finishJob(made.id);
  const done = await backend.getJob(made.id, never);
  expect(done).toMatchObject({ fine_tuned_model: outputModel, estimated_cost: estimatedCost });
});

test("createJob() asks for the configured rank and nothing else that nobody asked for", async () => {
  const { createJob, lastBody } = await startAccount({}, { lora_rank: 4 });
  const { training_file } = await createJob({ hyperparameters: { n_epochs: "auto" } });
  const dataset = `accounts/acme/datasets/${training_file}`;
  expect(lastBody()).toEqual({ dataset, baseModel: model, loraRank: 4 });
});

test("createJob() and previewJob() write a DPO job in the words of its own collection", async () => {
  const { fake, backend, upload, lastBody } = await startAccount();
  const { id } = await upload();
  const method = { type: "dpo", dpo: { hyperparameters: { n_epochs: 3, beta: "auto" } } };
  const request = { model, training_file: id, method };
  const preview = await backend.previewJob(request, never);
  expect([...fake.jobs]).toEqual([]);
  const job = await backend.createJob(request, never);
  expect(last(fake.requests).path).toBe("/v1/accounts/acme/dpoJobs");
  expect(lastBody()).toEqual({
    dataset: `accounts/acme/datasets/${id}`,
    trainingConfig: { baseModel: model, epochs: 3, loraRank: 8 },
  });
  expect(preview).toEqual(lastBody());
  expect(job.id).toMatch(/^ftjob-dpo-/);
  expect(job.method).toMatchObject({ type: "dpo", dpo: { hyperparameters: { n_epochs: 3 } } });
  fake.finishJob(job.id);
  const done = await backend.getJob(job.id, never);
  expect(done.fine_tuned_model).toMatch(/^accounts\/acme\/models\/ft-/);
});

const supervised = (hyperparameters: object) => ({
  method: { type: "supervised", supervised: { hyperparameters } },
});
const dpo = { type: "dpo" };
for (const [param, fields] of [
  ["seed", { seed: 1 }],
  ["metadata", { metadata: { a: "b" } }],
  ["integrations", { integrations: [{ type: "wandb", wandb: { project: "p" } }] }],
  ["suffix", { suffix: "My Bot" }],
  ["suffix", { suffix: "b".repeat(51) }],
  [
    "hyperparameters.learning_rate_multiplier",
    { hyperparameters: { learning_rate_multiplier: 2 } },
  ],
  [
    "method.supervised.hyperparameters.learning_rate_multiplier",
    supervised({ learning_rate_multiplier: 2 }),
  ],
  [
    "method.dpo.hyperparameters.beta",
    { method: { ...dpo, dpo: { hyperparameters: { beta: 1 } } } },
  ],
  ["validation_file", { method: dpo, validation_file: "my-set" }],
  [
    "method.type",
    { method: { type: "reinforcement", reinforcement: { grader: { type: "multi" } } } },
  ],
  ["learning_rate", { learning_rate: "fast" }],
  ["lora_rank", { lora_rank: 1.5 }],
  ["max_context_length", { max_context_length: 0 }],
  ["model", { model: "accounts/acme/other/x" }],
  ["model", { model: "../../x" }],
  ["region", { region: "EU" }],
  ["training_file", { training_file: "a/b" }],
] as const) {
  test(`createJob() refuses ${JSON.stringify(fields).slice(0, 70)} by the name of the field`, async () => {
    const { fake, createJob } = await startAccount();
    const error = await catchError(createJob(fields));
    expect([error.status, error.param]).toEqual([400, param]);
    expect([...fake.jobs]).toEqual([]);
  });
}

test("createJob() goes on from an adapter, and from a base model of one's own", async () => {
  const { fake, createJob, lastBody } = await startAccount();
  fake.models.set("accounts/acme/models/adapter", "HF_PEFT_ADDON");
  fake.models.set("accounts/acme/models/base", "HF_BASE_MODEL");
  const job = await createJob({ model: "accounts/acme/models/adapter" });
  expect(lastBody()).toMatchObject({ warmStartFrom: "accounts/acme/models/adapter" });
  expect(job.model).toBe("accounts/acme/models/adapter");
  await createJob({ model: "accounts/acme/models/base" });
  expect(lastBody()).toMatchObject({ baseModel: "accounts/acme/models/base" });
  const error = await catchError(createJob({ model: "accounts/acme/models/none" }));
  expect([error.status, error.param]).toEqual([404, "model"]);
});

test("createJob() names the file that is not there, and passes on what the service refuses", async () => {
  const { createJob, upload } = await startAccount();
  const missing = await catchError(createJob({ validation_file: "file-none" }));
  expect([missing.status, missing.param]).toEqual([404, "validation_file"]);
  const training_file = (await upload()).id;
  const refused = await catchError(createJob({ training_file, model: "untunable" }));
  expect(refused).toMatchObject({
    ...{ status: 400, message: "model is not tunable", code: "invalid_argument" },
  });
});

test("each state has its status, and one that is new passes as it is spelled", async () => {
  const { fake, backend, createJob } = await startAccount();
  const { id } = await createJob();
  const read: Record<string, string> = {};
  const states = [
    ...["UNSPECIFIED", "CREATING", "PENDING", "RE_QUEUEING", "VALIDATING", "RUNNING", "IDLE"],
    ...["CREATING_INPUT_DATASET", "WRITING_RESULTS", "PAUSED", "COMPLETED", "EARLY_STOPPED"],
    ...["FAILED", "EXPIRED", "CANCELLED", "CANCELLING", "DREAMING"],
  ];
  for (const state of states) {
    fake.changeJob(id, { state: `JOB_STATE_${state}` });
    read[state] = (await backend.getJob(id, never)).status;
  }
  expect(read).toEqual({
    ...{ UNSPECIFIED: "queued", CREATING: "queued", PENDING: "queued", RE_QUEUEING: "queued" },
    ...{ VALIDATING: "validating_files", CREATING_INPUT_DATASET: "validating_files" },
    ...{ RUNNING: "running", IDLE: "running", WRITING_RESULTS: "running", PAUSED: "paused" },
    ...{ COMPLETED: "succeeded", EARLY_STOPPED: "succeeded", FAILED: "failed" },
    ...{ EXPIRED: "failed", CANCELLED: "cancelled", CANCELLING: "running" },
    DREAMING: "JOB_STATE_DREAMING",
  });
  for (const state of ["DELETING", "DELETING_CLEANING_UP", "DELETED", "ARCHIVED"]) {
    fake.changeJob(id, { state: `JOB_STATE_${state}` });
    expect((await catchError(backend.getJob(id, never))).status).toBe(404);
    expect(await Array.fromAsync(backend.listJobs({ limit: 9 }, never))).toEqual([]);
  }
});

test("listJobs() merges both kinds, the newest first, and takes a job that is unlike ours", async () => {
  const { fake, backend, createJob } = await startAccount();
  const ids = [];
  for (const type of ["supervised", "dpo", "supervised", "dpo", "supervised"]) {
    ids.push((await createJob({ method: { type } })).id);
  }
  // A job over data that is no dataset, and with a key that is nobody's business.
  fake.changeJob(ids[0] ?? "", {
    dataset: "s3://bucket/x",
    wandbConfig: { apiKey: "wandb-key" },
  });
  const jobs = await Array.fromAsync(backend.listJobs({ limit: 2 }, never));
  expect(jobs.map(({ id }) => id)).toEqual(ids.toReversed());
  expect(last(jobs).training_file).toBe("");
  expect(JSON.stringify(jobs)).not.toContain("wandb-key");
});

test("a job that failed says why, in the job and in its events", async () => {
  const { fake, backend, createJob } = await startAccount();
  const { id, created_at } = await createJob();
  expect(await Array.fromAsync(backend.listJobEvents(id, { limit: 9 }, never))).toHaveLength(1);
  const status = { code: "INVALID_ARGUMENT", message: "Example 3 is too long" };
  const completedTime = new Date((created_at + 60) * 1000).toISOString();
  fake.changeJob(id, { state: "JOB_STATE_FAILED", status, completedTime });
  const job = await backend.getJob(id, never);
  expect(job).toMatchObject({
    error: { code: "invalid_argument", message: "Example 3 is too long", param: null },
    ...{ finished_at: created_at + 60, fine_tuned_model: null },
  });
  const events = await Array.fromAsync(backend.listJobEvents(id, { limit: 9 }, never));
  const prefix = id.replace("ftjob", "ftevent");
  expect(events.map((event) => [event.id, event.level])).toEqual([
    [`${prefix}-failed`, "error"],
    [`${prefix}-created`, "info"],
  ]);
  fake.changeJob(id, { state: "JOB_STATE_EXPIRED", status: undefined });
  expect((await backend.getJob(id, never)).error).toMatchObject({ code: "expired" });
});

test("cancelJob() tells of a job that still runs, then of one that has ended", async () => {
  const { backend, createJob } = await startAccount();
  const { id } = await createJob();
  expect((await backend.cancelJob(id, never)).status).toBe("running");
  expect((await backend.getJob(id, never)).status).toBe("cancelled");
  const error = await catchError(backend.cancelJob(id, never));
  expect(error).toMatchObject({ status: 400, param: "fine_tune_id" });
  const events = await Array.fromAsync(backend.listJobEvents(id, { limit: 9 }, never));
  expect(events[0]?.message).toBe("The job has been cancelled");
});

test("resumeJob() puts a paused job back into the queue, and passes on a refusal", async () => {
  const { fake, backend, createJob } = await startAccount();
  const { id } = await createJob();
  const error = await catchError(backend.resumeJob(id, never));
  expect(error).toMatchObject({ status: 400, code: "failed_precondition" });
  fake.changeJob(id, { state: "JOB_STATE_PAUSED" });
  expect((await backend.resumeJob(id, never)).status).toBe("queued");
});

test("a wrong key is a 502 that shows nothing of it", async () => {
  const { backend } = await startAccount({}, { api_key: "fw_another-secret" });
  const error = await catchError(backend.checkAccess(never));
  expect([error.status, error.retry]).toEqual([502, false]);
  expect(error.message).not.toContain("fw_another-secret");
  expect(error.message).toContain("unauthenticated");
});
