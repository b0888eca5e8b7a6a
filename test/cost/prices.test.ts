import { describe, expect, test } from "bun:test";
import { baseModelOf, coversModel, findModelRules } from "../../src/cost/models.ts";
import { findPrice } from "../../src/cost/prices.ts";
import { main, makePricing, published } from "./support.ts";

describe("coversModel()", () => {
  test.each([
    ["gpt-4.1", "gpt-4.1"],
    ["gpt-4.1", "gpt-4.1-2025-04-14"],
    ["gpt-3.5-turbo", "gpt-3.5-turbo-0125"],
    ["gemini-2.5-flash", "gemini-2.5-flash-001"],
    ["gemini-2.5-flash", "gemini-2.5-flash@001"],
    ["gpt-*", "gpt-4.1-mini"],
    ["*", "anything"],
  ])("takes %s for %s", (model, name) => {
    expect(coversModel(model, name)).toBe(true);
  });

  test.each([
    ["gpt-4.1", "gpt-4.1-mini"],
    ["gpt-4.1", "gpt-4.1-mini-2025-04-14"],
    ["gpt-3.5-turbo", "gpt-3.5-turbo-16k"],
    ["gemini-2.5-flash", "gemini-2.5-flash-lite"],
    ["Qwen/Qwen3", "Qwen/Qwen3-8B"],
    ["gpt-4", "gpt-4.1"],
    ["gpt-4.1-2025-04-14", "gpt-4.1"],
    ["gpt-4.1", "GPT-4.1"],
    ["gpt-*", "o4-mini"],
    ["gpt-4.1", ""],
  ])("does not take %s for %s", (model, name) => {
    expect(coversModel(model, name)).toBe(false);
  });
});

test.each([
  ["ft:gpt-4.1-2025-04-14:acme:support:AbC", "gpt-4.1-2025-04-14"],
  ["gpt-4o-2024-08-06.ft-0e208cf33a6a466994aff31a08aba678", "gpt-4o-2024-08-06"],
  ["ft:tiny-lm:local::12345678", "tiny-lm"],
  ["ft:", ""],
  ["gpt-4.1", "gpt-4.1"],
  ["projects/1/locations/2/models/3@1", "projects/1/locations/2/models/3@1"],
])("baseModelOf(%j) is %j", (name, base) => {
  expect(baseModelOf(name)).toBe(base);
});

test("findModelRules() finds the rules of a model, tuned before or not, and none without rules", () => {
  const rules = makePricing().providers.paid?.datasets;
  expect(findModelRules(rules, "old-1")?.tokenizer).toBe("cl100k_base");
  expect(findModelRules(rules, "ft:old-1:a:b:c")?.tokenizer).toBe("cl100k_base");
  expect(findModelRules(rules, "unheard-of")?.estimated).toBe(true);
  expect(findModelRules(undefined, "old-1")).toBeUndefined();
});

describe("findPrice()", () => {
  const find = (
    model: string,
    configured: Parameters<typeof makePricing>[0] = [],
    method = "supervised",
    backend = main,
  ) => findPrice(makePricing(configured), backend, model, method);

  test("finds the published price, with its source and date", () => {
    expect(find("big-1-2026-01-01")).toEqual({ usd_per_million_tokens: 25, ...published });
    expect(find("big-1-mini")).toEqual({ usd_per_million_tokens: 5, ...published });
    expect(find("ft:big-1-mini:acme:x:y")?.usd_per_million_tokens).toBe(5);
  });

  test("finds none for another model, provider or method", () => {
    expect(find("big-1-nano")).toBeUndefined();
    expect(find("big-10")).toBeUndefined();
    expect(find("big-1", [], "supervised", { name: "main", provider: "bare" })).toBeUndefined();
    expect(find("big-1", [], "supervised", { name: "main", provider: "gone" })).toBeUndefined();
    expect(find("tuner")?.usd_per_million_tokens).toBe(10);
    expect(find("tuner", [], "dpo")).toBeUndefined();
  });

  test("finds the operator's price before the published one, for every method", () => {
    const configured = [{ model: "big-1", usd_per_million_tokens: 12.5 }];
    const own = { usd_per_million_tokens: 12.5, source: "configuration", date: null };
    expect(find("big-1-2026-01-01", configured, "dpo")).toEqual(own);
    expect(find("big-1-mini", configured)?.usd_per_million_tokens).toBe(5);
    expect(find("big-1-mini", [{ model: "*", usd_per_million_tokens: 0 }])).toMatchObject({
      usd_per_million_tokens: 0,
      source: "configuration",
    });
  });

  test("finds the price with the longest model, then of the backend, then of its provider", () => {
    const entries = [
      { model: "*", backend: "main", usd_per_million_tokens: 1 },
      { model: "big-*", usd_per_million_tokens: 2 },
      { model: "big-1*", usd_per_million_tokens: 3 },
      { model: "big-1", usd_per_million_tokens: 4 },
      { model: "big-1", backend: "paid", usd_per_million_tokens: 5 },
      { model: "big-1", backend: "main", usd_per_million_tokens: 6 },
      { model: "big-1", backend: "other", usd_per_million_tokens: 7 },
    ];
    for (const configured of [entries, entries.toReversed()]) {
      const price = (model: string, name: string) =>
        find(model, configured, "supervised", { name, provider: "paid" })?.usd_per_million_tokens;
      expect(price("big-1", "main")).toBe(6);
      expect(price("big-1", "second")).toBe(5);
      expect(price("big-1-mini", "second")).toBe(3);
      expect(price("big-2", "main")).toBe(2);
      expect(price("small", "main")).toBe(1);
      expect(price("small", "second")).toBeUndefined();
    }
  });
});
