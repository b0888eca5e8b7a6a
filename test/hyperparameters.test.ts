import { expect, test } from "bun:test";
import { resolveHyperparameters } from "../src/hyperparameters.ts";

test("auto and absent values become the cookbook's epochs, 0.2 % a batch and multiplier 1", () => {
  const auto = {
    n_epochs: "auto",
    batch_size: "auto",
    learning_rate_multiplier: "auto",
  } as const;
  for (const [examples, epochs, batch] of [
    [1, 25, 1],
    [4, 25, 1],
    [5, 20, 1],
    [10, 10, 1],
    [30, 3, 1],
    [33, 3, 1],
    [34, 3, 1],
    [1000, 3, 2],
    [8333, 3, 17],
    [8334, 2, 17],
    [12_500, 2, 25],
    [12_501, 1, 25],
    [1_000_000, 1, 256],
  ] as const) {
    const resolved = { n_epochs: epochs, batch_size: batch, learning_rate_multiplier: 1 };
    expect([examples, resolveHyperparameters(auto, examples)]).toEqual([examples, resolved]);
    expect([examples, resolveHyperparameters({}, examples)]).toEqual([examples, resolved]);
  }
});

test("numbers are kept as they are", () => {
  const requested = { n_epochs: 7, batch_size: 11, learning_rate_multiplier: 0.3 };
  expect(resolveHyperparameters(requested, 30)).toEqual(requested);
});

test("a number beside auto values does not change them", () => {
  expect(resolveHyperparameters({ n_epochs: 50, batch_size: "auto" }, 10)).toEqual({
    n_epochs: 50,
    batch_size: 1,
    learning_rate_multiplier: 1,
  });
});

test("a file without examples still gives numbers within OpenAI's ranges", () => {
  expect(resolveHyperparameters({}, 0)).toEqual({
    n_epochs: 25,
    batch_size: 1,
    learning_rate_multiplier: 1,
  });
});
