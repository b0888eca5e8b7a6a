import { describe, expect, test } from "bun:test";
import { providers } from "../../providers/index.ts";
import { findPrice } from "../../src/cost/prices.ts";

function rulesOf(name: string) {
  const rules = providers[name]?.datasets;
  if (rules === undefined) throw new Error(`"${name}" has no rules`);
  return rules;
}

function priceOf(provider: string, model: string, method = "supervised"): number | undefined {
  const pricing = { configured: [], providers };
  return findPrice(pricing, { name: "main", provider }, model, method)?.usd_per_million_tokens;
}

describe.each(Object.keys(providers))("the rules of %s", (name) => {
  const { models, formats, ...limits } = rulesOf(name);

  test("say something of every model, and no rule hides another", () => {
    expect(models.at(-1)?.model).toBe("");
    for (const [index, { model }] of models.entries()) {
      const hidden = models.slice(index + 1).find((later) => later.model.startsWith(model));
      expect({ model, hides: hidden?.model }).toEqual({ model, hides: undefined });
    }
  });

  test("have formats, and limits that are whole numbers", () => {
    expect(new Set(formats).size).toBe(formats.length);
    expect(formats).not.toBeEmpty();
    const numbers = [
      ...Object.values(limits),
      ...models.flatMap(({ maxExampleTokens }) => maxExampleTokens ?? []),
    ];
    for (const limit of numbers) expect(Number.isSafeInteger(limit) && limit > 0).toBe(true);
  });

  test("name the source and the day of every price, and none twice", () => {
    const prices = providers[name]?.prices ?? [];
    for (const { source, date, usd_per_million_tokens } of prices) {
      expect(new URL(source).protocol).toBe("https:");
      expect(date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
      expect(Number.isNaN(Date.parse(date))).toBe(false);
      expect(usd_per_million_tokens).toBeGreaterThan(0);
    }
    const keys = prices.map(({ model, method }) => `${model} ${method}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

test.each([
  ["openai", 10, 512, 10, 10],
  ["azure", 10, 512, 64, 10],
  ["vertex_ai", undefined, 1024, 30, 20],
  ["together", 1, 102_400, 10, 10],
  ["fireworks", 3, 150_000_000 / 1024 / 1024, undefined, undefined],
  ["local", 10, undefined, undefined, undefined],
] as const)(
  "%s asks for what is published",
  (name, examples, megabytes, images, imageMegabytes) => {
    const bytes = (size: number | undefined) =>
      size === undefined ? undefined : size * 1024 * 1024;
    const { minExamples, maxFileBytes, maxImagesPerExample, maxImageBytes } = rulesOf(name);
    expect({ minExamples, maxFileBytes, maxImagesPerExample, maxImageBytes }).toEqual({
      minExamples: examples,
      maxFileBytes: bytes(megabytes),
      maxImagesPerExample: images,
      maxImageBytes: bytes(imageMegabytes),
    });
  },
);

test.each([
  ["openai", "gpt-4.1-2025-04-14", 25],
  ["openai", "gpt-4.1-mini-2025-04-14", 5],
  ["openai", "gpt-4.1-nano-2025-04-14", 1.5],
  ["openai", "gpt-4o-2024-08-06", 25],
  ["openai", "gpt-4o-mini-2024-07-18", 3],
  ["openai", "gpt-3.5-turbo-0125", 8],
  ["openai", "davinci-002", 6],
  ["openai", "babbage-002", 0.4],
  ["openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", 3],
  ["vertex_ai", "gemini-3.5-flash", 10],
  ["vertex_ai", "gemini-3.1-flash-lite", 3],
  ["vertex_ai", "gemini-2.5-pro", 25],
  ["vertex_ai", "gemini-2.5-flash", 5],
  ["vertex_ai", "gemini-2.5-flash-lite", 1.5],
])("at %s a million tokens of %s cost what is published", (provider, model, price) => {
  expect(priceOf(provider, model)).toBe(price);
});

test.each([
  ["openai", "o4-mini-2025-04-16", "reinforcement"],
  ["openai", "gpt-4o-realtime-preview", "supervised"],
  ["openai", "Qwen/Qwen3-8B", "supervised"],
  ["azure", "gpt-4.1-2025-04-14", "supervised"],
  ["vertex_ai", "gemini-2.5-flash", "dpo"],
  ["vertex_ai", "gemini-3.5-flash-lite", "supervised"],
  ["local", "tiny-lm", "supervised"],
])("at %s no price of %s (%s) is made up", (provider, model, method) => {
  expect(priceOf(provider, model, method)).toBeUndefined();
});
