import * as v from "valibot";
import type { Registry } from "../../src/config/config.ts";
import { defineProvider } from "../../src/provider.ts";

/** Providers with the options that real ones have, and backends that do nothing. */
export const registry: Registry = {
  defaultProvider: "local",
  providers: {
    local: createProvider(
      v.strictObject({
        trainer: v.optional(v.pipe(v.array(v.string()), v.minLength(1))),
        max_concurrent_jobs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1),
      }),
    ),
    openai: createProvider(
      v.strictObject({
        api_key: v.pipe(v.string(), v.nonEmpty()),
        api_base: v.optional(v.pipe(v.string(), v.url()), "https://api.openai.com/v1"),
        organization: v.optional(v.string()),
        timeout: v.optional(v.pipe(v.number(), v.gtValue(0)), 600),
        headers: v.optional(
          v.record(
            v.pipe(v.string(), v.regex(/^\S+$/, "must be the name of a header")),
            v.string(),
          ),
        ),
      }),
    ),
    azure: createProvider(
      v.strictObject({
        api_base: v.pipe(v.string(), v.url()),
        api_key: v.optional(v.string()),
        api_version: v.optional(v.string()),
        training_type: v.optional(v.picklist(["standard", "globalStandard", "developerTier"])),
        retry: v.optional(v.strictObject({ attempts: v.number(), jitter: v.boolean() })),
      }),
    ),
  },
};

function createProvider(options: Parameters<typeof defineProvider>[0]["options"]) {
  return defineProvider({
    options,
    create: () => {
      throw new Error("A config test makes no backend");
    },
  });
}
