import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import azure from "../../providers/azure/index.ts";
import { createTokenCache } from "../../providers/azure/token-cache.ts";
import type { Token } from "../../providers/azure/token-client.ts";
import { ApiError } from "../../src/errors.ts";
import { type FakeAzure, startFakeAzure } from "../fakes/azure.ts";
import { type FakeEntra, startFakeEntra } from "../fakes/entra.ts";
import { makeDirectory } from "../support/directory.ts";
import { catchError } from "../support/gateway.ts";
import { connectBackend, last, makeUpload, type WholeBackend } from "./backends.ts";

const { signal } = new AbortController();
let entra: FakeEntra;
let fake: FakeAzure;

beforeEach(async () => {
  entra = await startFakeEntra();
  fake = await startFakeAzure({ acceptsToken: entra.accepts });
});
afterEach(async () => {
  await Promise.all([entra.stop(), fake.stop()]);
});

type Options = Readonly<Record<string, unknown>>;

function connect(options: Options, path = ""): WholeBackend {
  return connectBackend(azure, { api_base: `${fake.url}${path}`, ...options });
}

function registration(options: Options = {}): Options {
  const { tenantId, clientId, accepted, url } = entra;
  return {
    tenant_id: tenantId,
    client_id: clientId,
    client_secret: accepted.secret,
    authority_host: url,
    ...options,
  };
}

const check = (backend: WholeBackend) => backend.checkAccess(signal);

describe("the way to authenticate", () => {
  test.each([
    [{}, /has no way to authenticate; give "api_key", "azure_ad_token", "managed_identity", or/],
    [{ managed_identity: false }, /has no way/],
    [{ tenant_id: "t", client_id: "c" }, /has no way .* "client_secret" or "federated_token_file"/],
    [{ api_key: "k", azure_ad_token: "t" }, /"api_key" and "azure_ad_token" are two ways/],
    [
      { tenant_id: "t", client_id: "c", client_secret: "s", federated_token_file: "f" },
      /"client_secret" and "federated_token_file" are two ways/,
    ],
    [{ client_secret: "s", managed_identity: true }, /"client_secret" and "managed_identity"/],
    [{ client_secret: "s", tenant_id: "t" }, /"client_secret" needs "client_id" beside it/],
    [{ federated_token_file: "f", client_id: "c" }, /"federated_token_file" needs "tenant_id"/],
    [{ api_key: "k", tenant_id: "t" }, /"tenant_id" means nothing beside "api_key"/],
    [{ api_key: "k", azure_scope: "s" }, /"azure_scope" means nothing beside "api_key"/],
    [{ azure_ad_token: "t", authority_host: "https://a" }, /"authority_host" means nothing/],
    [{ managed_identity: true, tenant_id: "t" }, /"tenant_id" means nothing/],
  ])("%j is a mistake that is told at start", (options, message) => {
    const start = () => connect(options);
    expect(start).toThrow(message);
    expect(start).toThrow(/^Cannot set up backend "main": /);
    try {
      start();
    } catch (error) {
      expect(error).toMatchObject({ name: "StartError" });
    }
  });

  test("contacts nobody at start", () => {
    connect(registration());
    connect({ managed_identity: true });
    expect(entra.requests).toHaveLength(0);
  });

  test("may be a token that does not change", async () => {
    await check(connect(registration()));
    const token = last(fake.requests).headers.get("authorization")?.replace("Bearer ", "");
    await check(connect({ azure_ad_token: token }));
    entra.revoke();
    await expect(check(connect({ azure_ad_token: token }))).rejects.toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
      message: expect.not.stringContaining(token ?? ""),
    });
    expect(entra.requests).toHaveLength(1);
  });
});

describe("a client secret", () => {
  test("is traded for one token that serves all calls", async () => {
    const backend = connect(registration());
    await check(backend);
    await backend.uploadFile(makeUpload(new Blob(["{}\n"])), signal);
    expect(entra.requests).toHaveLength(1);
    expect(fake.requests.every(({ headers }) => !headers.has("api-key"))).toBe(true);
    const { path, body } = last(entra.requests);
    expect(path).toBe(`/${entra.tenantId}/oauth2/v2.0/token`);
    expect(Object.fromEntries(new URLSearchParams(body.toString()))).toEqual({
      grant_type: "client_credentials",
      client_id: entra.clientId,
      client_secret: entra.accepted.secret,
      scope: "https://cognitiveservices.azure.com/.default",
    });
  });

  test("asks for one token when the first calls come together", async () => {
    const backend = connect(registration());
    await Promise.all([check(backend), check(backend), check(backend)]);
    expect(entra.requests).toHaveLength(1);
  });

  test("asks for the audience of projects", async () => {
    await check(connect(registration(), "/api/projects/p"));
    expect(last(entra.requests).body.toString()).toContain(
      new URLSearchParams({ scope: "https://ai.azure.com/.default" }).toString(),
    );
    expect(last(fake.requests).path).toBe("/api/projects/p/openai/v1/fine_tuning/jobs");
    expect(last(fake.requests).query.has("api-version")).toBe(false);
  });

  test("asks for the configured scope", async () => {
    const azure_scope = "https://cognitiveservices.azure.us/.default";
    // The fake takes tokens for the public cloud only.
    await expect(check(connect(registration({ azure_scope })))).rejects.toMatchObject({
      status: 502,
    });
    expect(last(entra.requests).body.toString()).toContain("cognitiveservices.azure.us");
  });

  test.each([
    ["client_secret", "wrong secret", /invalid_client: AADSTS7000215: Invalid client secret/],
    ["tenant_id", "other", /invalid_request: AADSTS90002: Tenant 'other' not found\.$/],
    ["client_id", "other", /unauthorized_client: AADSTS700016/],
  ])("with a wrong %s is a 502 that says so", async (option, value, message) => {
    const backend = connect(registration({ [option]: value }));
    const error = await catchError(() => check(backend));
    expect(error).toBeInstanceOf(ApiError);
    const details = { status: 502, code: "upstream_authentication_error", retry: false };
    expect(error).toMatchObject(details);
    const text = String(error);
    expect(text).toContain('Cannot get a token for backend "main" from http');
    expect(text).toMatch(message);
    expect(text).not.toContain("wrong secret");
    expect(text).not.toContain("Trace ID");
    expect(fake.requests).toHaveLength(0);
  });

  test("is in no message, even if Entra ID repeats it", async () => {
    const { secret } = entra.accepted;
    const body = JSON.stringify({ error: "invalid_client", error_description: `not ${secret}!` });
    entra.inject({ answer: { status: 401, body } });
    const error = await catchError(() => check(connect(registration())));
    expect(error).toMatchObject({ message: expect.stringMatching(/invalid_client: not \*\*\*!$/) });
  });

  test("that is rotated at Entra ID fails until the configuration follows", async () => {
    const backend = connect(registration());
    await check(backend);
    entra.accepted.secret = "rotated";
    // The token at hand goes on serving.
    await check(backend);
    entra.revoke();
    await expect(check(backend)).rejects.toMatchObject({ status: 502, retry: false });
    await check(connect(registration()));
  });
});

describe("a token that Azure refuses", () => {
  test("is renewed once, and the call is sent again", async () => {
    const backend = connect(registration());
    await check(backend);
    entra.revoke();
    await check(backend);
    expect(entra.requests).toHaveLength(2);
    expect(fake.requests).toHaveLength(3);
  });

  test("is renewed once for all the calls that it failed", async () => {
    const backend = connect(registration());
    await check(backend);
    entra.revoke();
    await Promise.all([check(backend), check(backend), check(backend)]);
    await check(backend);
    expect(entra.requests).toHaveLength(2);
  });

  test("takes the whole file along when the upload is sent again", async () => {
    const backend = connect(registration());
    await check(backend);
    entra.revoke();
    const file = await backend.uploadFile(makeUpload(new Blob(["{}\n"])), signal);
    expect(fake.state.files.get(file.id)?.content.toString()).toBe("{}\n");
  });

  test("twice is a 502, after two tokens and two calls", async () => {
    const backend = connect(registration({ azure_scope: "https://other.example/.default" }));
    await expect(check(backend)).rejects.toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
      retry: false,
    });
    expect(entra.requests).toHaveLength(2);
    expect(fake.requests).toHaveLength(2);
  });

  test("never makes a job twice", async () => {
    const backend = connect(registration());
    const { id } = fake.addFile(1000);
    await check(backend);
    fake.inject({ method: "POST", answer: { status: 401 } });
    await backend.createJob({ model: "m", training_file: id }, signal);
    expect(fake.state.jobs.size).toBe(1);
  });
});

describe("a token endpoint", () => {
  test.each([
    ["HTML", { answer: { status: 200, body: "<html>" } }, "upstream_invalid_answer"],
    ["nothing", { answer: { status: 200 } }, "upstream_invalid_answer"],
    ["a list", { answer: { status: 200, body: "[]" } }, "upstream_invalid_answer"],
    ["no token", { answer: { status: 200, body: '{"expires_in":9}' } }, "upstream_invalid_answer"],
    [
      "no lifetime",
      { answer: { status: 200, body: '{"access_token":"t"}' } },
      "upstream_invalid_answer",
    ],
    [
      "a token that would break the header",
      { answer: { status: 200, body: '{"access_token":"t\\r\\nx: y","expires_in":9}' } },
      "upstream_invalid_answer",
    ],
    [
      "far too much",
      { answer: { status: 200, body: `{"access_token":"${"t".repeat(100_000)}","expires_in":9}` } },
      "upstream_invalid_answer",
    ],
    ["500", { answer: { status: 500, body: "<html>" } }, "upstream_error"],
    [
      "429",
      { answer: { status: 429, body: '{"error":"temporarily_unavailable"}' } },
      "upstream_error",
    ],
    ["half a body", { cutOffAfter: 10 }, "upstream_unreachable"],
    ["by closing the connection", { reset: true }, "upstream_unreachable"],
  ] as const)("that answers %s is a 502 that may be retried", async (_, fault, code) => {
    entra.inject(fault);
    const backend = connect(registration());
    const error = await catchError(() => check(backend));
    expect(error).toMatchObject({ status: 502, code, retry: true });
    expect(String(error)).toContain('token for backend "main"');
    expect(fake.requests).toHaveLength(0);
    await check(backend);
  });

  test("that redirects is not followed", async () => {
    const headers = { location: `${fake.url}/elsewhere` };
    entra.inject({ answer: { status: 302, headers } });
    await expect(check(connect(registration()))).rejects.toMatchObject({
      status: 502,
      message: expect.stringMatching(/refuses the request with status 302$/),
      retry: false,
    });
    expect(fake.requests).toHaveLength(0);
  });

  test("that is down is a 502 that may be retried", async () => {
    const backend = connect(registration({ authority_host: "http://127.0.0.1:1" }));
    await expect(check(backend)).rejects.toMatchObject({
      status: 502,
      code: "upstream_unreachable",
      message: expect.stringMatching(/from http:\/\/127\.0\.0\.1:1: the connection failed/),
      retry: true,
    });
  });

  test("that never answers is a 504 for everyone who waits", async () => {
    entra.inject({ hang: true });
    const backend = connect(registration({ timeout: 0.2 }));
    const ends = await Promise.all(
      [check(backend), check(backend)].map((call) => catchError(() => call)),
    );
    for (const error of ends) {
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ status: 504, code: "upstream_timeout", retry: true });
    }
    expect(entra.requests).toHaveLength(1);
    await check(connect(registration()));
  });

  test("is still asked for the others when one client goes", async () => {
    entra.inject({ delay: 100 });
    const backend = connect(registration());
    const controller = new AbortController();
    const gone = catchError(() => backend.checkAccess(controller.signal));
    const stays = check(backend);
    await Bun.sleep(20);
    const reason = new Error("the client has gone");
    controller.abort(reason);
    expect(await gone).toBe(reason);
    await stays;
    expect(entra.requests).toHaveLength(1);
  });
});

describe("a federated token file", () => {
  function federated(federated_token_file: string): Options {
    const { client_secret: _, ...rest } = registration({ federated_token_file });
    return rest;
  }

  test("is read anew for each token", async () => {
    const directory = makeDirectory();
    try {
      const path = join(directory.path, "token");
      writeFileSync(path, `${entra.accepted.assertion}\n`);
      const backend = connect(federated(path));
      await check(backend);
      const form = Object.fromEntries(new URLSearchParams(last(entra.requests).body.toString()));
      expect(form).toEqual({
        grant_type: "client_credentials",
        client_id: entra.clientId,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: entra.accepted.assertion,
        scope: "https://cognitiveservices.azure.com/.default",
      });
      entra.accepted.assertion = "the.next.assertion";
      entra.revoke();
      const error = await catchError(() => check(backend));
      expect(error).toMatchObject({
        status: 502,
        message: expect.stringMatching(/AADSTS700024: Client assertion is not valid\.$/),
      });
      writeFileSync(path, "the.next.assertion");
      await check(backend);
    } finally {
      directory.remove();
    }
  });

  test("that is missing, empty or a directory fails the call, not the start", async () => {
    const directory = makeDirectory();
    try {
      const path = join(directory.path, "token");
      const backend = connect(federated(path));
      const details = { status: 502, code: "upstream_authentication_error", retry: false };
      await expect(check(backend)).rejects.toMatchObject({
        ...details,
        message:
          'Cannot get a token for backend "main": the file of "federated_token_file" cannot be read (ENOENT)',
      });
      writeFileSync(path, " \n");
      await expect(check(backend)).rejects.toMatchObject({
        message: expect.stringMatching(/is empty$/),
      });
      rmSync(path);
      await expect(check(connect(federated(directory.path)))).rejects.toMatchObject(details);
      writeFileSync(path, entra.accepted.assertion);
      await check(backend);
      expect(entra.requests).toHaveLength(1);
    } finally {
      directory.remove();
    }
  });
});

describe("a managed identity", () => {
  const names = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST"];
  let before: readonly (readonly [string, string | undefined])[];
  beforeEach(() => {
    before = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
  });
  afterEach(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  test("of a virtual machine is asked of its metadata service", async () => {
    process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = entra.url;
    const backend = connect({ managed_identity: true });
    await check(backend);
    await check(backend);
    expect(entra.requests).toHaveLength(1);
    expect(Object.fromEntries(last(entra.requests).query)).toEqual({
      "api-version": "2018-02-01",
      resource: "https://cognitiveservices.azure.com",
    });
  });

  test("of an app is asked where the app says", async () => {
    process.env.IDENTITY_ENDPOINT = entra.identityEndpoint;
    process.env.IDENTITY_HEADER = entra.identityHeader;
    const backend = connect({ managed_identity: true }, "/api/projects/p");
    await check(backend);
    await check(backend);
    expect(entra.requests).toHaveLength(1);
    expect(Object.fromEntries(last(entra.requests).query)).toEqual({
      "api-version": "2019-08-01",
      resource: "https://ai.azure.com",
    });
  });

  test.each(["machine", "app"])("that the user assigned is named to the %s", async (place) => {
    if (place === "machine") process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = entra.url;
    else {
      process.env.IDENTITY_ENDPOINT = entra.identityEndpoint;
      process.env.IDENTITY_HEADER = entra.identityHeader;
    }
    await check(connect({ managed_identity: true, client_id: entra.clientId }));
    expect(last(entra.requests).query.get("client_id")).toBe(entra.clientId);
    await expect(
      check(connect({ managed_identity: true, client_id: "other" })),
    ).rejects.toMatchObject({
      status: 502,
      message: expect.stringMatching(/invalid_request: Identity not found$/),
      retry: false,
    });
  });

  test("with a wrong header is a 502 that does not show it", async () => {
    process.env.IDENTITY_ENDPOINT = entra.identityEndpoint;
    process.env.IDENTITY_HEADER = "wrong-header";
    const error = await catchError(() => check(connect({ managed_identity: true })));
    expect(error).toMatchObject({ status: 502, retry: false });
    expect(String(error)).not.toContain("wrong-header");
  });

  test("of Azure Arc, which is asked in another way, is a mistake at start", () => {
    process.env.IDENTITY_ENDPOINT = "http://localhost:40342/metadata/identity/oauth2/token";
    expect(() => connect({ managed_identity: true })).toThrow(
      /"managed_identity" needs the variable IDENTITY_HEADER beside IDENTITY_ENDPOINT/,
    );
    process.env.IDENTITY_HEADER = "h";
    process.env.IDENTITY_ENDPOINT = "nowhere";
    expect(() => connect({ managed_identity: true })).toThrow(/IDENTITY_ENDPOINT to be a URL/);
  });
});

describe("the tokens at hand", () => {
  let time: number;
  let answers: (() => Promise<Token>)[];
  let fetched: number;
  let failures: string[];

  function createCache() {
    time = 0;
    answers = [];
    fetched = 0;
    failures = [];
    return createTokenCache({
      backend: "main",
      fetchToken: async () => {
        fetched += 1;
        return (await answers.shift()?.()) ?? { value: `token-${fetched}`, lifetime: 3600 };
      },
      reportFailure: (reason) => failures.push(reason),
      now: () => time * 1000,
    });
  }

  test("are renewed in the background five minutes before they expire", async () => {
    const getToken = createCache();
    expect(await getToken(false, signal)).toBe("token-1");
    time = 3299;
    expect(await getToken(false, signal)).toBe("token-1");
    expect(fetched).toBe(1);
    time = 3300;
    expect(await getToken(false, signal)).toBe("token-1");
    expect(await getToken(false, signal)).toBe("token-1");
    await Bun.sleep(0);
    expect(await getToken(false, signal)).toBe("token-2");
    expect(fetched).toBe(2);
  });

  test("serve on while they cannot be renewed, and not a second longer", async () => {
    const getToken = createCache();
    await getToken(false, signal);
    const fail = () => Promise.reject(new Error("Entra ID is down"));
    answers.push(fail, fail, fail);
    for (const [at, expected] of [
      [3300, 2],
      // The endpoint is not asked at every call.
      [3310, 2],
      [3330, 3],
    ] as const) {
      time = at;
      expect(await getToken(false, signal)).toBe("token-1");
      await Bun.sleep(0);
      expect(fetched).toBe(expected);
    }
    expect(failures).toEqual(["Entra ID is down", "Entra ID is down"]);
    time = 3600;
    await expect(getToken(false, signal)).rejects.toThrow("Entra ID is down");
    expect(await getToken(false, signal)).toBe("token-5");
  });

  test("that live shortly are used for half their life before they are renewed", async () => {
    const getToken = createCache();
    answers.push(async () => ({ value: "short", lifetime: 60 }));
    await getToken(false, signal);
    time = 29;
    await getToken(false, signal);
    expect(fetched).toBe(1);
    time = 30;
    await getToken(false, signal);
    expect(fetched).toBe(2);
  });

  test("that are born expired are used once", async () => {
    const getToken = createCache();
    answers.push(async () => ({ value: "expired", lifetime: -5 }));
    expect(await getToken(false, signal)).toBe("expired");
    expect(await getToken(false, signal)).toBe("token-2");
  });

  test("are not renewed for a call that was refused with an older one", async () => {
    const getToken = createCache();
    const [one, other] = [new AbortController().signal, new AbortController().signal];
    await getToken(false, one);
    await getToken(false, other);
    expect(await getToken(true, one)).toBe("token-2");
    expect(await getToken(true, other)).toBe("token-2");
    expect(await getToken(true, other)).toBe("token-3");
  });

  test("are waited for no longer than the call's own time", async () => {
    const getToken = createCache();
    answers.push(() => new Promise(() => {}));
    await expect(getToken(false, AbortSignal.timeout(20))).rejects.toMatchObject({
      status: 504,
      code: "upstream_timeout",
    });
    const aborted = AbortSignal.abort(new Error("gone"));
    await expect(getToken(false, aborted)).rejects.toThrow("gone");
  });
});
