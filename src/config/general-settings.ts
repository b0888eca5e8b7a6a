import * as v from "valibot";
import { validationModes } from "../reports.ts";
import type { Environment } from "./environment.ts";
import type { Mistakes } from "./mistakes.ts";
import type { Settings } from "./settings.ts";
import { isMapping, validateMapping } from "./validation.ts";

/** Longer is a slip of units, and far longer would overflow a timer. */
const maxSeconds = 86_400;

const masterKey = v.pipe(
  v.string(),
  // What a client cannot send in a header would lock everybody out.
  v.regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces, at least one character"),
);

/** What `general_settings` may hold; the descriptions are the documentation. */
export const generalSettings = v.strictObject({
  master_key: v.pipe(
    v.optional(masterKey),
    v.description(
      "The key that clients send as `Authorization: Bearer …`. Default: the environment variable `TUNEGATE_MASTER_KEY`, else `LITELLM_MASTER_KEY`; without any, only this machine may call",
    ),
  ),
  default_provider: v.pipe(
    v.optional(v.string()),
    v.description(
      "Where uploads go that name no backend: a backend, or a provider, which means its first entry. Default: OpenAI if it has an entry, else the first entry",
    ),
  ),
  max_file_size_mb: v.pipe(
    v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0)), 512),
    v.description("The largest file that is taken, in MiB. Default: 512"),
  ),
  validate_files: v.pipe(
    v.optional(v.picklist(validationModes), "refuse"),
    v.description(
      "What becomes of a training file whose dataset has errors: `refuse`, `warn` (it is taken, and its report lists them) or `off` (nothing is checked). Default: `refuse`",
    ),
  ),
  idle_timeout_seconds: v.pipe(
    v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(maxSeconds)), 60),
    v.description(
      "How long a client may send nothing while its upload is awaited; there is no limit on the whole. Default: 60",
    ),
  ),
  list_timeout_seconds: v.pipe(
    v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(maxSeconds)), 5),
    v.description(
      "How long a list or a look-up over all backends waits for the slowest of them. Default: 5",
    ),
  ),
  shutdown_timeout_seconds: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(maxSeconds)), 30),
    v.description("How long requests under way may take after SIGTERM or SIGINT. Default: 30"),
  ),
  max_job_cost_usd: v.pipe(
    v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0))),
    v.description(
      "The most that a fine-tuning job may cost by its estimate, in US dollars; one above it is refused. Default: no limit",
    ),
  ),
  providers_dir: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty())),
    v.description(
      "The folder of your own providers, seen from the configuration file. Default: `providers` beside that file, if it exists",
    ),
  ),
  plugin_timeout_seconds: v.pipe(
    v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(maxSeconds)), 900),
    v.description(
      "How long one call of a provider of your own may take, uploads and downloads excepted. Default: 900",
    ),
  ),
});

/** The values of `general_settings`, with defaults; `master_key` from wherever it is set. */
export type GeneralSettings = Readonly<v.InferOutput<typeof generalSettings>>;

/** The settings of a gateway that has no `general_settings`. */
export const defaultGeneralSettings: GeneralSettings = v.parse(generalSettings, {});

/** Reads the block's value; an empty block is as none, as in LiteLLM. */
export function readGeneralSettings(value: unknown, settings: Settings): GeneralSettings {
  const path = ["general_settings"];
  if (value === null || settings.isUnreadable(path)) return defaultGeneralSettings;
  if (!isMapping(value)) {
    settings.addMistake(path, "must be a mapping of settings, such as master_key");
    return defaultGeneralSettings;
  }
  return validateMapping(generalSettings, value, path, settings) ?? defaultGeneralSettings;
}

/** The variables that may hold the master key, the first one set counts. */
const masterKeyVariables = ["TUNEGATE_MASTER_KEY", "LITELLM_MASTER_KEY"];

/** Adds the master key of the environment where the file has none; an empty one is none. */
export function addMasterKey(
  general: GeneralSettings,
  environment: Environment,
  mistakes: Mistakes,
): GeneralSettings {
  if (general.master_key !== undefined) return general;
  const name = masterKeyVariables.find((variable) => environment[variable]);
  if (name === undefined) return general;
  const result = v.safeParse(masterKey, environment[name]);
  if (result.success) return { ...general, master_key: result.output };
  mistakes.addElsewhere(`Cannot use environment variable "${name}": ${result.issues[0].message}`);
  return general;
}
