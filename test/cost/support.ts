import * as v from "valibot";
import type { Pricing } from "../../src/cost/prices.ts";
import type { DatasetReport, TokenReport } from "../../src/dataset/report.ts";
import { type DatasetRules, defineProvider, type TrainingPrice } from "../../src/provider.ts";

/** A backend named `main` of the provider `paid`. */
export const main = { name: "main", provider: "paid" };

export const published = { source: "https://example.com/prices", date: "2026-11-22" };

const prices: readonly TrainingPrice[] = [
  { model: "big-1", usd_per_million_tokens: 25, ...published },
  { model: "big-1-mini", usd_per_million_tokens: 5, ...published },
  { model: "tuner", method: "supervised", usd_per_million_tokens: 10, ...published },
];

const datasets: DatasetRules = {
  formats: ["chat", "preference"],
  models: [
    { model: "big-", maxExampleTokens: 1000, tokenizer: "o200k_base" },
    { model: "old-", maxExampleTokens: 1000, tokenizer: "cl100k_base" },
    { model: "", tokenizer: "o200k_base", estimated: true },
  ],
};

/** The providers `paid`, with prices and rules, and `bare`, without. */
export function makePricing(configured: Pricing["configured"] = []): Pricing {
  const options = v.strictObject({});
  const create = () => {
    throw new Error("A test of costs makes no backend");
  };
  return {
    configured,
    providers: {
      paid: defineProvider({ options, datasets, prices, create }),
      bare: defineProvider({ options, create }),
    },
  };
}

/** The report of a chat dataset of 100 examples and 10,000 tokens. */
export function makeReport(
  tokens: Partial<TokenReport> | null = {},
  fields: Partial<DatasetReport> = {},
): DatasetReport {
  const counted = {
    status: "done",
    tokenizer: "o200k_base",
    estimated: false,
    limit: 1000,
    total: 10_000,
    billable: 9000,
    max: 1500,
  } as const;
  return {
    format: "chat",
    bytes: 50_000,
    examples: 100,
    errors: { count: 0, first: [] },
    warnings: { count: 0, first: [] },
    messages: { user: 100, assistant: 100 },
    images: 0,
    tool_examples: 0,
    duplicates: 0,
    tokens: tokens === null ? null : { ...counted, ...tokens },
    ...fields,
  };
}

/** The report while its tokens are being counted. */
export function makeCountingReport(): DatasetReport {
  return makeReport(null, {
    tokens: { status: "counting", tokenizer: "o200k_base", estimated: false, limit: 1000 },
  });
}
