import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import * as v from "valibot";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "../server.ts";

/** A running fake of Google's token service, metadata server, STS and IAM credentials. */
export interface FakeTokens extends FakeServer {
  /** The tokens that were issued and not taken back, oldest first. */
  readonly tokens: readonly string[];
  /** Seconds that new tokens last; 3599 if not set. */
  lifetime: number;
  /** No token that was issued so far counts any more. */
  revoke(): void;
  /** The key of a service account, whose tokens this server issues. */
  readonly serviceAccount: Readonly<Record<string, string>>;
  /** The credential of a user. */
  readonly user: Readonly<Record<string, string>>;
  /** The configuration of a workload whose own token is in the file at `path`. */
  federate(path: string, impersonated: boolean): Readonly<Record<string, unknown>>;
}

const scope = "https://www.googleapis.com/auth/cloud-platform";
const email = "tuner@my-project.iam.gserviceaccount.com";
const audience =
  "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/p/providers/q";
/** What the workload's file must hold. */
export const subjectToken = "subject-token-of-the-workload";

class TokenRefusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const Claims = v.strictObject({
  iss: v.literal(email),
  scope: v.literal(scope),
  aud: v.string(),
  exp: v.number(),
  iat: v.number(),
});

/** Starts the server; each one has a key pair of its own. */
export async function startFakeTokens(): Promise<FakeTokens> {
  const pair = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const tokens: string[] = [];
  let issued = 0;
  const fake = { lifetime: 3599 };

  function issue(): string {
    issued += 1;
    const token = `ya29.fake-${issued}`;
    tokens.push(token);
    return token;
  }

  function answerOAuth(extra: object = {}): FakeAnswer {
    return answerJson({
      access_token: issue(),
      expires_in: fake.lifetime,
      token_type: "Bearer",
      ...extra,
    });
  }

  function exchange(request: FakeRequest): FakeAnswer {
    const form = readForm(request);
    const grant = form.get("grant_type");
    if (grant === "urn:ietf:params:oauth:grant-type:jwt-bearer") {
      checkAssertion(form.get("assertion") ?? "", pair.publicKey, `${server.origin}/token`);
      return answerOAuth();
    }
    if (grant !== "refresh_token")
      throw new TokenRefusal(400, "unsupported_grant_type", "Bad grant");
    const { client_id, client_secret, refresh_token } = user;
    const known = { client_id, client_secret, refresh_token };
    for (const [name, value] of Object.entries(known)) {
      if (form.get(name) !== value) throw new TokenRefusal(400, "invalid_grant", `Bad ${name}`);
    }
    return answerOAuth();
  }

  function exchangeSubject(request: FakeRequest): FakeAnswer {
    const form = readForm(request);
    const wanted = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      audience,
      scope,
      requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
      subject_token: subjectToken,
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    };
    for (const [name, value] of Object.entries(wanted)) {
      if (form.get(name) !== value) throw new TokenRefusal(400, "invalid_request", `Bad ${name}`);
    }
    return answerOAuth({ issued_token_type: wanted.requested_token_type });
  }

  function impersonate(request: FakeRequest): FakeAnswer {
    const [, token = ""] = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
    if (!tokens.includes(token)) throw new TokenRefusal(401, "UNAUTHENTICATED", "Bad token");
    const Body = v.strictObject({
      scope: v.tuple([v.literal(scope)]),
      lifetime: v.pipe(v.string(), v.regex(/^\d+s$/)),
    });
    if (!v.is(Body, JSON.parse(request.body.toString()))) {
      throw new TokenRefusal(400, "INVALID_ARGUMENT", "Bad body");
    }
    const expireTime = new Date(Date.now() + fake.lifetime * 1000).toISOString();
    return answerJson({ accessToken: issue(), expireTime });
  }

  function answerMetadata(request: FakeRequest): FakeAnswer {
    if (request.headers.get("metadata-flavor") !== "Google") {
      return { status: 403, headers: {}, body: "Missing Metadata-Flavor:Google header." };
    }
    if (request.query.get("scopes") !== scope) {
      return { status: 400, headers: {}, body: "Bad scopes" };
    }
    const { status, headers, body } = answerOAuth();
    return { status, headers: { ...headers, "metadata-flavor": "Google" }, body };
  }

  function answer(request: FakeRequest): FakeAnswer {
    const operation = `${request.method} ${request.path}`;
    if (operation === "POST /token") return exchange(request);
    if (operation === "POST /v1/token") return exchangeSubject(request);
    if (operation === `POST /v1/projects/-/serviceAccounts/${email}:generateAccessToken`) {
      return impersonate(request);
    }
    if (operation === "GET /computeMetadata/v1/instance/service-accounts/default/token") {
      return answerMetadata(request);
    }
    return { status: 404, headers: {}, body: "Not found" };
  }

  const server = await startServer((request) => {
    try {
      return answer(request);
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const { status, code, message } = error;
      return answerJson({ error: code, error_description: message }, status);
    }
  });
  const user = {
    type: "authorized_user",
    client_id: "764086051850.apps.googleusercontent.com",
    client_secret: "d-FL95Q19q7MQmFpd7hHD0Ty",
    refresh_token: "1//0gFakeRefreshTokenOfTheUser",
    quota_project_id: "quota-project",
    token_uri: `${server.origin}/token`,
  };
  return Object.assign(fake, server, {
    tokens,
    revoke: () => void tokens.splice(0),
    user,
    serviceAccount: {
      type: "service_account",
      project_id: "my-project",
      private_key_id: "a1b2c3",
      private_key: pair.privateKey,
      client_email: email,
      token_uri: `${server.origin}/token`,
    },
    federate: (path: string, impersonated: boolean) => ({
      type: "external_account",
      audience,
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${server.origin}/v1/token`,
      credential_source: { file: path },
      ...(impersonated && {
        service_account_impersonation_url: `${server.origin}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
      }),
    }),
  });
}

/** https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests */
function checkAssertion(assertion: string, publicKey: string, address: string): void {
  const [header = "", claims = "", signature = ""] = assertion.split(".");
  const parse = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString());
  if (!v.is(v.object({ alg: v.literal("RS256") }), parse(header))) {
    throw new TokenRefusal(400, "invalid_grant", "Bad algorithm");
  }
  const signed = Buffer.from(`${header}.${claims}`);
  const key = createPublicKey(publicKey);
  if (!verify("RSA-SHA256", signed, key, Buffer.from(signature, "base64url"))) {
    throw new TokenRefusal(400, "invalid_grant", "Invalid JWT Signature.");
  }
  const result = v.safeParse(Claims, parse(claims));
  if (!result.success) throw new TokenRefusal(400, "invalid_grant", result.issues[0].message);
  const { aud, exp, iat } = result.output;
  if (aud !== address) throw new TokenRefusal(400, "invalid_grant", "Bad audience");
  const now = Date.now() / 1000;
  if (Math.abs(now - iat) > 300 || exp - iat > 3600 || exp < now) {
    throw new TokenRefusal(400, "invalid_grant", "Invalid JWT: check your iat and exp values");
  }
}

function readForm(request: FakeRequest): URLSearchParams {
  if (!request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded")) {
    throw new TokenRefusal(400, "invalid_request", "Not a form");
  }
  return new URLSearchParams(request.body.toString());
}

function answerJson(value: unknown, status = 200): FakeAnswer {
  const headers = { "content-type": "application/json" };
  return { status, headers, body: JSON.stringify(value) };
}
