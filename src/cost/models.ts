import type { DatasetRules, ModelRules } from "../provider.ts";

/** A dated or numbered version, as in `gpt-4.1-2025-04-14` or `gemini-2.5-flash@001`. */
const version = /^[-@]\d[\d.-]*$/;

/**
 * Whether what is said of `model` holds for a model of this name: the same, or one of its versions,
 * but not another model whose name goes on. A `*` at the end of `model` stands for anything.
 */
export function coversModel(model: string, name: string): boolean {
  if (model.endsWith("*")) return name.startsWith(model.slice(0, -1));
  return name === model || (name.startsWith(model) && version.test(name.slice(model.length)));
}

/**
 * The model that a tuned one was made of: OpenAI names tuned models `ft:base:organization:…`, Azure
 * `base.ft-…`. Any other name is returned as it is.
 */
export function baseModelOf(name: string): string {
  const base = name.startsWith("ft:") ? (name.split(":")[1] ?? "") : name;
  return base.split(".ft-")[0] ?? base;
}

/** The rules for a model, tuned before or not. */
export function findModelRules(
  rules: DatasetRules | undefined,
  name: string,
): ModelRules | undefined {
  const base = baseModelOf(name);
  return rules?.models.find(({ model }) => base.startsWith(model));
}
