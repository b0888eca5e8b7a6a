import * as v from "valibot";
import {
  apiBase,
  apiKey,
  headersOption,
  headerValue,
  timeoutOption,
} from "../../src/upstream/settings.ts";

const name = v.pipe(
  v.string(),
  v.trim(),
  v.regex(/^[\w.-]+$/, "must be an id or a domain: letters, digits, dots, dashes, underscores"),
);

const token = v.pipe(
  apiKey,
  v.check(
    (text) => !text.startsWith("oidc/"),
    'must be a token itself; for workload identity, give "federated_token_file"',
  ),
);

/** What an entry of this provider may hold; how its parts go together is not checked here. */
export const options = v.strictObject({
  api_base: v.pipe(
    apiBase,
    v.description(
      "The endpoint of the resource, such as https://name.openai.azure.com, or one that ends in /openai/v1, or that of a Foundry project",
    ),
  ),
  api_key: v.pipe(v.optional(apiKey), v.description("A key of the resource")),
  api_version: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^(v1|latest|preview|\d{4}-\d{2}-\d{2}(-preview)?)$/,
          'must be "v1", "latest", "preview" or a date such as "2024-10-21"',
        ),
      ),
      "v1",
    ),
    v.description(
      "A date stands for the classic API in that version, anything else for the v1 API, which is all that projects and an api_base in /openai/v1 have",
    ),
  ),
  azure_ad_token: v.pipe(
    v.optional(token),
    v.description("Instead of a key, a token of Microsoft Entra ID, used as long as it lasts"),
  ),
  tenant_id: v.pipe(
    v.optional(name),
    v.description("The directory of `client_id`, where its tokens are asked for"),
  ),
  client_id: v.pipe(
    v.optional(name),
    v.description(
      "Instead of a key, the app registration to act as, or the user-assigned identity of `managed_identity`",
    ),
  ),
  client_secret: v.pipe(
    v.optional(v.pipe(v.string(), v.trim(), v.nonEmpty())),
    v.description("A secret of `client_id`"),
  ),
  federated_token_file: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty())),
    v.description(
      "In place of `client_secret`, the file with a token that `client_id` trusts, such as os.environ/AZURE_FEDERATED_TOKEN_FILE on Kubernetes; read anew for each token",
    ),
  ),
  managed_identity: v.pipe(
    v.optional(v.boolean(), false),
    v.description(
      "Instead of a key, the identity of the virtual machine, App Service or Container App that the gateway runs on",
    ),
  ),
  authority_host: v.pipe(
    v.optional(apiBase),
    v.description(
      "Where Entra ID is, for sovereign clouds such as https://login.microsoftonline.us. Default: `https://login.microsoftonline.com`",
    ),
  ),
  azure_scope: v.pipe(
    v.optional(headerValue),
    v.description(
      "What tokens are asked for. Default: `https://cognitiveservices.azure.com/.default`, for projects `https://ai.azure.com/.default`",
    ),
  ),
  training_type: v.pipe(
    v.optional(v.picklist(["standard", "globalStandard", "developerTier"])),
    v.description(
      "The `trainingType` of jobs that do not name one: `standard`, `globalStandard` or `developerTier`. Default: Azure's own, and `globalStandard` for open models, which have nothing else",
    ),
  ),
  import_timeout: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3600)), 60),
    v.description("Seconds that a new job waits for Azure to import its files"),
  ),
  timeout: timeoutOption,
  headers: headersOption,
});

/** An entry of this provider, each option by itself checked. */
export type Settings = v.InferOutput<typeof options>;
