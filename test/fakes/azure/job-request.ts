import * as v from "valibot";

// What the classic API takes, by the specification of AzureOpenAI/authoring 2024-10-21; the
// preview of 2025-04-01 adds `method`, `integrations` and `trainingType`. Neither knows null or
// "auto".
const numbers = {
  n_epochs: v.optional(v.pipe(v.number(), v.integer())),
  batch_size: v.optional(v.pipe(v.number(), v.integer())),
  learning_rate_multiplier: v.optional(v.number()),
};
const trainingType = v.optional(v.picklist(["standard", "globalStandard", "developerTier"]));
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
  hyperparameters: v.optional(
    v.strictObject({ ...numbers, prompt_loss_weight: v.optional(v.number()) }),
  ),
  trainingType,
  integrations: v.optional(
    v.array(v.strictObject({ type: v.literal("wandb"), wandb: v.looseObject({}) })),
  ),
  method: v.optional(
    v.strictObject({
      type: v.picklist(["supervised", "dpo"]),
      supervised: v.optional(
        v.strictObject({ hyperparameters: v.optional(v.strictObject(numbers)) }),
      ),
      dpo: v.optional(
        v.strictObject({
          hyperparameters: v.optional(
            v.strictObject({
              ...numbers,
              beta: v.optional(v.number()),
              l2_multiplier: v.optional(v.number()),
            }),
          ),
        }),
      ),
    }),
  ),
});

// The v1 API has OpenAI's own request.
const amount = v.optional(v.union([v.literal("auto"), v.number()]));
const amounts = { n_epochs: amount, batch_size: amount, learning_rate_multiplier: amount };
/** What the v1 API takes. */
export const V1 = v.strictObject({
  model: v.string(),
  training_file: v.string(),
  validation_file: v.nullish(v.string()),
  hyperparameters: v.optional(v.strictObject(amounts)),
  suffix: v.nullish(v.pipe(v.string(), v.regex(/^[\w-]{1,40}$/))),
  seed: v.nullish(v.pipe(v.number(), v.integer())),
  metadata: v.nullish(v.record(v.string(), v.string())),
  integrations: v.nullish(
    v.array(v.strictObject({ type: v.literal("wandb"), wandb: v.looseObject({}) })),
  ),
  trainingType,
  method: v.optional(
    v.strictObject({
      type: v.picklist(["supervised", "dpo", "reinforcement"]),
      supervised: v.optional(
        v.strictObject({ hyperparameters: v.optional(v.strictObject(amounts)) }),
      ),
      dpo: v.optional(
        v.strictObject({
          hyperparameters: v.optional(v.strictObject({ ...amounts, beta: amount })),
        }),
      ),
      reinforcement: v.optional(v.looseObject({ grader: v.looseObject({}) })),
    }),
  ),
});
/** What each version of the classic API takes. */
export const versions: Readonly<Record<string, typeof Classic | typeof Preview>> = {
  "2023-03-15-preview": Classic,
  "2024-10-21": Classic,
  "2025-04-01-preview": Preview,
};
