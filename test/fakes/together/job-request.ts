import * as v from "valibot";

/** The body of `POST /fine-tunes` as the gateway may send it; anything else is refused. */
export const JobSchema = v.strictObject({
  model: v.optional(v.string()),
  from_checkpoint: v.optional(v.pipe(v.string(), v.startsWith("ft-"))),
  training_file: v.string(),
  validation_file: v.optional(v.string()),
  suffix: v.optional(v.pipe(v.string(), v.maxLength(40))),
  random_seed: v.optional(v.pipe(v.number(), v.integer())),
  // What the SDK always sends: the service takes what is left out for 0.
  n_epochs: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(20)),
  batch_size: v.union([v.literal("max"), v.pipe(v.number(), v.integer(), v.minValue(1))]),
  learning_rate: v.pipe(v.number(), v.gtValue(0), v.maxValue(0.1)),
  n_checkpoints: v.pipe(v.number(), v.integer(), v.minValue(1)),
  n_evals: v.pipe(v.number(), v.integer(), v.minValue(0)),
  lr_scheduler: v.strictObject({
    lr_scheduler_type: v.picklist(["linear", "cosine"]),
    lr_scheduler_args: v.strictObject({ min_lr_ratio: v.number(), num_cycles: v.number() }),
  }),
  warmup_ratio: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  max_grad_norm: v.pipe(v.number(), v.minValue(0)),
  weight_decay: v.pipe(v.number(), v.minValue(0)),
  training_method: v.variant("method", [
    v.strictObject({
      method: v.literal("sft"),
      train_on_inputs: v.union([v.boolean(), v.literal("auto")]),
    }),
    v.strictObject({ method: v.literal("dpo"), dpo_beta: v.optional(v.number()) }),
  ]),
  training_type: v.optional(
    v.variant("type", [
      v.strictObject({ type: v.literal("Full") }),
      v.strictObject({
        type: v.literal("Lora"),
        lora_r: v.pipe(v.number(), v.integer()),
        lora_alpha: v.pipe(v.number(), v.integer()),
        lora_dropout: v.number(),
        lora_trainable_modules: v.string(),
      }),
    ]),
  ),
});
