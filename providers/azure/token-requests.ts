import { readFile } from "node:fs/promises";
import { ApiError, StartError } from "../../src/errors.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A request for a token, and what no message may repeat of it. */
export interface TokenRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly secrets: readonly string[];
}

/** An app registration in Entra ID and how it proves who it is. */
export interface Registration {
  readonly authority: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly scope: string;
  readonly proof: { readonly secret: string } | { readonly tokenFile: string };
  readonly backend: string;
}

/**
 * Asks Entra ID by its client credentials flow. A token file is read each time, because what fills
 * it replaces the token long before it expires; throws a 502 where it cannot be read.
 */
export async function makeEntraRequest(registration: Registration): Promise<TokenRequest> {
  const { authority, tenantId, clientId, scope, proof, backend } = registration;
  const secret = "secret" in proof ? proof.secret : await readTokenFile(proof.tokenFile, backend);
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    scope,
    ...("secret" in proof
      ? { client_secret: secret }
      : {
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: secret,
        }),
  });
  return {
    url: `${authority.replace(/\/+$/, "")}/${tenantId}/oauth2/v2.0/token`,
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: body.toString(),
    secrets: [secret],
  };
}

async function readTokenFile(path: string, backend: string): Promise<string> {
  const fail = (problem: string, cause?: unknown) =>
    new ApiError(
      502,
      `Cannot get a token for backend "${backend}": the file of "federated_token_file" ${problem}`,
      { code: "upstream_authentication_error", retry: false, cause },
    );
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${cause.code})` : "";
    throw fail(`cannot be read${code}`, cause);
  }
  if (text === "") throw fail("is empty");
  return text;
}

/** The identity that Azure gives to the machine or app that this process runs on. */
export interface ManagedIdentity {
  /** The user-assigned identity; undefined for the system-assigned one. */
  readonly clientId: string | undefined;
  readonly scope: string;
  readonly backend: string;
  readonly environment: Environment;
}

/**
 * Asks App Service or Container Apps where their variables are set, else the metadata service of a
 * virtual machine. The names are those of Microsoft's documentation and of the Azure SDKs.
 */
export function makeIdentityRequest(identity: ManagedIdentity): TokenRequest {
  const { clientId, scope, backend, environment } = identity;
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = environment;
  const query = {
    resource: scope.replace(/\/\.default$/, ""),
    ...(clientId !== undefined && { client_id: clientId }),
  };
  if (endpoint) {
    if (!header || !URL.canParse(endpoint)) {
      throw new StartError(
        `Cannot set up backend "${backend}": "managed_identity" needs the variable ${header ? "IDENTITY_ENDPOINT to be a URL" : "IDENTITY_HEADER beside IDENTITY_ENDPOINT"}, as App Service and Container Apps set it; Azure Arc and Service Fabric are not supported`,
      );
    }
    return {
      url: addQuery(endpoint, { "api-version": "2019-08-01", ...query }),
      method: "GET",
      headers: { "x-identity-header": header },
      secrets: [header],
    };
  }
  const host = environment.AZURE_POD_IDENTITY_AUTHORITY_HOST || "http://169.254.169.254";
  return {
    url: addQuery(`${host.replace(/\/+$/, "")}/metadata/identity/oauth2/token`, {
      "api-version": "2018-02-01",
      ...query,
    }),
    method: "GET",
    headers: { metadata: "true" },
    secrets: [],
  };
}

function addQuery(base: string, query: Readonly<Record<string, string>>): string {
  const url = new URL(base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}
