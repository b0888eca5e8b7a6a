import * as v from "valibot";
import { GraderSchema } from "./graders.ts";

const auto = v.literal("auto");
const natural = (most = Number.MAX_SAFE_INTEGER) =>
  v.optional(v.union([auto, v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most))]));
const rate = (above: number, most = Number.MAX_VALUE) =>
  v.optional(v.union([auto, v.pipe(v.number(), v.gtValue(above), v.maxValue(most))]));

const base = {
  n_epochs: natural(50),
  batch_size: natural(256),
  learning_rate_multiplier: rate(0),
};

const MethodSchema = v.looseObject({
  type: v.picklist(["supervised", "dpo", "reinforcement"]),
  supervised: v.optional(v.looseObject({ hyperparameters: v.optional(v.strictObject(base)) })),
  dpo: v.optional(
    v.looseObject({ hyperparameters: v.optional(v.strictObject({ ...base, beta: rate(0, 2) })) }),
  ),
  reinforcement: v.optional(
    v.looseObject({
      grader: GraderSchema,
      hyperparameters: v.optional(
        v.strictObject({
          ...base,
          reasoning_effort: v.optional(v.picklist(["default", "low", "medium", "high"])),
          compute_multiplier: rate(0.00001, 10),
          eval_interval: natural(),
          eval_samples: natural(),
        }),
      ),
    }),
  ),
});

const IntegrationSchema = v.strictObject({
  type: v.literal("wandb"),
  wandb: v.strictObject({
    project: v.string(),
    name: v.optional(v.nullable(v.string())),
    entity: v.optional(v.nullable(v.string())),
    tags: v.optional(v.array(v.string())),
  }),
});

/** CreateFineTuningJobRequest of OpenAI's API reference, which allows fields beside these. */
export const JobSchema = v.looseObject({
  model: v.string(),
  training_file: v.string(),
  validation_file: v.optional(v.nullable(v.string())),
  hyperparameters: v.optional(v.strictObject(base)),
  suffix: v.optional(v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(64)))),
  seed: v.optional(
    v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2_147_483_647))),
  ),
  method: v.optional(MethodSchema),
  integrations: v.optional(v.nullable(v.pipe(v.array(IntegrationSchema), v.maxLength(5)))),
  metadata: v.optional(
    v.nullable(
      v.pipe(
        v.record(v.pipe(v.string(), v.maxLength(64)), v.pipe(v.string(), v.maxLength(512))),
        v.maxEntries(16),
      ),
    ),
  ),
});
