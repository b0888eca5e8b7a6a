import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import together from "../../providers/together/index.ts";
import { ApiError, StartError } from "../../src/errors.ts";
import { type JobRequest, requestIdOf } from "../../src/provider.ts";
import { type FakeTogether, startFakeTogether, tunableModels } from "../fakes/together.ts";
import { connectBackend, last, makeUpload, type WholeBackend } from "./backends.ts";

const apiKey = "tgp-secret-0123456789";
const start = Date.parse("2026-11-01T12:00:00Z") / 1000;
const model = tunableModels[0] ?? "";
const { signal } = new AbortController();
let fake: FakeTogether;
let backend: WholeBackend;

beforeEach(async () => {
  fake = await startFakeTogether({ apiKey, now: () => start });
  backend = connect();
});
afterEach(() => fake.stop());

function connect(options: Readonly<Record<string, unknown>> = {}): WholeBackend {
  return connectBackend(together, { api_key: apiKey, api_base: fake.url, ...options });
}

/** What a call throws; it must throw. */
async function catchError(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    expect(String(error)).not.toContain("0123456789");
    return error;
  }
  throw new Error("Nothing was thrown");
}

async function upload(content = '{"text":"a"}\n'): Promise<string> {
  return (await backend.uploadFile(makeUpload(new Blob([content])), signal)).id;
}

async function createJob(fields: Partial<JobRequest> = {}) {
  const training_file = await upload();
  return await backend.createJob({ model, training_file, ...fields }, signal);
}

function lastBody(): Record<string, unknown> {
  return JSON.parse(last(fake.requests).body.toString());
}

/** Answers the next request with `json`. */
function answerNext(json: unknown, status = 200): void {
  const headers = { "content-type": "application/json" };
  fake.inject({ answer: { status, headers, body: JSON.stringify(json) } });
}

describe("files", () => {
  test("uploadFile() sends one form, and tells the size that the service does not know yet", async () => {
    const content = new Blob(["Grüße\n"], { type: "application/jsonl" });
    const upload = makeUpload(content, { filename: "Träin.JSONL" });
    const file = await backend.uploadFile(upload, signal);
    const { method, path, headers } = last(fake.requests);
    expect(`${method} ${path}`).toBe("POST /v1/files/upload");
    expect(headers.get("authorization")).toBe(`Bearer ${apiKey}`);
    expect(file.id).toMatch(/^file-/);
    expect(file).toMatchObject({
      bytes: content.size,
      created_at: start,
      filename: "Träin.JSONL",
      purpose: "fine-tune",
      status: "uploaded",
      FileType: "jsonl",
    });
    expect(requestIdOf(file)).toMatch(/-FRA$/);
    expect(await backend.getFile(file.id, signal)).toMatchObject({
      bytes: content.size,
      status: "processed",
    });
  });

  test.each([
    ["expires_after", { expires_after: { anchor: "created_at", seconds: 3600 } }],
    ["litellm[x]", { extra: [["litellm[x]", "1"]] as const }],
    ["file", { filename: "train.txt" }],
    ["file", { filename: "jsonl" }],
  ])(
    "uploadFile() refuses by its name what the service does not know: %s",
    async (param, fields) => {
      const upload = makeUpload(new Blob(["{}\n"]), fields);
      const error = await catchError(() => backend.uploadFile(upload, signal));
      expect(error).toMatchObject({ status: 400, param });
      expect(fake.requests).toEqual([]);
    },
  );

  test("uploadFile() passes on the refusal of a purpose", async () => {
    const upload = makeUpload(new Blob(["{}\n"]), { purpose: "assistants" });
    const error = await catchError(() => backend.uploadFile(upload, signal));
    expect(error).toMatchObject({ status: 400, param: "purpose" });
    expect(fake.files.size).toBe(0);
  });

  test("listFiles() sorts by time and then by id, whatever the service's order", async () => {
    const file = { bytes: 1, filename: "a.jsonl", purpose: "fine-tune" };
    const times = { b: 5, d: 9, a: 5, c: 1 };
    const data = Object.entries(times).map(([id, created_at]) => ({ ...file, id, created_at }));
    for (const [order, ids] of [
      ["desc", "dabc"],
      ["asc", "cbad"],
    ] as const) {
      answerNext({ data });
      const files = await Array.fromAsync(backend.listFiles({ order, limit: 1 }, signal));
      expect(files.map(({ id }) => id).join("")).toBe(ids);
    }
  });

  test("lists that are null are empty, and those that are not there are refused", async () => {
    answerNext({ data: null });
    expect(await Array.fromAsync(backend.listJobs({ limit: 1 }, signal))).toEqual([]);
    answerNext({});
    const error = await catchError(() => Array.fromAsync(backend.listJobs({ limit: 1 }, signal)));
    expect(error).toMatchObject({ status: 502, code: "upstream_invalid_answer" });
  });
});

describe("createJob()", () => {
  const defaults = {
    n_epochs: 1,
    batch_size: "max",
    learning_rate: 0.00001,
    n_checkpoints: 1,
    n_evals: 0,
    lr_scheduler: {
      lr_scheduler_type: "cosine",
      lr_scheduler_args: { min_lr_ratio: 0, num_cycles: 0.5 },
    },
    warmup_ratio: 0,
    max_grad_norm: 1,
    weight_decay: 0,
    training_method: { method: "sft", train_on_inputs: "auto" },
  };

  test("sends the SDK's defaults for what the request leaves open", async () => {
    const training_file = await upload();
    const request = { model, training_file, metadata: {}, suffix: null, integrations: [] };
    const job = await backend.createJob(request, signal);
    expect(lastBody()).toEqual({ model, training_file, ...defaults });
    expect(await backend.previewJob(request, signal)).toEqual(lastBody());
    expect(job.id).toMatch(/^ft-/);
    expect(job).toMatchObject({
      created_at: start,
      status: "queued",
      model,
      training_file,
      validation_file: null,
      fine_tuned_model: null,
      finished_at: null,
      trained_tokens: null,
      error: null,
      method: {
        type: "supervised",
        supervised: {
          hyperparameters: { n_epochs: 1, batch_size: "auto", learning_rate_multiplier: 1 },
        },
      },
    });
    expect(requestIdOf(job)).toMatch(/-FRA$/);
  });

  test("carries out every field that the service knows, and tells them back", async () => {
    backend = connect({ checkpoints: 3, evaluations: 4, learning_rate: 0.0002 });
    const validation_file = await upload();
    const hyperparameters = {
      n_epochs: 2,
      batch_size: 8,
      learning_rate_multiplier: 0.3,
      beta: 0.2,
    };
    const method = { type: "dpo", dpo: { hyperparameters } };
    const job = await createJob({ validation_file, suffix: "my-run", seed: 7, method });
    expect(lastBody()).toEqual({
      ...defaults,
      model,
      training_file: job.training_file,
      validation_file,
      suffix: "my-run",
      random_seed: 7,
      n_epochs: 2,
      batch_size: 8,
      learning_rate: 0.00006,
      n_checkpoints: 3,
      n_evals: 4,
      training_method: { method: "dpo", dpo_beta: 0.2 },
    });
    const told = { validation_file, seed: 7, method, user_provided_suffix: "my-run" };
    expect(job).toMatchObject(told);
    expect(await backend.getJob(job.id, signal)).toMatchObject(told);
  });

  test.each([
    ["metadata", { metadata: { team: "a" } }],
    ["integrations", { integrations: [{ type: "wandb", wandb: { project: "p" } }] }],
    ["suffix", { suffix: "x".repeat(41) }],
    [
      "method.type",
      { method: { type: "reinforcement", reinforcement: { grader: { type: "multi" } } } },
    ],
    ["n_checkpoints", { n_checkpoints: 2 }],
    ["hyperparameters.n_epochs", { hyperparameters: { n_epochs: 0 } }],
    ["seed", { seed: 1.5 }],
  ])("refuses %s by its name and sends nothing", async (param, fields) => {
    const request = { model, training_file: "file-1", ...fields };
    const error = await catchError(() => backend.createJob(request, signal));
    expect(error).toMatchObject({ status: 400, param });
    expect(await catchError(() => backend.previewJob(request, signal))).toEqual(error);
    expect(fake.requests).toEqual([]);
  });

  test("continues from a job or from its checkpoint, where the model is the name of one", async () => {
    const { id, training_file } = await createJob();
    for (const name of [id, `${id}:20`]) {
      const job = await backend.createJob({ model: name, training_file }, signal);
      expect(lastBody()).toMatchObject({ from_checkpoint: name });
      expect(lastBody()).not.toHaveProperty("model");
      expect(job.model).toBe(model);
    }
  });

  test("trains as the configuration says: a whole model, or an adapter of a rank", async () => {
    backend = connect({ training: "full" });
    await createJob();
    expect(lastBody().training_type).toEqual({ type: "Full" });
    backend = connect({ lora_rank: 16 });
    await createJob();
    expect(lastBody().training_type).toEqual({
      type: "Lora",
      lora_r: 16,
      lora_alpha: 32,
      lora_dropout: 0,
      lora_trainable_modules: "all-linear",
    });
    expect(() => connect({ training: "full", lora_rank: 16 })).toThrow(StartError);
  });

  test.each([
    ["the model", { model: "gpt-4o-mini" }, { status: 404, param: "model" }],
    ["a file", { validation_file: "file-none" }, { status: 400, param: "validation_file" }],
    [
      "20 epochs at most",
      { hyperparameters: { n_epochs: 21 } },
      { status: 400, param: "n_epochs" },
    ],
  ])("passes on the service's refusal of %s", async (_what, fields, expected) => {
    expect(await catchError(() => createJob(fields))).toMatchObject(expected);
    expect(fake.jobs.size).toBe(0);
  });
});

test("getModel() knows the models that can be tuned, and no other", async () => {
  expect(await Array.fromAsync(backend.listModels(signal))).toEqual(
    tunableModels.map((id) => ({ id })),
  );
  expect(await backend.getModel(model, signal)).toEqual({ id: model });
  const error = await catchError(() => backend.getModel("gpt-4o", signal));
  expect(error).toMatchObject({ status: 404, code: "model_not_found" });
});

describe("a service that fails", () => {
  test("with a 401 is a 502 that shows nothing of the key", async () => {
    backend = connect({ api_key: "tgp-wrong-0123456789" });
    for (const call of [() => backend.checkAccess(signal), () => upload()]) {
      const error = await catchError(call);
      expect(error).toMatchObject({ status: 502, code: "upstream_authentication_error" });
      expect(String(error)).not.toContain("tgp-");
    }
  });

  test.each([
    [
      { error: { message: "Pay first", type: "credit_limit", param: null, code: "limit" } },
      "Pay first",
    ],
    [{ message: "Pay first" }, "Pay first"],
    [{}, 'Cannot carry out the request: backend "main" refused it with status 402'],
  ])("with a 402 keeps its status and what it says", async (body, message) => {
    const training_file = await upload();
    answerNext(body, 402);
    const error = await catchError(() => backend.createJob({ model, training_file }, signal));
    expect(error).toMatchObject({ status: 402, message });
  });

  test("by redirecting an upload never gets the key or the file elsewhere", async () => {
    const headers = { location: `${fake.url}/files/elsewhere`, "x-together-file-id": "file-9" };
    fake.inject({ answer: { status: 302, headers } });
    const error = await catchError(() => upload());
    expect(error).toMatchObject({ status: 502, code: "upstream_redirect", retry: false });
    expect(fake.requests).toHaveLength(1);
  });

  test("in the middle of an upload lets the SDK send it again", async () => {
    fake.inject({ takes: 1000, reset: true });
    const error = await catchError(() => upload("x".repeat(32 * 1024 * 1024)));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 502, retry: true });
    expect(fake.files.size).toBe(0);
  });

  test("after a job was started does not let it be started twice", async () => {
    const training_file = await upload();
    fake.inject({ path: /fine-tunes/, carriedOut: true, reset: true });
    const error = await catchError(() => backend.createJob({ model, training_file }, signal));
    expect(error).toMatchObject({ status: 502, code: "upstream_connection_failed" });
    expect(error).not.toMatchObject({ retry: true });
    expect(fake.jobs.size).toBe(1);
  });

  test("by being silent is a 504", async () => {
    backend = connect({ timeout: 0.2 });
    fake.inject({ hang: true });
    const error = await catchError(() => backend.getFile("file-1", signal));
    expect(error).toMatchObject({ status: 504, code: "upstream_timeout" });
  });
});
