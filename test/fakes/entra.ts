import type { FakeAnswer, FakeRequest, FakeServer } from "./server.ts";
import { startServer } from "./server.ts";

/** A running fake of Entra ID and of the two services that give tokens to managed identities. */
export interface FakeEntra extends Pick<FakeServer, "requests" | "inject" | "stop"> {
  /** The authority, and the host of the metadata service. */
  readonly url: string;
  /** Where App Service has its tokens. */
  readonly identityEndpoint: string;
  readonly tenantId: string;
  readonly clientId: string;
  /** The header that App Service wants. */
  readonly identityHeader: string;
  /** What is accepted, to be changed as an operator would. */
  readonly accepted: { secret: string; assertion: string };
  /** Seconds that tokens last from now on. */
  lifetime: number;
  /** Whether a token is of ours, for that audience and not revoked. */
  accepts(token: string, audience: string): boolean;
  /** From now on no token issued so far is accepted. */
  revoke(): void;
}

/** The state of one fake while it runs. */
type State = Omit<
  FakeEntra,
  keyof FakeServer | "url" | "identityEndpoint" | "accepts" | "revoke"
> & {
  readonly issued: Map<string, string>;
};

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Starts a server that refuses what Microsoft's documentation says that Entra ID refuses. */
export async function startFakeEntra(): Promise<FakeEntra> {
  const state: State = {
    tenantId: "11111111-aaaa-bbbb-cccc-222222222222",
    clientId: "33333333-dddd-eeee-ffff-444444444444",
    identityHeader: "header-of-the-app",
    accepted: { secret: "s3cret~of.the_app+1/=", assertion: "assertion.of.kubernetes" },
    lifetime: 3599,
    issued: new Map(),
  };
  const server = await startServer((request) => {
    if (request.path === "/metadata/identity/oauth2/token") return answerMachine(request, state);
    if (request.path === "/msi/token") return answerApp(request, state);
    return answerEntra(request, state);
  });
  return Object.assign(state, {
    ...server,
    url: server.origin,
    identityEndpoint: `${server.origin}/msi/token`,
    accepts: (token: string, audience: string) => state.issued.get(token) === audience,
    revoke: () => state.issued.clear(),
  });
}

function answerEntra(request: FakeRequest, state: State): FakeAnswer {
  const tenant = /^\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(request.path)?.[1];
  if (request.method !== "POST" || tenant === undefined) return { ...answer(404, {}), body: "" };
  if (request.headers.get("content-type") !== "application/x-www-form-urlencoded") {
    return refuse(400, "invalid_request", 900144, "The request body must be a form");
  }
  const form = new URLSearchParams(request.body.toString());
  const fields = Object.fromEntries(form);
  if (tenant !== state.tenantId) {
    return refuse(400, "invalid_request", 90002, `Tenant '${tenant}' not found.`);
  }
  if (fields.grant_type !== "client_credentials") {
    return refuse(400, "unsupported_grant_type", 70003, "The grant type is not supported.");
  }
  if (fields.client_id !== state.clientId) {
    const text = `Application with identifier '${fields.client_id}' was not found in the directory.`;
    return refuse(400, "unauthorized_client", 700016, text);
  }
  if (!/^https:\/\/[\w.]+\/\.default$/.test(fields.scope ?? "")) {
    return refuse(400, "invalid_scope", 1002012, "The scope must end in /.default.");
  }
  const known =
    fields.client_secret === undefined
      ? ["client_assertion_type", "client_assertion"]
      : ["client_secret"];
  const extra = [...form.keys()].find(
    (name) => !["grant_type", "client_id", "scope", ...known].includes(name),
  );
  if (extra !== undefined) return refuse(400, "invalid_request", 900144, `fake: ${extra}`);
  if (fields.client_secret !== undefined && fields.client_secret !== state.accepted.secret) {
    return refuse(401, "invalid_client", 7000215, "Invalid client secret provided.");
  }
  if (fields.client_secret === undefined) {
    if (fields.client_assertion_type !== assertionType) {
      return refuse(400, "invalid_request", 900144, "The client_assertion_type is missing.");
    }
    if (fields.client_assertion !== state.accepted.assertion) {
      return refuse(401, "invalid_client", 700024, "Client assertion is not valid.");
    }
  }
  const access_token = issue(state, (fields.scope ?? "").replace("/.default", ""));
  const { lifetime } = state;
  const expiry = { expires_in: lifetime, ext_expires_in: lifetime };
  return answer(200, { token_type: "Bearer", ...expiry, access_token });
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources, virtual machines. */
function answerMachine(request: FakeRequest, state: State): FakeAnswer {
  if (request.headers.get("metadata") !== "true") {
    return refuseIdentity("invalid_request", "Required metadata header not specified");
  }
  if (request.headers.has("x-forwarded-for") || request.query.get("api-version") !== "2018-02-01") {
    return refuseIdentity("bad_request", "fake: not as documented");
  }
  return answerIdentity(request, state, (token) => ({
    ...token,
    // Text, where Entra ID itself has numbers.
    expires_in: String(state.lifetime),
    not_before: "0",
  }));
}

/** The same for App Service and Container Apps. */
function answerApp(request: FakeRequest, state: State): FakeAnswer {
  if (request.headers.get("x-identity-header") !== state.identityHeader) {
    return answer(401, { statusCode: 401, message: "No valid X-IDENTITY-HEADER" });
  }
  if (request.query.get("api-version") !== "2019-08-01") {
    return refuseIdentity("bad_request", "fake: not as documented");
  }
  return answerIdentity(request, state, (token) => token);
}

function answerIdentity(
  { method, query }: FakeRequest,
  state: State,
  complete: (token: Record<string, string>) => Record<string, string>,
): FakeAnswer {
  const resource = query.get("resource") ?? "";
  const identity = query.get("client_id") ?? state.clientId;
  if (method !== "GET" || !/^https:\/\/[\w.]+$/.test(resource)) {
    return refuseIdentity("invalid_resource", "The resource is not valid");
  }
  if (identity !== state.clientId) return refuseIdentity("invalid_request", "Identity not found");
  const expires_on = String(Math.floor(Date.now() / 1000) + state.lifetime);
  const access_token = issue(state, resource);
  return answer(200, complete({ access_token, expires_on, resource, token_type: "Bearer" }));
}

function issue({ issued }: State, audience: string): string {
  const token = `eyJ0eXAi.${crypto.randomUUID()}.signature`;
  issued.set(token, audience);
  return token;
}

function refuse(status: number, error: string, code: number, text: string): FakeAnswer {
  const trace = crypto.randomUUID();
  return answer(status, {
    error,
    error_description: `AADSTS${code}: ${text} Trace ID: ${trace} Correlation ID: ${trace} Timestamp: 2026-01-01 00:00:00Z`,
    error_codes: [code],
    trace_id: trace,
  });
}

function refuseIdentity(error: string, error_description: string): FakeAnswer {
  return answer(400, { error, error_description });
}

function answer(status: number, value: object): FakeAnswer {
  const headers = { "content-type": "application/json; charset=utf-8" };
  return { status, headers, body: JSON.stringify(value) };
}
