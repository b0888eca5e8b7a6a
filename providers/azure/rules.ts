import type { DatasetRules } from "../../src/provider.ts";

/**
 * The rules of Microsoft's pages "Customize a model with fine-tuning" and "Quotas and limits"; what
 * training costs depends on region and agreement, and is not known here.
 */
export const datasets: DatasetRules = {
  formats: ["chat", "preference", "reinforcement"],
  minExamples: 10,
  maxFileBytes: 512 * 1024 * 1024,
  maxImagesPerExample: 64,
  maxImageBytes: 10 * 1024 * 1024,
  models: [
    { model: "gpt-4.1", maxExampleTokens: 65_536, tokenizer: "o200k_base" },
    { model: "gpt-4o", maxExampleTokens: 65_536, tokenizer: "o200k_base" },
    // Azure has names without the dot too.
    { model: "gpt-35-turbo", maxExampleTokens: 16_385, tokenizer: "cl100k_base" },
    { model: "gpt-3.5-turbo", maxExampleTokens: 16_385, tokenizer: "cl100k_base" },
    { model: "davinci-002", tokenizer: "cl100k_base" },
    { model: "babbage-002", tokenizer: "cl100k_base" },
    { model: "o4-mini", tokenizer: "o200k_base" },
    { model: "gpt-5", tokenizer: "o200k_base" },
    // Open models have tokenizers of their own.
    { model: "", tokenizer: "o200k_base", estimated: true },
  ],
};
