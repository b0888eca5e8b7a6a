import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { renderExample } from "../../src/trainer/conversation.ts";
import { tinyShape } from "../../src/trainer/learner.ts";
import { loadNetwork } from "../../src/trainer/weights.ts";
import { computeLoss, generateAnswer } from "./reference.ts";
import { capitals, chat, runAlone, runTrainer, withDirectory } from "./support.ts";

describe("train()", () => {
  test("learns: the loss falls from ln(257) to almost nothing and answers are reproduced", async () => {
    await withDirectory(async (directory) => {
      const { metrics, results, messages, checkpoints } = await runTrainer({
        directory,
        training: capitals,
        hyperparameters: { n_epochs: 15 },
      });
      expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
      expect(metrics.every((event) => event.total_steps === 150)).toBe(true);
      expect(metrics[0]?.train_loss).toBeCloseTo(Math.log(257), 10);
      expect(metrics[0]?.train_mean_token_accuracy).toBeLessThan(0.1);
      expect(metrics.at(-1)?.train_loss).toBeLessThan(0.1);
      expect(metrics.at(-1)?.train_mean_token_accuracy).toBe(1);
      expect(messages.map(({ level }) => level)).toEqual(["info"]);
      expect(checkpoints).toHaveLength(15);
      const network = await loadNetwork(results[0]?.model ?? "");
      for (const {
        messages: [question, answer],
      } of capitals) {
        expect(generateAnswer(network, question?.content ?? "")).toBe(answer?.content ?? "");
      }
    });
  });

  test("ends with one result: bytes of answers and their ends, times epochs", async () => {
    await withDirectory(async (directory) => {
      const { results, events } = await runTrainer({
        directory,
        training: [chat("a", "bc"), chat("d", "é")],
        hyperparameters: { n_epochs: 4 },
      });
      expect(results).toEqual([
        {
          type: "result",
          trained_tokens: 4 * (2 + 1 + 2 + 1),
          model: join(directory, "output", "model.safetensors"),
        },
      ]);
      expect(events.at(-1)).toEqual(results[0]);
    });
  });

  test("the same seed gives the same lines and weights to the last bit, another seed does not", async () => {
    const request = {
      training: capitals.slice(0, 6),
      validation: capitals.slice(6),
      hyperparameters: { n_epochs: 2, batch_size: 4 },
    };
    await withDirectory(async (directory) => {
      const runSeed = async (seed: number) => {
        const { lines, results } = await runTrainer({ ...request, directory, job: { seed } });
        return { lines, weights: await Bun.file(results[0]?.model ?? "").bytes() };
      };
      const first = await runSeed(7);
      const again = await runSeed(7);
      const other = await runSeed(8);
      expect(again).toEqual(first);
      expect(other.lines.length).toBe(first.lines.length);
      expect(other.lines).not.toEqual(first.lines);
      expect(other.weights).not.toEqual(first.weights);
    });
  });

  test("a step trains on batch_size examples, the last one of an epoch on what is left", async () => {
    const { metrics } = await runAlone({
      training: capitals,
      hyperparameters: { n_epochs: 2, batch_size: 4 },
    });
    expect(metrics.map(({ step, total_steps }) => [step, total_steps])).toEqual(
      [1, 2, 3, 4, 5, 6].map((step) => [step, 6]),
    );
  });

  test("a batch larger than the file is the whole file", async () => {
    const { metrics } = await runAlone({
      training: capitals,
      hyperparameters: { batch_size: 256 },
    });
    expect(metrics.map(({ total_steps }) => total_steps)).toEqual([1]);
  });

  test("messages of weight 0 have no part in loss and tokens", async () => {
    const weigh = (weight: number) => ({
      messages: [
        { role: "assistant", content: "wrong ".repeat(50), weight },
        { role: "user", content: "a question that fills the context" },
        { role: "assistant", content: "right" },
      ],
    });
    const without = { messages: weigh(0).messages.slice(1) };
    const run0 = await runAlone({ training: [weigh(0)], hyperparameters: { n_epochs: 3 } });
    const run1 = await runAlone({ training: [weigh(1)], hyperparameters: { n_epochs: 3 } });
    const runWithout = await runAlone({ training: [without], hyperparameters: { n_epochs: 3 } });
    expect(run0.results[0]?.trained_tokens).toBe(18);
    expect(run1.results[0]?.trained_tokens).toBe(18 + 3 * 301);
    expect(run0.metrics).toEqual(runWithout.metrics);
    expect(run0.metrics).not.toEqual(run1.metrics);
  });

  test("the learning rate multiplier scales the steps and not the start", async () => {
    const runWith = async (learning_rate_multiplier: number) => {
      const hyperparameters = { n_epochs: 3, learning_rate_multiplier };
      const { metrics } = await runAlone({ training: capitals, hyperparameters });
      return metrics.map((event) => event.train_loss);
    };
    const slow = await runWith(0.01);
    const normal = await runWith(1);
    expect(slow[0]).toBe(normal[0] ?? 0);
    expect(slow.at(-1)).toBeGreaterThan(5);
    expect(normal.at(-1)).toBeLessThan(3);
  });

  test("validation loss comes with each step, and that of the whole file at the end of epochs", async () => {
    const { metrics, checkpoints } = await runAlone({
      training: capitals.slice(0, 6),
      validation: capitals.slice(6, 9),
      hyperparameters: { n_epochs: 2, batch_size: 2 },
    });
    expect(metrics.every((event) => event.valid_loss !== undefined)).toBe(true);
    expect(metrics.every((event) => event.valid_mean_token_accuracy !== undefined)).toBe(true);
    expect(
      metrics.flatMap((event) => (event.full_valid_loss === undefined ? [] : [event.step])),
    ).toEqual([3, 6]);
    expect(new Set(metrics.map((event) => event.valid_loss)).size).toBe(6);
    for (const checkpoint of checkpoints) {
      const { step } = checkpoint;
      expect(metrics[step - 1]).toEqual({
        type: "metrics",
        total_steps: 6,
        ...checkpoint.metrics,
      });
    }
  });

  test("validation does not change what is learned", async () => {
    const request = { training: capitals.slice(0, 4), hyperparameters: { n_epochs: 2 } };
    const alone = await runAlone(request);
    const validated = await runAlone({ ...request, validation: capitals.slice(4) });
    expect(validated.metrics.map((event) => event.train_loss)).toEqual(
      alone.metrics.map((event) => event.train_loss),
    );
    expect(alone.metrics.some((event) => event.valid_loss !== undefined)).toBe(false);
  });

  test("a checkpoint of each epoch is announced, the last three stay, and weights give their loss", async () => {
    await withDirectory(async (directory) => {
      const validation = capitals.slice(8);
      const { checkpoints } = await runTrainer({
        directory,
        training: capitals.slice(0, 4),
        validation,
        hyperparameters: { n_epochs: 5, batch_size: 2 },
      });
      expect(checkpoints.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10]);
      const output = join(directory, "output");
      expect((await readdir(output)).sort()).toEqual([
        "checkpoint-10.safetensors",
        "checkpoint-6.safetensors",
        "checkpoint-8.safetensors",
        "model.safetensors",
      ]);
      const answers = validation.flatMap(
        (example) => renderExample(example, tinyShape.context, "line 1").answers,
      );
      const count = answers.reduce((sum, tokens) => sum + tokens.length - tinyShape.context, 0);
      for (const { path, metrics } of checkpoints.slice(-3)) {
        const network = await loadNetwork(path);
        const loss = answers.reduce((sum, tokens) => sum + computeLoss(network, [...tokens]), 0);
        expect(metrics.full_valid_loss).toBeCloseTo(loss / count, 8);
      }
      const last = await Bun.file(join(output, "checkpoint-10.safetensors")).bytes();
      expect(await Bun.file(join(output, "model.safetensors")).bytes()).toEqual(last);
    });
  });

  test("an example that is too long and fields that are not learned from are said, not hidden", async () => {
    const long = chat("go on", "ab".repeat(3000));
    const odd = { messages: [{ role: "assistant", content: "x", audio: null }] };
    const { messages, results } = await runAlone({
      training: [long, odd],
      hyperparameters: { batch_size: 2 },
    });
    expect(messages.slice(1)).toEqual([
      {
        type: "message",
        level: "warn",
        message:
          "1 of 2 training examples are longer than 4096 tokens: the rest of them is left out",
      },
      {
        type: "message",
        level: "warn",
        message: 'tiny-lm does not learn from these fields of training messages: "audio"',
      },
    ]);
    expect(results[0]?.trained_tokens).toBe(4096 + 2);
  });

  test("blank lines, CRLF and a byte order mark change nothing", async () => {
    const lines = capitals.slice(0, 3).map((example) => JSON.stringify(example));
    const plain = await runAlone({ training: lines });
    const odd = await runAlone({
      training: [`\ufeff${lines[0]}\r`, "", `${lines[1]}\r\n\r`, lines[2]],
    });
    expect(odd.metrics).toEqual(plain.metrics);
  });
});
