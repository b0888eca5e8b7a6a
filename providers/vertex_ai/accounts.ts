import type { AuthClient } from "google-auth-library";
import * as v from "valibot";
import { CredentialError, type Json } from "./credential-files.ts";

/** What Google's library makes of a credential. */
export interface Account {
  readonly client: AuthClient;
  /** The project whose quota counts; only users' credentials name one. */
  readonly quotaProject: string | undefined;
  /** Texts that no message may show. */
  readonly secrets: readonly string[];
}

type Library = typeof import("google-auth-library");

const scopes = ["https://www.googleapis.com/auth/cloud-platform"];
/** Google's own library has no limit for one exchange. */
const exchangeMilliseconds = 30_000;

const Text = v.pipe(v.string(), v.nonEmpty());
const Address = v.pipe(v.string(), v.url());

/** What `gcloud iam service-accounts keys create` writes. */
const ServiceAccount = v.object({
  client_email: Text,
  private_key: v.pipe(Text, v.includes("PRIVATE KEY")),
  token_uri: v.exactOptional(Address),
});
/** What `gcloud auth application-default login` writes. */
const User = v.object({
  client_id: Text,
  client_secret: Text,
  refresh_token: Text,
  quota_project_id: v.exactOptional(Text),
  token_uri: v.exactOptional(Address),
});
/** What `gcloud iam workload-identity-pools create-cred-config` writes. */
const Workload = {
  audience: Text,
  subject_token_type: Text,
  token_url: Address,
  service_account_impersonation_url: v.exactOptional(Address),
  service_account_impersonation: v.exactOptional(
    v.object({ token_lifetime_seconds: v.exactOptional(v.number()) }),
  ),
  client_id: v.exactOptional(Text),
  client_secret: v.exactOptional(Text),
  workforce_pool_user_project: v.exactOptional(Text),
};
const AwsWorkload = v.object({
  ...Workload,
  credential_source: v.object({
    environment_id: Text,
    region_url: v.exactOptional(Address),
    url: v.exactOptional(Address),
    regional_cred_verification_url: Text,
    imdsv2_session_token_url: v.exactOptional(Address),
  }),
});
const CommandWorkload = v.object({
  ...Workload,
  credential_source: v.object({
    executable: v.object({
      command: Text,
      timeout_millis: v.exactOptional(v.number()),
      output_file: v.exactOptional(Text),
    }),
  }),
});
const TokenWorkload = v.object({
  ...Workload,
  credential_source: v.object({
    file: v.exactOptional(Text),
    url: v.exactOptional(Address),
    headers: v.exactOptional(v.record(v.string(), v.string())),
    format: v.exactOptional(
      v.object({
        type: v.picklist(["text", "json"]),
        subject_token_field_name: v.exactOptional(Text),
      }),
    ),
  }),
});

/**
 * Makes the client of a credential: `json` of one of `credentialTypes`, or undefined for the
 * metadata server of the machine. Throws `CredentialError`, or what the library throws.
 */
export async function openAccount(json: Json | undefined): Promise<Account> {
  // A megabyte of code that only this provider needs.
  const library = await import("google-auth-library");
  if (json === undefined) return openMetadataServer(library);
  const secrets = findSecrets(json);
  if (json.type === "service_account") {
    const key = readFields(ServiceAccount, json);
    const { client_email: email, private_key, token_uri } = key;
    const client = new library.JWT({
      email,
      key: private_key,
      scopes,
      // The library knows only Google's public token service, as audience and as address.
      ...(token_uri === undefined ? {} : { additionalClaims: { aud: token_uri } }),
      transporterOptions: makeTransport(token_uri),
    });
    return { client, quotaProject: undefined, secrets };
  }
  if (json.type === "authorized_user") {
    const user = readFields(User, json);
    const { token_uri } = user;
    const client = new library.UserRefreshClient({
      clientId: user.client_id,
      clientSecret: user.client_secret,
      refreshToken: user.refresh_token,
      transporterOptions: makeTransport(token_uri),
    });
    return { client, quotaProject: user.quota_project_id, secrets };
  }
  return { client: openWorkload(library, json), quotaProject: undefined, secrets };
}

function openWorkload(library: Library, json: Json): AuthClient {
  const transport = { scopes, transporterOptions: makeTransport(undefined) };
  const source = v.safeParse(v.object({ credential_source: v.looseObject({}) }), json);
  const keys = source.success ? source.output.credential_source : {};
  if ("environment_id" in keys) {
    return new library.AwsClient({ ...readFields(AwsWorkload, json), ...transport });
  }
  if ("executable" in keys) {
    return new library.PluggableAuthClient({ ...readFields(CommandWorkload, json), ...transport });
  }
  return new library.IdentityPoolClient({ ...readFields(TokenWorkload, json), ...transport });
}

async function openMetadataServer({ Compute, gcpMetadata }: Library): Promise<Account> {
  const { GCE_METADATA_HOST, GCE_METADATA_IP } = process.env;
  const configured = Boolean(GCE_METADATA_HOST || GCE_METADATA_IP);
  if (!configured && !(await gcpMetadata.isAvailable())) {
    // On a machine that is still starting the server may come later; the library would remember.
    gcpMetadata.resetIsAvailableCache();
    throw new CredentialError(
      'no Google credential is found; set "vertex_credentials" to the path of a key file, or GOOGLE_APPLICATION_CREDENTIALS, or run "gcloud auth application-default login"',
    );
  }
  return { client: new Compute({ scopes }), quotaProject: undefined, secrets: [] };
}

/** Sends everything to `address`, if there is one; a redirect must not carry the credential on. */
function makeTransport(address: string | undefined) {
  const send = (input: string | URL | Request, init?: RequestInit) =>
    fetch(address ?? input, { ...init, redirect: "manual" });
  return {
    timeout: exchangeMilliseconds,
    fetchImplementation: Object.assign(send, { preconnect: fetch.preconnect }),
  };
}

function readFields<Output>(schema: v.GenericSchema<unknown, Output>, json: Json): Output {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]) ?? "";
  throw new CredentialError(
    `the credential of type "${json.type}" lacks a usable "${field}"; make a new one`,
  );
}

function findSecrets(json: Json): readonly string[] {
  return ["private_key", "client_secret", "refresh_token"].flatMap((name) => {
    const value = json[name];
    return typeof value === "string" && value !== "" ? [value] : [];
  });
}
