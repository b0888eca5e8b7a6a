import type { DatasetRules } from "../../src/provider.ts";

/** What every trainer can rely on: the checks before it starts. */
export const datasets: DatasetRules = {
  formats: ["chat", "preference", "reinforcement"],
  minExamples: 10,
  // Which tokenizer a trainer has is not known here.
  models: [{ model: "", tokenizer: "o200k_base", estimated: true }],
};
