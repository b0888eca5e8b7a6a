import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCredentials } from "../../providers/vertex_ai/credentials.ts";
import { type FakeTokens, startFakeTokens, subjectToken } from "../fakes/google/token.ts";

const { signal } = new AbortController();
const variables = [
  "GOOGLE_APPLICATION_CREDENTIALS",
  "CLOUDSDK_CONFIG",
  "GCE_METADATA_HOST",
  "GCE_METADATA_IP",
  "METADATA_SERVER_DETECTION",
];
const kept = variables.map((name) => [name, process.env[name]] as const);
let fake: FakeTokens;
let directory: string;

beforeEach(async () => {
  fake = await startFakeTokens();
  directory = await mkdtemp(join(tmpdir(), "vertex-credentials-"));
  for (const name of variables) delete process.env[name];
  process.env.CLOUDSDK_CONFIG = directory;
});
afterEach(async () => {
  for (const [name, value] of kept) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await fake.stop();
  await rm(directory, { recursive: true });
});

function connect(credential: unknown) {
  const text =
    credential === undefined || typeof credential === "string"
      ? credential
      : JSON.stringify(credential);
  return createCredentials({ backend: "main", credential: text });
}

async function writeCredential(credential: unknown, name = "key.json"): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, JSON.stringify(credential));
  return path;
}

/** What authorize() throws. */
async function fail(credential: unknown, one: AbortSignal = signal): Promise<unknown> {
  try {
    await connect(credential).authorize(false, one);
  } catch (error) {
    return error;
  }
  throw new Error("It did not fail");
}

describe("a service account's key", () => {
  test("is exchanged at its token_uri, for a token that is kept", async () => {
    const credentials = connect(fake.serviceAccount);
    expect(fake.requests).toHaveLength(0);
    for (let call = 0; call < 3; call++) {
      expect(await credentials.authorize(false, signal)).toEqual({
        authorization: `Bearer ${fake.tokens[0]}`,
      });
    }
    expect(fake.requests.map(({ path }) => path)).toEqual(["/token"]);
  });

  test("may be in a file, with a byte order mark", async () => {
    const path = join(directory, "key.json");
    await writeFile(path, `\ufeff${JSON.stringify(fake.serviceAccount)}`);
    await connect(path).authorize(false, signal);
    expect(fake.tokens).toHaveLength(1);
  });

  test("never sends the quota project, which is for users", async () => {
    const headers = await connect({ ...fake.serviceAccount, quota_project_id: "q" }).authorize(
      false,
      signal,
    );
    expect(Object.keys(headers)).toEqual(["authorization"]);
  });

  test("is exchanged once for calls at the same time", async () => {
    const credentials = connect(fake.serviceAccount);
    const calls = Array.from({ length: 20 }, () => credentials.authorize(false, signal));
    expect(new Set((await Promise.all(calls)).map((one) => one.authorization)).size).toBe(1);
    expect(fake.requests).toHaveLength(1);
  });

  test("is exchanged anew before the token runs out", async () => {
    fake.lifetime = 60;
    const credentials = connect(fake.serviceAccount);
    await credentials.authorize(false, signal);
    fake.lifetime = 3599;
    for (let call = 0; call < 2; call++) {
      const { authorization } = await credentials.authorize(false, signal);
      expect(authorization).toBe(`Bearer ${fake.tokens[1]}`);
    }
    expect(fake.requests).toHaveLength(2);
  });

  test("is read and exchanged anew after a refusal, once for calls at the same time", async () => {
    const path = await writeCredential({ ...fake.user, token_uri: `${fake.origin}/token` });
    const credentials = connect(path);
    await credentials.authorize(false, signal);
    await writeCredential(fake.serviceAccount);
    const calls = Array.from({ length: 5 }, () => credentials.authorize(true, signal));
    for (const headers of await Promise.all(calls)) {
      expect(headers).toEqual({ authorization: `Bearer ${fake.tokens[1]}` });
    }
    expect(fake.requests).toHaveLength(2);
  });

  test("that the service does not know is a 502 with its words and without the key", async () => {
    const other = await startFakeTokens();
    await other.stop();
    const { private_key = "" } = other.serviceAccount;
    const error = await fail({ ...fake.serviceAccount, private_key });
    expect(error).toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
      retry: false,
      message:
        'Cannot use backend "main": Google\'s token service refuses the credential with status 400: invalid_grant: Invalid JWT Signature.',
    });
    expect(JSON.stringify(error)).not.toContain(private_key.slice(40, 80));
  });

  test.each([
    ["is no PEM", "-----BEGIN PRIVATE KEY-----\nMIIEtop-secret\n-----END PRIVATE KEY-----\n"],
    ["is cut off", undefined],
  ])("whose PEM %s is a 502 that does not repeat it", async (_how, pem) => {
    const whole = fake.serviceAccount.private_key ?? "";
    const private_key = pem ?? `${whole.slice(0, 400)}\n-----END PRIVATE KEY-----\n`;
    const error = await fail({ ...fake.serviceAccount, private_key });
    expect(error).toMatchObject({ status: 502, code: "upstream_authentication_error" });
    expect(Bun.inspect(error)).not.toContain("top-secret");
    expect(Bun.inspect(error)).not.toContain(whole.slice(100, 140));
    expect(fake.requests).toHaveLength(0);
  });

  test("works once more after the service was down", async () => {
    fake.inject({ answer: { status: 403, body: "<html>no</html>" } });
    const credentials = connect(fake.serviceAccount);
    await expect(credentials.authorize(false, signal)).rejects.toMatchObject({
      message:
        'Cannot use backend "main": Google\'s token service refuses the credential with status 403',
    });
    expect(await credentials.authorize(false, signal)).toHaveProperty("authorization");
  });
});

describe("a token service", () => {
  test.each([
    ["no token", JSON.stringify({ expires_in: 3599 })],
    ["an empty token", JSON.stringify({ access_token: "", expires_in: 3599 })],
    ["a token that is no header", JSON.stringify({ access_token: "a\r\nb: c", expires_in: 3599 })],
    ["a token that is no text", JSON.stringify({ access_token: { a: 1 }, expires_in: 3599 })],
    ["no JSON", "<html>"],
    ["an array", "[]"],
    ["nothing", ""],
  ])("that answers with %s is a 502", async (_what, body) => {
    const headers = { "content-type": "application/json" };
    fake.inject({ answer: { status: 200, headers, body }, times: 10 });
    expect(await fail(fake.serviceAccount)).toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
    });
  });

  test("that fails may be tried again, for nothing was sent elsewhere", async () => {
    fake.inject({ answer: { status: 503 }, times: 10 });
    expect(await fail(fake.serviceAccount)).toMatchObject({
      status: 502,
      code: "upstream_unreachable",
      retry: true,
      message: 'Cannot use backend "main": its token service fails with status 503',
    });
  });

  test("that nobody can reach may be tried again", async () => {
    const credential = { ...fake.user, token_uri: "http://127.0.0.1:1/token" };
    expect(await fail(credential)).toMatchObject({
      status: 502,
      code: "upstream_unreachable",
      retry: true,
      message: expect.stringContaining("its token service cannot be reached"),
    });
  });

  test("that repeats what it was sent has no secret in our message", async () => {
    const { refresh_token, client_secret } = fake.user;
    const body = JSON.stringify({
      error: "invalid_grant",
      error_description: `Bad ${refresh_token} ${client_secret} ya29.${"x".repeat(60)}`,
    });
    fake.inject({ answer: { status: 400, headers: { "content-type": "application/json" }, body } });
    expect(await fail(fake.user)).toMatchObject({
      message:
        'Cannot use backend "main": Google\'s token service refuses the credential with status 400: invalid_grant: Bad … … …',
    });
  });

  test("that redirects gets no credential elsewhere", async () => {
    const other = await startFakeTokens();
    try {
      const headers = { location: `${other.origin}/token` };
      fake.inject({ answer: { status: 307, headers }, times: 10 });
      expect(await fail(fake.serviceAccount)).toMatchObject({ status: 502 });
      expect(other.requests).toHaveLength(0);
    } finally {
      await other.stop();
    }
  });

  test("that never answers is a 504 at the end of the call's time, or the client's own end", async () => {
    fake.inject({ hang: true, times: 2 });
    expect(await fail(fake.serviceAccount, AbortSignal.timeout(50))).toMatchObject({
      status: 504,
      code: "upstream_timeout",
      retry: true,
    });
    const controller = new AbortController();
    const failure = fail(fake.serviceAccount, controller.signal);
    controller.abort(new Error("gone"));
    expect(await failure).toMatchObject({ message: "gone" });
    expect(await fail(fake.serviceAccount, controller.signal)).toMatchObject({ message: "gone" });
  });

  test("answers the others although one client has gone", async () => {
    fake.inject({ delay: 30 });
    const controller = new AbortController();
    const credentials = connect(fake.serviceAccount);
    const gone = credentials.authorize(false, controller.signal).catch((error) => error.message);
    const stays = credentials.authorize(false, signal);
    controller.abort(new Error("gone"));
    expect(await gone).toBe("gone");
    expect(await stays).toEqual({ authorization: `Bearer ${fake.tokens[0]}` });
  });
});

describe("other credentials", () => {
  test("of a user are refreshed and name the quota project", async () => {
    expect(await connect(fake.user).authorize(false, signal)).toEqual({
      authorization: `Bearer ${fake.tokens[0]}`,
      "x-goog-user-project": "quota-project",
    });
  });

  test.each([
    [false, ["/v1/token"]],
    [
      true,
      [
        "/v1/token",
        "/v1/projects/-/serviceAccounts/tuner@my-project.iam.gserviceaccount.com:generateAccessToken",
      ],
    ],
  ])("of a workload are exchanged, impersonation %p", async (impersonated, paths) => {
    const path = join(directory, "subject");
    await writeFile(path, subjectToken);
    const credentials = connect(fake.federate(path, impersonated));
    for (let call = 0; call < 2; call++) {
      expect(await credentials.authorize(false, signal)).toEqual({
        authorization: `Bearer ${fake.tokens.at(-1)}`,
      });
    }
    expect(fake.requests.map((request) => request.path)).toEqual(paths);
  });

  test("of a workload without its own token are a 502", async () => {
    const credential = fake.federate(join(directory, "missing"), false);
    expect(await fail(credential)).toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
    });
  });

  test.each([
    ["not JSON", "{oh-my-secret", 'the JSON in "vertex_credentials" is not JSON'],
    ["of no type", '{"a":1}', 'its "type" must be one of "service_account"'],
    ["of another type", '{"type":"x"}', 'its "type" must be one of "service_account"'],
    ["without an address", '{"type":"service_account"}', 'lacks a usable "client_email"'],
    ["without a secret", '{"type":"authorized_user","client_id":"a"}', '"client_secret"'],
    ["in a file that is missing", "/nonexistent/key.json", "cannot be read (ENOENT)"],
    ["in a directory", tmpdir(), "cannot be read (EISDIR)"],
    ["a pasted key", "-----BEGIN oh-my-secret", 'the file that "vertex_credentials" names cannot'],
  ])("that are %s are a 502 that says so", async (_how, credential, words) => {
    const error = await fail(credential);
    expect(error).toMatchObject({ status: 502, code: "upstream_authentication_error" });
    expect(String(error)).toContain('Cannot use backend "main": ');
    expect(String(error)).toContain(words);
    expect(Bun.inspect(error)).not.toContain("oh-my-secret");
  });
});

describe("the application default", () => {
  test("is the file that GOOGLE_APPLICATION_CREDENTIALS names", async () => {
    await writeCredential(fake.user, "application_default_credentials.json");
    process.env.GOOGLE_APPLICATION_CREDENTIALS = await writeCredential(fake.serviceAccount);
    const headers = await connect(undefined).authorize(false, signal);
    expect(Object.keys(headers)).toEqual(["authorization"]);
  });

  test("is else what gcloud has written", async () => {
    await writeCredential(fake.user, "application_default_credentials.json");
    process.env.GCE_METADATA_HOST = "127.0.0.1:1";
    expect(await connect(undefined).authorize(false, signal)).toHaveProperty("x-goog-user-project");
  });

  test("is else the metadata server's at GCE_METADATA_HOST, also where it comes late", async () => {
    process.env.GCE_METADATA_HOST = new URL(fake.origin).host;
    fake.inject({ answer: { status: 404 } });
    const credentials = connect(undefined);
    await expect(credentials.authorize(false, signal)).rejects.toMatchObject({ status: 502 });
    expect(await credentials.authorize(false, signal)).toEqual({
      authorization: `Bearer ${fake.tokens[0]}`,
    });
  });

  test("is a 502 that says what to set where there is none", async () => {
    process.env.METADATA_SERVER_DETECTION = "none";
    expect(await fail(undefined)).toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
      message: expect.stringContaining('set "vertex_credentials" to the path of a key file'),
    });
  });
});
