import * as v from "valibot";
import { type Backend, type DatasetRules, defineProvider } from "../../src/provider.ts";
import { connectUpstream } from "../../src/upstream/client.ts";
import { apiBase, apiKey, timeoutOption } from "../../src/upstream/settings.ts";
import { type Account, checkAccess, readError } from "./account.ts";
import { createFiles } from "./files.ts";
import { createJobs } from "./jobs.ts";

const options = v.strictObject({
  api_key: v.pipe(apiKey, v.description("The API key of the account")),
  account_id: v.pipe(
    v.string(),
    v.regex(/^[a-z0-9][a-z0-9-]*$/, "must be the id of an account, without accounts/"),
    v.description("The id of the account, as `firectl account list` shows it"),
  ),
  api_base: v.pipe(
    v.optional(apiBase, "https://api.fireworks.ai/v1"),
    v.description("Where the API is, its version included"),
  ),
  lora_rank: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 8),
    v.description("The rank of the adapter that a job trains if its request has no `lora_rank`"),
  ),
  timeout: timeoutOption,
});

// The guides "Supervised Fine Tuning - Text" and "Direct Preference Optimization", and of the API's
// reference "Upload Dataset Files". Prices go by the size of a model, not by its name.
const datasets: DatasetRules = {
  formats: ["chat", "preference"],
  minExamples: 3,
  maxFileBytes: 150_000_000,
  models: [{ model: "", tokenizer: "o200k_base", estimated: true }],
};

/**
 * Fireworks AI: a file is a dataset, a job a supervised or a DPO fine-tuning job. After the
 * reference at docs.fireworks.ai ("Gateway REST API" 4.259.0) and the Python SDK
 * fw-ai-external/python-sdk (1.2.23 of 2026-10-10), both as of 2026-11-23.
 */
export default defineProvider({
  options,
  datasets,
  create(settings, runtime): Backend {
    const { account_id, api_base, api_key, lora_rank, timeout } = settings;
    const common = { backend: runtime.name, readError, timeout };
    const headers = { authorization: `Bearer ${api_key}` };
    const account: Account = {
      name: `accounts/${account_id}`,
      upstream: connectUpstream({ ...common, baseUrl: api_base, headers }),
      // A signed URL carries its own credential; ours must not go there.
      connectSigned: ({ origin, pathname, searchParams }) =>
        connectUpstream({
          ...common,
          baseUrl: `${origin}${pathname}`,
          query: Object.fromEntries(searchParams),
          headers: {},
        }),
      log: runtime.log,
    };
    return {
      ...createFiles(account, datasets.maxFileBytes ?? 0),
      ...createJobs(account, lora_rank),
      checkAccess: (signal) => checkAccess(account, signal),
    };
  },
});
