import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import local from "../../../providers/local/index.ts";
import type { JobFields } from "../../../src/provider.ts";
import {
  collect,
  createJob,
  endlessTrainer,
  makeExamples,
  makePlace,
  never,
  type Place,
  quickTrainer,
  readEvents,
  readMessages,
  refusal,
  upload,
  waitFor,
  waitForStatus,
  writeTrainer,
} from "./support.ts";

// Nothing here is timed: what takes long on a busy machine is no failure.
setDefaultTimeout(120_000);

let place: Place;
beforeEach(() => {
  place = makePlace();
});
afterEach(() => place.remove());

const end = (job: JobFields) => join(place.path, "jobs", job.id, "enough");

describe("the options", () => {
  test("have OpenAI-like defaults, and each is described", () => {
    expect(v.parse(local.options, {})).toEqual({
      models: ["tiny-lm"],
      methods: ["supervised"],
      max_concurrent_jobs: 1,
    });
  });

  test.each([
    { trainer: [] },
    { trainer: "python train.py" },
    { trainer: [""] },
    { models: [] },
    { methods: ["rlhf"] },
    { methods: [] },
    { max_concurrent_jobs: 0 },
    { max_concurrent_jobs: 1.5 },
    { max_concurrent_jobs: "2" },
    { slots: 2 },
  ])("refuse %j", (options) => {
    expect(v.safeParse(local.options, options).success).toBe(false);
  });

  test("start the executable's own trainer unless another is named", async () => {
    // In the test the executable is Bun, whose "train" is no file.
    const backend = place.start();
    const job = await createJob(backend);
    await waitFor(async () => (await backend.getJob(job.id, never)).status === "failed");
    expect((await backend.getJob(job.id, never)).error).toMatchObject({
      message: expect.stringContaining("train"),
    });
  });
});

describe("createJob()", () => {
  test("refuses what it cannot carry out, naming the field", async () => {
    const backend = place.start();
    const { id: training_file } = await upload(backend);
    const { id: other } = await upload(backend, { purpose: "batch" });
    const gone = await upload(backend);
    await backend.deleteFile(gone.id, never);
    const cases: [object, string, string | null][] = [
      [{ model: "gpt-4o" }, "model", "model_not_available"],
      [{ training_file: "file-abc" }, "training_file", null],
      [{ training_file: "../../etc/passwd" }, "training_file", null],
      [{ training_file: gone.id }, "training_file", null],
      [{ training_file: other }, "training_file", null],
      [{ validation_file: "file-abc" }, "validation_file", null],
      [{ validation_file: other }, "validation_file", null],
      [{ method: { type: "dpo", dpo: {} } }, "method.type", null],
      [{ integrations: [{ type: "wandb", wandb: { project: "p" } }] }, "integrations", null],
      [{ suffix: "" }, "suffix", null],
      [{ seed: -1 }, "seed", null],
      [{ prompt_loss_weight: 1 }, "prompt_loss_weight", null],
      [{ hyperparameters: { n_epochs: 0 } }, "hyperparameters.n_epochs", null],
    ];
    for (const [fields, param, code] of cases) {
      const call = backend.createJob({ model: "tiny-lm", training_file, ...fields }, never);
      expect(await refusal(call)).toMatchObject({ status: 400, param, code });
    }
    const unknown = backend.createJob({ model: "gpt-4o", training_file }, never);
    expect(await refusal(unknown)).toMatchObject({
      message: "Model gpt-4o is not available for fine-tuning or does not exist.",
    });
    expect(await collect(backend.listJobs({ limit: 10 }, never))).toEqual([]);
  });

  test("shows the job as it was asked for", async () => {
    const backend = place.start({
      options: { trainer: await writeTrainer(place, endlessTrainer) },
    });
    const { id: training_file } = await upload(backend);
    const job = await backend.createJob(
      {
        model: "tiny-lm",
        training_file,
        suffix: "my run: é",
        seed: 7,
        metadata: { team: "a", constructor: "b" },
        hyperparameters: { n_epochs: 2 },
        integrations: [],
      },
      never,
    );
    const hyperparameters = {
      n_epochs: 2,
      batch_size: "auto",
      learning_rate_multiplier: "auto",
    };
    expect(job).toMatchObject({
      model: "tiny-lm",
      status: "validating_files",
      training_file,
      validation_file: null,
      seed: 7,
      user_provided_suffix: "my run: é",
      metadata: { team: "a", constructor: "b" },
      integrations: [],
      organization_id: "local",
      error: null,
      fine_tuned_model: null,
      finished_at: null,
      trained_tokens: null,
      estimated_finish: null,
      result_files: [],
      hyperparameters,
      method: { type: "supervised", supervised: { hyperparameters } },
    });
    expect(job.id).toMatch(/^ftjob-[0-9A-Za-z]{24}$/);
    writeFileSync(end(job), "");
    const done = await waitForStatus(backend, job.id, "succeeded");
    expect(done.metadata).toEqual(job.metadata);
    expect(done.fine_tuned_model).toMatch(/^ft:tiny-lm:local:my-run-:[0-9A-Za-z]{8}$/);
  });

  test("chooses a seed where none is given", async () => {
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const seeds = new Set<unknown>();
    for (let index = 0; index < 3; index += 1) seeds.add((await createJob(backend)).seed);
    expect(seeds.size).toBe(3);
  });
});

describe("a job", () => {
  test("lives as OpenAI's do, and leaves events, checkpoints and results", async () => {
    const trainer = await writeTrainer(
      place,
      `
      say({ type: "message", level: "info", message: "Warming up" });
      for (let step = 1; step <= 4; step += 1) {
        say({ type: "metrics", step, total_steps: 4, train_loss: 2 / step,
          train_mean_token_accuracy: step / 4,
          ...(step % 2 === 0 ? { valid_loss: 3 / step, valid_mean_token_accuracy: 0.25 } : {}),
          ...(step === 4 ? { full_valid_loss: 0.126, full_valid_mean_token_accuracy: 0.5 } : {}),
          learning_rate: 0.1 });
        say({ type: "checkpoint", step, path: job.output_directory + "/" + step,
          metrics: { train_loss: 2 / step, train_mean_token_accuracy: step / 4 } });
      }
      appendFileSync(job.output_directory + "/model.bin", "weights");
      appendFileSync("job-copy.json", JSON.stringify({ job, directory: process.cwd(),
        training: readFileSync(job.training_file, "utf8"), key: process.env.TUNEGATE_MASTER_KEY ?? null }));
      say({ type: "result", trained_tokens: 1234, model: job.output_directory + "/model.bin" });`,
    );
    const backend = place.start({ options: { trainer } });
    const validation = await upload(backend, { content: makeExamples(3) });
    process.env.TUNEGATE_MASTER_KEY = "sk-secret-of-the-gateway";
    const job = await createJob(backend, {
      validation_file: validation.id,
      suffix: "s",
      seed: 3,
      metadata: { a: "b" },
    });
    const done = await waitForStatus(backend, job.id, "succeeded");
    delete process.env.TUNEGATE_MASTER_KEY;

    const name = String(done.fine_tuned_model);
    expect(name).toMatch(/^ft:tiny-lm:local:s:[0-9A-Za-z]{8}$/);
    const [results = ""] = v.parse(v.array(v.string()), done.result_files);
    const hyperparameters = { n_epochs: 8, batch_size: 1, learning_rate_multiplier: 1 };
    expect(done).toMatchObject({
      trained_tokens: 1234,
      error: null,
      estimated_finish: null,
      finished_at: expect.any(Number),
      hyperparameters,
      method: { type: "supervised", supervised: { hyperparameters } },
    });
    expect(await readMessages(backend, job.id)).toEqual([
      `Created fine-tuning job: ${job.id}`,
      `Validating training file: ${job.training_file} and validation file: ${validation.id}`,
      "Files validated, moving job to queued state",
      "Fine-tuning job started",
      "Warming up",
      "Step 1/4: training loss=2.00",
      "Checkpoint created at step 1",
      "Step 2/4: training loss=1.00, validation loss=1.50",
      "Checkpoint created at step 2",
      "Step 3/4: training loss=0.67",
      "Checkpoint created at step 3",
      "Step 4/4: training loss=0.50, validation loss=0.75, full validation loss=0.13",
      "Checkpoint created at step 4",
      "New fine-tuned model created",
      "The job has successfully completed",
    ]);
    const events = await readEvents(backend, job.id);
    expect(events.find(({ message }) => message.startsWith("Step 3"))).toMatchObject({
      level: "info",
      type: "metrics",
      data: {
        step: 3,
        total_steps: 4,
        train_loss: 2 / 3,
        train_mean_token_accuracy: 0.75,
        learning_rate: 0.1,
      },
    });
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);

    const checkpoints = await collect(backend.listJobCheckpoints(job.id, { limit: 10 }, never));
    expect(checkpoints.map(({ step_number }) => step_number)).toEqual([4, 3, 2]);
    expect(checkpoints[0]).toMatchObject({
      id: expect.stringMatching(/^ftckpt_[0-9A-Za-z]+$/),
      fine_tuned_model_checkpoint: `${name}:ckpt-step-4`,
      fine_tuning_job_id: job.id,
      metrics: { step: 4, train_loss: 0.5, train_mean_token_accuracy: 1 },
    });

    expect(await backend.getFile(results, never)).toMatchObject({
      filename: "results.csv",
      purpose: "fine-tune-results",
    });
    const content = await backend.readFile(results, undefined, never);
    expect(await new Response(content.body).text()).toBe(
      "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n" +
        "1,2,0.25,,\n2,1,0.5,1.5,0.25\n3,0.66667,0.75,,\n4,0.5,1,0.75,0.25\n",
    );

    const directory = join(place.path, "jobs", job.id);
    const copy = JSON.parse(readFileSync(join(directory, "job-copy.json"), "utf8"));
    expect(copy.directory).toBe(directory);
    expect(copy.key).toBeNull();
    expect(copy.training).toBe(await makeExamples(12).text());
    expect(copy.job).toMatchObject({
      version: 1,
      job_id: job.id,
      model: "tiny-lm",
      seed: 3,
      suffix: "s",
      metadata: { a: "b" },
      method: { type: "supervised", supervised: { hyperparameters: {} } },
      hyperparameters,
      output_directory: join(directory, "output"),
    });
    await waitFor(() => readdirSync(join(place.path, "unfinished")).length === 0);
    expect(existsSync(copy.job.training_file)).toBe(false);
    expect(readFileSync(join(directory, "output", "model.bin"), "utf8")).toBe("weights");
  });

  test("shows when it will end while it runs", async () => {
    const backend = place.start({
      options: { trainer: await writeTrainer(place, endlessTrainer) },
    });
    const job = await createJob(backend);
    await waitFor(async () => (await backend.getJob(job.id, never)).estimated_finish !== null);
    const shown = await backend.getJob(job.id, never);
    // A million steps of at least 5 milliseconds each.
    expect(shown.estimated_finish).toBeGreaterThan(shown.created_at + 3000);
    expect((await backend.cancelJob(job.id, never)).estimated_finish).toBeNull();
  });

  const bad = '{"messages":[{"role":"user","content":"x"}]}\n';
  test.each<[string, () => Blob, string, string, string]>([
    [
      "too few examples",
      () => makeExamples(7),
      "training_file",
      "invalid_n_examples",
      "Training file has 7 example(s), but must have at least 10 examples",
    ],
    ["no examples", () => new Blob(["\n\n"]), "training_file", "invalid_n_examples", "has 0"],
    [
      "broken lines",
      () => new Blob([makeExamples(10), "\n", "{broken\n", ...Array(6).fill(bad)]),
      "training_file",
      "invalid_file_format",
      "Training file has 7 problem(s)\nLine 12: ",
    ],
    [
      "bytes that are no text",
      () => new Blob([makeExamples(10), new Uint8Array([0xff, 0xfe, 10])]),
      "training_file",
      "invalid_file_format",
      "Line 11: ",
    ],
    [
      "an empty validation file",
      () => new Blob([]),
      "validation_file",
      "invalid_n_examples",
      "Validation file has 0 example(s), but must have at least 1 example",
    ],
    [
      "a bad validation file",
      () => new Blob([bad]),
      "validation_file",
      "invalid_file_format",
      "Validation file has 1 problem(s)\nLine 1: ",
    ],
  ])("fails for %s, with OpenAI's code", async (_, makeContent, param, code, message) => {
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const { id } = await upload(backend, { content: makeContent() });
    const job = await createJob(backend, { [param]: id });
    await waitFor(async () => (await backend.getJob(job.id, never)).status === "failed");
    const failed = await backend.getJob(job.id, never);
    expect(failed.error).toMatchObject({ code, param, message: expect.stringContaining(message) });
    expect(failed).toMatchObject({ fine_tuned_model: null, trained_tokens: null });
    const [last] = await readEvents(backend, job.id);
    expect(last).toMatchObject({ level: "error", message: expect.stringContaining(message) });
    await waitFor(() => readdirSync(join(place.path, "unfinished")).length === 0);
  });

  test("of another method is validated, trained and shown by that method", async () => {
    const trainer = await writeTrainer(place, quickTrainer);
    const backend = place.start({ options: { trainer, methods: ["dpo"] } });
    const lines = Array.from({ length: 10 }, () =>
      JSON.stringify({
        input: { messages: [{ role: "user", content: "a" }] },
        preferred_output: [{ role: "assistant", content: "b" }],
        non_preferred_output: [{ role: "assistant", content: "c" }],
      }),
    );
    const { id } = await upload(backend, { content: new Blob([lines.join("\n")]) });
    const method = { type: "dpo", dpo: { hyperparameters: { beta: 0.5, n_epochs: 2 } } };
    const job = await createJob(backend, { training_file: id, method });
    expect(await waitForStatus(backend, job.id, "succeeded")).toMatchObject({
      hyperparameters: null,
      method: {
        type: "dpo",
        dpo: {
          hyperparameters: { beta: 0.5, n_epochs: 2, batch_size: 1, learning_rate_multiplier: 1 },
        },
      },
    });
  });
});

describe("lists of jobs, events and checkpoints", () => {
  test("come newest first, start after an id and filter by metadata", async () => {
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const a = await createJob(backend, { metadata: { team: "x" } });
    const b = await createJob(backend);
    const c = await createJob(backend, { metadata: { team: "x", run: "2" } });
    const list = async (query: object) =>
      (await collect(backend.listJobs({ limit: 2, ...query }, never))).map(({ id }) => id);
    expect(await list({})).toEqual([c.id, b.id, a.id]);
    expect(await list({ after: c.id })).toEqual([b.id, a.id]);
    expect(await list({ after: a.id })).toEqual([]);
    expect(await list({ metadata: { team: "x" } })).toEqual([c.id, a.id]);
    expect(await list({ metadata: { team: "x", run: "2" } })).toEqual([c.id]);
    expect(await refusal(list({ after: "ftjob-unknown" }))).toMatchObject({
      status: 404,
      code: "fine_tune_not_found",
    });
    for (const { id } of [a, b, c]) await waitForStatus(backend, id, "succeeded");
  });

  test("page events exactly, whatever their size", async () => {
    const trainer = await writeTrainer(
      place,
      `for (let index = 0; index < 300; index += 1) {
        const message = index + " " + "é".repeat((index * 977) % 3000);
        say({ type: "message", level: index % 2 ? "warn" : "error", message });
      }
      say({ type: "message", level: "info", message: "x".repeat(500000) });
      result();`,
    );
    const backend = place.start({ options: { trainer } });
    const job = await createJob(backend);
    await waitForStatus(backend, job.id, "succeeded");
    const all = await readEvents(backend, job.id);
    expect(all).toHaveLength(307);
    const numbers = all.slice(3, 303).map(({ message }) => Number(message.split(" ")[0]));
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, index) => 299 - index));
    for (const index of [0, 1, 2, 3, 150, 305]) {
      const after = all[index]?.id ?? "";
      const rest = await collect(backend.listJobEvents(job.id, { limit: 5, after }, never));
      expect(rest).toEqual(all.slice(index + 1));
    }
    const last = all.at(-1)?.id ?? "";
    expect(await collect(backend.listJobEvents(job.id, { limit: 5, after: last }, never))).toEqual(
      [],
    );
  });

  test("answer 404 for an after that is none of theirs", async () => {
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const job = await createJob(backend);
    const other = await createJob(backend);
    await waitForStatus(backend, other.id, "succeeded");
    await waitForStatus(backend, job.id, "succeeded");
    const [event] = await readEvents(backend, job.id);
    const id = event?.id ?? "";
    const wrong = [
      "ftevent-unknown",
      "",
      "../job.json",
      (await readEvents(backend, other.id))[0]?.id ?? "",
      `${id.slice(0, -1)}z`,
      `${id.slice(0, -6)}zzzzzz`,
      `${id.slice(0, -6)}000001`,
    ];
    for (const after of wrong) {
      const expected = { status: 404, param: "after" };
      const events = backend.listJobEvents(job.id, { limit: 5, after }, never);
      expect(await refusal(collect(events))).toMatchObject(expected);
      const checkpoints = backend.listJobCheckpoints(job.id, { limit: 5, after }, never);
      expect(await refusal(collect(checkpoints))).toMatchObject(expected);
    }
  });

  test("page checkpoints", async () => {
    const checkpoint = (step: number) =>
      `say({ type: "checkpoint", step: ${step}, path: "p", metrics: {} });`;
    const trainer = await writeTrainer(
      place,
      `${checkpoint(1)} ${checkpoint(2)} ${checkpoint(2)} result();`,
    );
    const backend = place.start({ options: { trainer } });
    const job = await createJob(backend);
    await waitForStatus(backend, job.id, "succeeded");
    const all = await collect(backend.listJobCheckpoints(job.id, { limit: 5 }, never));
    expect(new Set(all.map(({ id }) => id)).size).toBe(3);
    const after = all[0]?.id ?? "";
    const rest = await collect(backend.listJobCheckpoints(job.id, { limit: 5, after }, never));
    expect(rest).toEqual(all.slice(1));
  });

  test("show the other jobs where one record is damaged, and log it", async () => {
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const whole = await createJob(backend);
    const damaged = await createJob(backend);
    await waitForStatus(backend, damaged.id, "succeeded");
    await waitForStatus(backend, whole.id, "succeeded");
    writeFileSync(join(place.path, "jobs", damaged.id, "job.json"), '{"version":2}');
    const list = await collect(backend.listJobs({ limit: 5 }, never));
    expect(list.map(({ id }) => id)).toEqual([whole.id]);
    expect(place.logged.join("\n")).toContain(damaged.id);
    expect(await refusal(backend.getJob(damaged.id, never))).not.toMatchObject({ status: 404 });
  });
});

describe("models", () => {
  test("are those of the options", async () => {
    const backend = place.start({ options: { models: ["a", "b/c"] } });
    expect(await collect(backend.listModels(never))).toEqual([{ id: "a" }, { id: "b/c" }]);
    expect(await backend.getModel("b/c", never)).toEqual({ id: "b/c" });
    expect(await refusal(backend.getModel("tiny-lm", never))).toMatchObject({
      status: 404,
      code: "model_not_found",
      message: "The model 'tiny-lm' does not exist",
    });
  });
});
