import type { DatasetRules, TrainingPrice } from "../../src/provider.ts";

/** The rules of Google's page "About supervised fine-tuning"; OpenAI's formats are converted. */
export const datasets: DatasetRules = {
  // Version v1 of the API has no reinforcement tuning.
  formats: ["gemini_chat", "gemini_preference", "chat", "preference"],
  maxFileBytes: 1024 * 1024 * 1024,
  maxImagesPerExample: 30,
  maxImageBytes: 20 * 1024 * 1024,
  models: [
    { model: "gemini-", maxExampleTokens: 131_072, tokenizer: "o200k_base", estimated: true },
    { model: "", tokenizer: "o200k_base", estimated: true },
  ],
};

/** Google's price list has them for supervised tuning. */
export const prices: readonly TrainingPrice[] = (
  [
    ["gemini-3.5-flash", 10],
    ["gemini-3.1-flash-lite", 3],
    ["gemini-2.5-pro", 25],
    ["gemini-2.5-flash", 5],
    ["gemini-2.5-flash-lite", 1.5],
  ] as const
).map(([model, usd_per_million_tokens]) => ({
  model,
  method: "supervised",
  usd_per_million_tokens,
  source: "https://cloud.google.com/vertex-ai/generative-ai/pricing",
  date: "2026-11-22",
}));
