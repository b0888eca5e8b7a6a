import * as v from "valibot";

// What the classic API takes, by the specification of AzureOpenAI/authoring 2024-10-21; the
// preview of 2025-04-01 adds `method` and `integrations`. Neither knows null or "auto".
const numbers = {
  n_epochs: v.optional(v.pipe(v.number(), v.integer())),
  batch_size: v.optional(v.pipe(v.number(), v.integer())),
  learning_rate_multiplier: v.optional(v.number()),
};
const classicEntries = {
  model: v.string(),
  training_file: v.string(),
  validation_file: v.optional(v.string()),
  hyperparameters: v.optional(v.strictObject(numbers)),
  suffix: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/))),
  seed: v.optional(v.pipe(v.number(), v.integer())),
};
const Classic = v.strictObject(classicEntries);
const Preview = v.strictObject({
  ...classicEntries,
  integrations: v.optional(v.array(v.looseObject({ type: v.literal("wandb") }))),
  method: v.optional(
    v.strictObject({
      type: v.picklist(["supervised", "dpo"]),
      supervised: v.optional(
        v.strictObject({ hyperparameters: v.optional(v.strictObject(numbers)) }),
      ),
      dpo: v.optional(
        v.strictObject({
          hyperparameters: v.optional(v.strictObject({ ...numbers, beta: v.optional(v.number()) })),
        }),
      ),
    }),
  ),
});
/** What the v1 API takes. */
export const V1 = v.looseObject({ model: v.string(), training_file: v.string() });
/** What each version of the classic API takes. */
export const versions: Readonly<Record<string, typeof Classic | typeof Preview>> = {
  "2023-03-15-preview": Classic,
  "2024-10-21": Classic,
  "2025-04-01-preview": Preview,
};
