import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { train } from "../../src/trainer/train.ts";
import {
  capitals,
  chat,
  type RunRequest,
  runAlone,
  runTrainer,
  withDirectory,
  writeJob,
} from "./support.ts";

/** The message of the error that the trainer ends with. */
async function fail(request: Omit<RunRequest, "directory">): Promise<string> {
  return runAlone(request).then(
    () => "it succeeded",
    (error: unknown) => String(error),
  );
}

describe("train() fails", () => {
  test("without a job description, with a missing one and with one that is no JSON", async () => {
    const { signal } = new AbortController();
    const start = (environment: Record<string, string>) =>
      train(environment, () => {}, signal).then(
        () => "it succeeded",
        (error: unknown) => String(error),
      );
    const unset =
      'StartError: Cannot train: the environment variable "TUNEGATE_JOB" is not set, the path of a job description would work';
    expect(await start({})).toBe(unset);
    expect(await start({ TUNEGATE_JOB: "" })).toBe(unset);
    await withDirectory(async (directory) => {
      const path = join(directory, "job.json");
      expect(await start({ TUNEGATE_JOB: path })).toContain(
        `StartError: Cannot read the job description "${path}": ENOENT`,
      );
      await Bun.write(path, '{"version":1,');
      expect(await start({ TUNEGATE_JOB: path })).toContain(
        `StartError: Cannot read the job description "${path}": JSON Parse error`,
      );
      await Bun.write(path, "7");
      expect(await start({ TUNEGATE_JOB: path })).toContain("Expected Object");
    });
  });

  test("with a job description whose fields are wrong, naming each of them", async () => {
    const message = await fail({
      training: capitals,
      job: {
        version: 2,
        job_id: undefined,
        seed: 1.5,
        method: {},
        hyperparameters: { n_epochs: "auto", batch_size: 0, learning_rate_multiplier: -1 },
        training_file: "training.jsonl",
        validation_file: 5,
        output_directory: "",
      },
    });
    for (const field of [
      "version: ",
      "job_id: ",
      "seed: ",
      "method.type: ",
      "hyperparameters.n_epochs: ",
      "hyperparameters.batch_size: ",
      "hyperparameters.learning_rate_multiplier: ",
      "training_file: must be an absolute path",
      "validation_file: ",
      "output_directory: must be an absolute path",
    ]) {
      expect(message).toContain(field);
    }
  });

  test("for another model and another method", async () => {
    expect(await fail({ training: capitals, job: { model: "llama-3" } })).toBe(
      'StartError: Cannot train the model "llama-3": the embedded trainer knows "tiny-lm" only',
    );
    expect(await fail({ training: capitals, job: { method: { type: "dpo" } } })).toBe(
      'StartError: Cannot train with the method "dpo": tiny-lm learns with "supervised" only',
    );
  });

  test("for files that are missing, empty or not in the chat format, naming the line", async () => {
    expect(await fail({ training: capitals, job: { training_file: "/nowhere/a.jsonl" } })).toBe(
      'StartError: Cannot read the training file "/nowhere/a.jsonl": there is no such file',
    );
    expect(await fail({ training: capitals, job: { validation_file: "/nowhere/b.jsonl" } })).toBe(
      'StartError: Cannot read the validation file "/nowhere/b.jsonl": there is no such file',
    );
    expect(await fail({ training: ["", ""] })).toBe(
      "StartError: Cannot train on the training file: it has no examples",
    );
    expect(await fail({ training: [...capitals, "{}", "[]"] })).toBe(
      'StartError: Cannot train on the training file: line 11: Invalid file format. Example 11 is missing key "messages". (the first of 2 problems)',
    );
    expect(await fail({ training: capitals, validation: [{ prompt: "a" }] })).toBe(
      'StartError: Cannot train on the validation file: line 1: Invalid file format. Example 1 is missing key "messages".',
    );
  });

  test("for an image, naming its line", async () => {
    const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
    const example = {
      messages: [
        { role: "user", content: [image] },
        { role: "assistant", content: "A cat." },
      ],
    };
    expect(await fail({ training: [...capitals, "", example] })).toBe(
      'StartError: Cannot learn from line 12 of the training file: messages[0].content[0] is of the type "image_url", tiny-lm learns from text only',
    );
  });

  test("when the numbers grow beyond all bounds, before it saves them", async () => {
    await withDirectory(async (directory) => {
      for (const [n_epochs, step] of [
        [1, 1],
        [5, 1],
      ]) {
        const request = {
          directory,
          training: [chat("a", "b")],
          hyperparameters: { n_epochs, learning_rate_multiplier: 1e300 },
        };
        await expect(runTrainer(request)).rejects.toThrow(
          `Cannot go on training at step ${step}: the numbers have grown beyond all bounds, a smaller "learning_rate_multiplier" would work`,
        );
        expect(await readdir(join(directory, "output"))).toEqual([]);
      }
      const batches = { batch_size: 5, learning_rate_multiplier: 1e300 };
      expect(await fail({ training: capitals, hyperparameters: batches })).toContain("at step 2:");
    });
  });

  test("when the output directory cannot be made", async () => {
    await withDirectory(async (directory) => {
      const path = join(directory, "file");
      await Bun.write(path, "");
      const request = { directory, training: capitals, job: { output_directory: path } };
      await expect(runTrainer(request)).rejects.toThrow("EEXIST");
    });
  });
});

describe("train() stops when it is told to", () => {
  const stopped = "StartError: Cannot finish the training: it was told to stop";

  test("before it starts and between steps", async () => {
    expect(await fail({ training: capitals, signal: AbortSignal.abort() })).toBe(stopped);
    const controller = new AbortController();
    const lines: string[] = [];
    const message = await fail({
      training: capitals,
      hyperparameters: { n_epochs: 1000 },
      signal: controller.signal,
      onLine: (line) => {
        if (lines.push(line) === 5) controller.abort();
      },
    });
    expect(message).toBe(stopped);
    expect(lines).toHaveLength(5);
  });

  test("within a step, and leaves no model", async () => {
    await withDirectory(async (directory) => {
      const controller = new AbortController();
      const lines: string[] = [];
      const job = await writeJob({
        directory,
        training: capitals,
        hyperparameters: { batch_size: 10 },
      });
      const training = train(
        { TUNEGATE_JOB: job },
        (line) => {
          lines.push(line);
          // Runs in the first pause of the first step.
          setImmediate(() => controller.abort());
        },
        controller.signal,
      );
      await expect(training).rejects.toThrow("it was told to stop");
      expect(lines).toHaveLength(1);
      expect(await readdir(join(directory, "output"))).toEqual([]);
    });
  });
});
