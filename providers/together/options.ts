import * as v from "valibot";
import { apiBase, apiKey, headersOption, timeoutOption } from "../../src/upstream/settings.ts";

const positiveInteger = v.pipe(v.number(), v.integer(), v.minValue(1));

/** What an entry of the configuration may hold. */
export const options = v.strictObject({
  api_key: v.pipe(apiKey, v.description("The API key of the account")),
  api_base: v.pipe(
    v.optional(apiBase, "https://api.together.ai/v1"),
    v.description("Where the API is, its version included"),
  ),
  training: v.pipe(
    v.optional(v.picklist(["lora", "full"]), "lora"),
    v.description("Whether jobs train a LoRA adapter, which every model has, or the whole model"),
  ),
  lora_rank: v.pipe(
    v.optional(positiveInteger),
    v.description("The rank of LoRA adapters; the model's own where it is not set"),
  ),
  learning_rate: v.pipe(
    v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1)), 0.00001),
    v.description("The learning rate that a learning_rate_multiplier of 1 or auto stands for"),
  ),
  checkpoints: v.pipe(
    v.optional(positiveInteger, 1),
    v.description("How many checkpoints a job saves"),
  ),
  evaluations: v.pipe(
    v.optional(positiveInteger, 1),
    v.description("How often a job with a validation file is evaluated; each time is billed"),
  ),
  timeout: timeoutOption,
  headers: headersOption,
});

/** The options of one backend, with their defaults. */
export type Settings = v.InferOutput<typeof options>;

/** Takes away the digits that binary fractions add to a product or a quotient. */
export function roundRate(value: number): number {
  return Number(value.toPrecision(12));
}
