import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { toFile } from "openai";
import { ApiError } from "../src/errors.ts";
import { maxJsonBytes } from "../src/http/json.ts";
import { createLog } from "../src/log.ts";
import { createMemoryState } from "./fakes/memory.ts";
import { catchError, startMemoryGateway, type TestGateway } from "./support/gateway.ts";
import { expectNoUploads } from "./support/open-files.ts";

let gateway: TestGateway | undefined;
afterEach(async () => {
  if (gateway !== undefined) await expectNoUploads(gateway.dataDirectory);
  await gateway?.stop();
  gateway = undefined;
});

const job = { id: "ftjob-1", created_at: 1, model: "m", status: "running", training_file: "f" };

/** Sends `text` over a bare connection and returns all that comes back. */
async function sendRaw(url: string, text: string): Promise<string> {
  const { port } = new URL(url);
  return await new Promise((resolve, reject) => {
    let received = "";
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      received += chunk.toString();
    });
    socket.on("close", () => resolve(received));
    socket.on("error", reject);
  });
}

describe("paths", () => {
  test("work with and without /v1, under a backend, with a trailing slash and encoded ids", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState({ jobs: [job] }) });
    for (const path of [
      "/v1/fine_tuning/jobs/ftjob-1",
      "/fine_tuning/jobs/ftjob-1",
      "/a/v1/fine_tuning/jobs/ftjob-1/",
      "/memory/v1/fine_tuning/jobs/ftjob%2D1",
    ]) {
      const response = await fetch(`${gateway.url}${path}`);
      expect(await response.json()).toMatchObject({ id: "ftjob-1", object: "fine_tuning.job" });
    }
  });

  test("that are unknown answer 404, known ones with another method 405, in OpenAI's shape", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    for (const path of ["/", "/v1", "/v1/chat/completions", "/v1/files/a/b", "/v2/files"]) {
      const response = await fetch(`${gateway.url}${path}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({
        error: {
          message: `Cannot GET "${path}": no such path`,
          type: "invalid_request_error",
          param: null,
          code: "unknown_url",
        },
      });
    }
    const other = await fetch(`${gateway.url}/v1/files/file-1`, { method: "PATCH" });
    expect(other.status).toBe(405);
    expect(other.headers.get("allow")).toBe("GET, DELETE");
    expect(await other.json()).toMatchObject({ error: { code: "method_not_allowed" } });
    const broken = await fetch(`${gateway.url}/v1/files/%ff`);
    expect(broken.status).toBe(400);
  });

  test("are found by HTTP/1.0 without a Host", async () => {
    const states = { a: createMemoryState(), b: createMemoryState({ jobs: [job] }) };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { master_key: mk-12345 }",
    });
    const probe = await sendRaw(gateway.url, "GET /health/liveness HTTP/1.0\r\n\r\n");
    expect(probe).toContain("I'm alive!");
    const head =
      "GET /b/v1/fine_tuning/jobs/ftjob-1 HTTP/1.0\r\nAuthorization: Bearer mk-12345\r\n\r\n";
    expect(await sendRaw(gateway.url, head)).toContain('"id":"ftjob-1"');
    expect(states.a.calls).toEqual([]);
  });
});

describe("objects", () => {
  test("are completed to OpenAI's, and unknown fields of the backend pass", async () => {
    const file = {
      id: "file-1",
      created_at: 1,
      bytes: 2,
      filename: "f",
      purpose: "fine-tune",
      newer: [1],
    };
    gateway = await startMemoryGateway({ a: createMemoryState({ jobs: [job], files: [file] }) });
    expect(await (await fetch(`${gateway.url}/v1/fine_tuning/jobs/ftjob-1`)).json()).toEqual({
      object: "fine_tuning.job",
      ...job,
      error: null,
      fine_tuned_model: null,
      finished_at: null,
      hyperparameters: null,
      method: { type: "supervised", supervised: { hyperparameters: {} } },
      organization_id: "",
      result_files: [],
      trained_tokens: null,
      validation_file: null,
      integrations: [],
      seed: 0,
      estimated_finish: null,
      metadata: null,
    });
    expect(await (await fetch(`${gateway.url}/v1/files/file-1`)).json()).toEqual({
      object: "file",
      ...file,
      status: "processed",
      status_details: null,
      expires_at: null,
    });
  });

  test("take metadata whose keys are names of JavaScript's own", async () => {
    const state = createMemoryState();
    gateway = await startMemoryGateway({ a: state });
    const body = '{"model":"m","training_file":"f","metadata":{"constructor":"x","__proto__":"y"}}';
    const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs`, { method: "POST", body });
    expect(response.status).toBe(200);
    expect(JSON.stringify(state.requests[0])).toBe(body);
  });

  test("are deleted and downloaded", async () => {
    const file = { id: "file-1", created_at: 1, bytes: 2, filename: "f", purpose: "fine-tune" };
    gateway = await startMemoryGateway({ a: createMemoryState({ files: [file] }) });
    const content = await gateway.client.files.content("file-1");
    expect(await content.text()).toBe("content of f");
    expect(content.headers.get("content-length")).toBe("12");
    expect(content.headers.get("content-disposition")).toBe('attachment; filename="f"');
    expect(await gateway.client.files.delete("file-1")).toMatchObject({
      id: "file-1",
      object: "file",
      deleted: true,
    });
    expect(
      await catchError(() => (gateway as TestGateway).client.files.retrieve("file-1")),
    ).toMatchObject({ status: 404 });
  });
});

describe("keys", () => {
  const config = "general_settings: { master_key: mk-12345 }";

  test("are asked for, and a wrong or missing one is OpenAI's 401", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() }, { config, apiKey: "mk-12345" });
    expect((await gateway.client.fineTuning.jobs.list()).data).toEqual([]);
    for (const authorization of [
      "Bearer mk-1234",
      "Bearer mk-123456",
      "Basic mk-12345",
      "Bearer ",
      "",
      undefined,
    ]) {
      const headers = authorization === undefined ? {} : { authorization };
      for (const path of ["/v1/files", "/v1/nothing"]) {
        const response = await fetch(`${gateway.url}${path}`, { headers });
        expect(response.status).toBe(401);
        expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
        expect(await response.json()).toMatchObject({
          error: { code: "invalid_api_key", type: "invalid_request_error", param: null },
        });
      }
    }
    expect(gateway.logLines.join("\n")).not.toContain("mk-12345");
  });

  test("are not needed for health", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() }, { config });
    for (const path of ["/health/liveliness", "/health/liveness", "/v1/health/liveness"]) {
      const response = await fetch(`${gateway.url}${path}`);
      expect(response.status).toBe(200);
      expect(await response.json()).toBe("I'm alive!");
    }
    const ready = await fetch(`${gateway.url}/health/readiness`);
    expect(await ready.json()).toEqual({
      status: "ready",
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      ledger: "ok",
      backends: [{ name: "a", provider: "memory" }],
    });
  });

  test("absent, pages of other sites in this machine's browser are kept out", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    const evil = await fetch(`${gateway.url}/v1/files`, {
      headers: { origin: "https://evil.example" },
    });
    expect(evil.status).toBe(403);
    const rebound = await sendRaw(
      gateway.url,
      "GET /v1/files HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    expect(rebound).toStartWith("HTTP/1.1 403");
    const local = await fetch(`${gateway.url}/v1/files`, {
      headers: { origin: "http://localhost:3000" },
    });
    expect(local.status).toBe(200);
  });
});

describe("bodies", () => {
  test("that are malformed, of the wrong type or too large are 400 or 413 that say why", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    const { url } = gateway;
    const send = async (body: string | Uint8Array<ArrayBuffer>) => {
      const response = await fetch(`${url}/v1/fine_tuning/jobs`, { method: "POST", body });
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      return { status: response.status, ...error };
    };
    const valid = { model: "m", training_file: "f" };
    for (const [body, status, param, message] of [
      ["{", 400, null, "not valid JSON"],
      ["", 400, "model", '"model" is missing'],
      ["[]", 400, null, "must be a JSON object"],
      ["null", 400, null, "must be a JSON object"],
      ['"text"', 400, null, "must be a JSON object"],
      [new Uint8Array([0x7b, 0xff, 0x7d]), 400, null, "not UTF-8"],
      ["[".repeat(500_000), 400, null, "not valid JSON"],
      [" ".repeat(maxJsonBytes + 1), 413, null, "at most"],
      [{ training_file: "f" }, 400, "model", '"model" is missing'],
      [{ ...valid, model: "" }, 400, "model", "must be a string that is not empty"],
      [{ ...valid, model: 5 }, 400, "model", '"model" must be string'],
      [{ ...valid, seed: 1.5 }, 400, "seed", "whole number"],
      [{ ...valid, suffix: {} }, 400, "suffix", "string"],
      [{ ...valid, hyperparameters: 3 }, 400, "hyperparameters", "an object"],
      [{ ...valid, hyperparameters: [] }, 400, "hyperparameters", "an object"],
      [{ ...valid, method: ["dpo"] }, 400, "method", "an object"],
      [{ ...valid, method: {} }, 400, "method.type", '"method.type" is missing'],
      [{ ...valid, method: "dpo" }, 400, "method", "object"],
      [{ ...valid, metadata: { a: 1 } }, 400, "metadata", "an object of strings"],
      [{ ...valid, metadata: ["a"] }, 400, "metadata", "an object of strings"],
      [{ ...valid, integrations: {} }, 400, "integrations", "Array"],
      [{ ...valid, integrations: ["wandb"] }, 400, "integrations.0", "object"],
    ] as const) {
      const text =
        typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
      const error = await send(text);
      expect(error).toMatchObject({ status, param });
      expect(String((error as { message?: unknown }).message)).toContain(message);
    }
  });

  test("of uploads reach the backend whole, in any order, with unknown fields", async () => {
    const state = createMemoryState();
    gateway = await startMemoryGateway({ a: state });
    const content = Buffer.from('{"messages":[]}\n'.repeat(100_000));
    const file = await gateway.client.files.create({
      file: await toFile(content, 'tr"äin.jsonl'),
      purpose: "fine-tune",
      expires_after: { anchor: "created_at", seconds: 3600 },
      extra: { a: "b" },
    } as never);
    expect(file).toMatchObject({ bytes: content.length, filename: 'tr"äin.jsonl', object: "file" });
    const [upload] = state.uploads;
    expect(upload).toMatchObject({
      purpose: "fine-tune",
      expires_after: { anchor: "created_at", seconds: 3600 },
      extra: [["extra[a]", "b"]],
    });
    expect(content.equals((await upload?.content.bytes()) ?? new Uint8Array())).toBe(true);
  });

  test("of uploads without purpose, with it twice, or with half an expiry are 400", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    const file = new File(["x"], "a.jsonl");
    for (const [fields, param] of [
      [[["file", file]], "purpose"],
      [
        [
          ["file", file],
          ["purpose", "batch"],
          ["purpose", "batch"],
        ],
        "purpose",
      ],
      [
        [
          ["file", file],
          ["purpose", "batch"],
          ["expires_after[seconds]", "5"],
        ],
        "expires_after[anchor]",
      ],
      [
        [
          ["file", file],
          ["purpose", "batch"],
          ["expires_after[anchor]", "created_at"],
        ],
        "expires_after[seconds]",
      ],
      [
        [
          ["file", file],
          ["purpose", "batch"],
          ["expires_after[anchor]", "x"],
          ["expires_after[seconds]", "1e3"],
        ],
        "expires_after[seconds]",
      ],
    ] as const) {
      const body = new FormData();
      for (const [name, value] of fields) {
        if (typeof value === "string") body.append(name, value);
        else body.append(name, value);
      }
      const response = await fetch(`${gateway.url}/v1/files`, { method: "POST", body });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { param } });
    }
  });

  test("of cancel, pause and resume may be empty or JSON, with no field but the hint", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState({ jobs: [job] }) });
    const path = `${gateway.url}/v1/fine_tuning/jobs/ftjob-1/cancel`;
    for (const body of [undefined, "", "{}", '{"custom_llm_provider":"a"}']) {
      expect(
        (await fetch(path, { method: "POST", ...(body !== undefined && { body }) })).status,
      ).toBe(200);
    }
    const unknown = await fetch(path, { method: "POST", body: '{"force":true}' });
    expect(await unknown.json()).toMatchObject({
      error: { param: "force", code: "unknown_parameter" },
    });
  });
});

describe("errors", () => {
  test("after a create or upload was sent tell the SDKs not to repeat it", async () => {
    const state = createMemoryState({ failure: new ApiError(502, "the backend is down") });
    gateway = await startMemoryGateway({ a: state });
    const patient = gateway.client.withOptions({ maxRetries: 2 });
    await catchError(() => patient.fineTuning.jobs.create({ model: "m", training_file: "f" }));
    expect(state.calls).toEqual(["createJob"]);
    const file = await toFile(Buffer.from("x"), "x");
    await catchError(() => patient.files.create({ file, purpose: "batch" }));
    expect(state.calls).toEqual(["createJob", "uploadFile"]);
  });

  test("before anything was sent may be repeated", async () => {
    const state = createMemoryState({
      failure: new ApiError(502, "Cannot reach it", {
        retry: true,
        headers: { "retry-after-ms": "1" },
      }),
    });
    gateway = await startMemoryGateway({ a: state });
    const patient = gateway.client.withOptions({ maxRetries: 2 });
    await catchError(() => patient.fineTuning.jobs.create({ model: "m", training_file: "f" }));
    expect(state.calls).toEqual(["createJob", "createJob", "createJob"]);
  });

  test("keep status, type, code, param and headers of the backend's own error", async () => {
    const failure = new ApiError(429, "Rate limit reached", {
      type: "requests",
      code: "rate_limit_exceeded",
      headers: { "retry-after": "7", "x-request-id": "req_upstream" },
    });
    gateway = await startMemoryGateway({ a: createMemoryState({ failure }) });
    const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs/x`);
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("7");
    expect(response.headers.get("x-request-id")).toBe("req_upstream");
    expect(response.headers.get("x-should-retry")).toBeNull();
    expect(await response.json()).toEqual({
      error: {
        message: "Rate limit reached",
        type: "requests",
        param: null,
        code: "rate_limit_exceeded",
      },
    });
  });

  test("that are bugs are a bare 500 with the request id; the log has the stack, without secrets", async () => {
    const failure = new TypeError("x is not a function, sk-abcdefgh12345678");
    gateway = await startMemoryGateway({ a: createMemoryState({ failure }) });
    const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs/x`);
    expect(response.status).toBe(500);
    expect(response.headers.get("x-should-retry")).toBe("false");
    const id = response.headers.get("x-request-id") ?? "";
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error.message).toBe(`The gateway failed; its log has the reason under ${id}`);
    const logged = gateway.logLines.find(
      (line) => line.includes(id) && line.includes("stack") === false && line.includes("TypeError"),
    );
    expect(logged).toContain("x is not a function");
    expect(gateway.logLines.join("\n")).not.toContain("sk-abcdefgh");
  });

  test("of a closed platform name the other backends that could take the job", async () => {
    const failure = new ApiError(403, "OpenAI is winding down.", {
      code: "training_not_available",
    });
    const states = { gone: createMemoryState({ failure }), local: createMemoryState() };
    gateway = await startMemoryGateway(states);
    const body = { model: "m", training_file: "f", custom_llm_provider: "gone" };
    const { client } = gateway;
    expect(await catchError(() => client.fineTuning.jobs.create(body as never))).toMatchObject({
      status: 403,
      code: "training_not_available",
      error: {
        message:
          'OpenAI is winding down. Other configured backends that could take the job: "local".',
      },
    });
  });
});

describe("the log", () => {
  test("masks secrets before they are encoded, cuts, and keeps a line one line", () => {
    const lines: string[] = [];
    const sink = (line: string) => void lines.push(line);
    for (const format of ["text", "json"] as const) {
      const log = createLog({ level: "info", format, secrets: ['my"secret\\key'], sink });
      log.write("warn", 'has my"secret\\key\nand a\u001b[31m line', {
        deep: { key: "sk-abcdefgh12345678" },
        pem: "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----",
        jwt: `eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln`,
        long: "x".repeat(100_000),
      });
    }
    for (const line of lines) {
      expect(line).not.toMatch(/secret.{0,2}key|abcdefgh1234|MIIabc|eyJ|\p{Cc}/u);
      expect(line.length).toBeLessThan(10_000);
    }
    expect(lines).toHaveLength(2);
  });

  test("has one line a request, with the path but not the query", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    const response = await fetch(`${gateway.url}/v1/files?purpose=secret-purpose`);
    const id = response.headers.get("x-request-id");
    const lines = gateway.logLines
      .map((line) => JSON.parse(line))
      .filter(({ request_id }) => request_id === id);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: "info",
      method: "GET",
      path: "/v1/files",
      status: 200,
    });
    expect(gateway.logLines.join()).not.toContain("secret-purpose");
  });
});

describe("stop()", () => {
  test("answers a create that has been sent before it cuts the connection, so nothing is paid twice", async () => {
    const state = createMemoryState({ hangs: true });
    gateway = await startMemoryGateway(
      { a: state },
      { config: "general_settings: { shutdown_timeout_seconds: 0.1 }" },
    );
    const patient = gateway.client.withOptions({ maxRetries: 2 });
    const create = catchError(() =>
      patient.fineTuning.jobs.create({ model: "m", training_file: "f" }),
    );
    while (state.calls.length === 0) await Bun.sleep(5);
    const stopped = gateway.stop();
    gateway = undefined;
    expect(await create).toMatchObject({ status: 503, code: "gateway_stopping" });
    await stopped;
    expect(state.calls).toEqual(["createJob"]);
  });

  test("lets a request that runs end, and refuses new ones", async () => {
    let release: () => void = () => undefined;
    const state = createMemoryState({ jobs: [job] });
    gateway = await startMemoryGateway({ a: state });
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("{"));
        await gate;
        controller.enqueue(new TextEncoder().encode("}"));
        controller.close();
      },
    });
    const { url } = gateway;
    const running = fetch(`${url}/v1/fine_tuning/jobs/ftjob-1/cancel`, { method: "POST", body });
    await Bun.sleep(50);
    const stopped = gateway.stop();
    gateway = undefined;
    await Bun.sleep(50);
    release();
    expect((await running).status).toBe(200);
    await stopped;
    expect(await catchError(() => fetch(`${url}/health/liveness`))).toBeInstanceOf(Error);
  });
});
