import { describe, expect, test } from "bun:test";
import { addCost, costOf, findActualCost, methodOf } from "../../src/cost/cost.ts";
import type { JobFields } from "../../src/provider.ts";
import { main, makePricing, published } from "./support.ts";

const price = { usd_per_million_tokens: 25, ...published };

function makeJob(fields: Partial<JobFields> = {}): JobFields {
  return {
    id: "ftjob-1",
    created_at: 1,
    model: "big-1-2026-01-01",
    status: "succeeded",
    training_file: "file-1",
    trained_tokens: 49_200,
    ...fields,
  };
}

test.each([
  [1_000_000, 25, 25],
  [49_200, 25, 1.23],
  [1, 25, 0.000025],
  [3, 0.4, 0.000001],
  [1_000_000, 0.1 + 0.2, 0.3],
  [5_000_000, 0, 0],
  [0, 25, 0],
])("costOf() of %d tokens at $%d a million is $%d", (tokens, usd_per_million_tokens, usd) => {
  expect(costOf(tokens, { ...price, usd_per_million_tokens }).usd).toBe(usd);
});

describe("findActualCost()", () => {
  const find = (fields: Partial<JobFields> = {}) =>
    findActualCost(makePricing(), main, makeJob(fields));

  test("multiplies the trained tokens by the price, and says where that is from", () => {
    const cost = { usd: 1.23, tokens: 49_200, ...price };
    expect(find()).toEqual(cost);
    expect(find({ status: "cancelled" })).toEqual(cost);
    expect(find({ status: "failed" })).toEqual(cost);
    expect(find({ trained_tokens: 0 })?.usd).toBe(0);
  });

  test.each(["validating_files", "queued", "running", "pausing", "paused", "newer_state"])(
    "knows no cost of a job that is %s",
    (status) => {
      expect(find({ status })).toBeUndefined();
    },
  );

  test("knows no cost without trained tokens or without a price", () => {
    expect(find({ trained_tokens: null })).toBeUndefined();
    const { trained_tokens: _, ...without } = makeJob();
    expect(findActualCost(makePricing(), main, without)).toBeUndefined();
    expect(find({ trained_tokens: -1 })).toBeUndefined();
    expect(find({ trained_tokens: Number.NaN })).toBeUndefined();
    expect(find({ model: "unheard-of" })).toBeUndefined();
    expect(find({ model: "tuner", method: { type: "dpo" } })).toBeUndefined();
    expect(find({ model: "tuner", method: { type: "supervised" } })?.usd).toBe(0.492);
  });
});

test.each([
  [{}, "supervised"],
  [{ method: null }, "supervised"],
  [{ method: "dpo" }, "supervised"],
  [{ method: { type: 7 } }, "supervised"],
  [{ method: { type: "dpo" } }, "dpo"],
])("methodOf(%j) is %j", (fields, method) => {
  expect(methodOf(fields)).toBe(method);
});

describe("addCost()", () => {
  const cost = costOf(1_000_000, price);

  test("adds one field, and nothing where there is no cost", () => {
    const job = { id: "ftjob-1" };
    expect(addCost(job, cost)).toEqual({ id: "ftjob-1", tunegate: { cost } });
    expect(addCost(job, undefined)).toBe(job);
  });

  test("keeps what another tunegate has said, unless it is no object", () => {
    const theirs = { more: 1, cost: { usd: 9 } };
    expect(addCost({ tunegate: theirs }, cost)).toEqual({ tunegate: { more: 1, cost } });
    expect(addCost({ tunegate: theirs }, undefined)).toEqual({ tunegate: theirs });
    expect(addCost({ tunegate: ["x"] }, cost)).toEqual({ tunegate: { cost } });
    expect(addCost({ tunegate: null }, cost)).toEqual({ tunegate: { cost } });
  });
});
