import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import openai from "../../providers/openai.ts";
import { ApiError } from "../../src/errors.ts";
import { type FakeOpenAI, type Fault, startFakeOpenAI } from "../fakes/openai.ts";
import { connectBackend, makeUpload, type WholeBackend } from "./backends.ts";

// A key that would be seen if any message had it.
const apiKey = "sk-secret-0123456789";
const { signal } = new AbortController();
let fake: FakeOpenAI;
let backend: WholeBackend;

beforeEach(async () => {
  fake = await startFakeOpenAI({ apiKey });
  backend = connect();
});
afterEach(() => fake.stop());

function connect(options: Readonly<Record<string, unknown>> = {}): WholeBackend {
  return connectBackend(openai, { api_key: apiKey, api_base: fake.url, ...options });
}

/** What a call throws; it must throw. */
async function catchError(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    expect(String(error)).not.toContain("0123456789");
    return error;
  }
  throw new Error("Nothing was thrown");
}

function answer(status: number, body: string, headers = {}): Fault {
  return { answer: { status, body, headers: { "content-type": "application/json", ...headers } } };
}

const html = "<html><body><h1>Bad gateway</h1><p>sk-secret-0123456789</p></body></html>";

describe("the status of the service", () => {
  test("401 becomes a 502 that names the backend and repeats nothing", async () => {
    backend = connect({ api_key: "sk-wrong-0123456789" });
    const error = await catchError(backend.getFile("file-1", signal));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 502,
      type: "server_error",
      code: "upstream_authentication_error",
      param: null,
      retry: false,
      headers: { "x-request-id": expect.stringMatching(/^req_/) },
    });
    expect(String(error)).toContain('backend "main"');
    expect(String(error)).not.toContain("sk-");
  });

  test.each([
    [
      "OpenAI's shape",
      answer(422, '{"error":{"message":"m","type":"t","param":"p","code":"c","new":1}}'),
      { status: 422, message: "m", type: "t", param: "p", code: "c" },
    ],
    [
      "nulls, and a number for the code",
      answer(400, '{"error":{"message":"m","type":null,"param":null,"code":1234}}'),
      { status: 400, message: "m", type: "invalid_request_error", param: null, code: "1234" },
    ],
    [
      "values of the wrong types",
      answer(400, '{"error":{"message":["m"],"type":1,"param":{},"code":[]}}'),
      {
        status: 400,
        message: 'Cannot carry out the request: backend "main" refused it with status 400',
        param: null,
        code: null,
      },
    ],
    ["text for the error", answer(404, '{"error":"gone"}'), { status: 404, message: "gone" }],
    ["a bare message", answer(409, '{"message":"busy"}'), { status: 409, message: "busy" }],
    [
      "no error",
      answer(403, "{}"),
      {
        status: 403,
        message: 'Cannot carry out the request: backend "main" refused it with status 403',
      },
    ],
    ["no object", answer(400, "[1]"), { status: 400, message: /backend "main" refused it with/ }],
    ["no body", answer(405, ""), { status: 405, message: /backend "main" refused it with/ }],
    [
      "HTML",
      answer(404, html),
      {
        status: 404,
        message: 'Cannot carry out the request: backend "main" refused it with status 404',
      },
    ],
    [
      "JSON that is cut off",
      answer(400, '{"error":{"message":"m'),
      {
        status: 400,
        message: 'Cannot carry out the request: backend "main" refused it with status 400',
      },
    ],
    [
      "plain text",
      answer(413, `Too large ${"x".repeat(5000)}`),
      {
        status: 413,
        message: `Cannot carry out the request: backend "main" refused it with status 413: Too large ${"x".repeat(490)}`,
      },
    ],
    [
      "a message out of all proportion",
      answer(400, JSON.stringify({ error: { message: "m".repeat(30_000) } })),
      { status: 400, message: "m".repeat(2000) },
    ],
    [
      "a body out of all proportion",
      answer(400, JSON.stringify({ error: { message: "m".repeat(10_000_000) } })),
      {
        status: 400,
        message: 'Cannot carry out the request: backend "main" refused it with status 400',
      },
    ],
  ])("a 4xx with %s keeps its status", async (_, fault, { message, ...fields }) => {
    fake.inject(fault);
    const error = await catchError(backend.getJob("ftjob-1", signal));
    expect(error).toMatchObject({ ...fields, retry: undefined });
    expect(error).toHaveProperty("message", expect.stringMatching(toPattern(message)));
  });

  test("a 4xx whose body breaks off keeps its status", async () => {
    fake.inject({ ...answer(404, '{"error":{"message":"m"}}'), cutOffAfter: 12 });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({ status: 404 });
  });

  test("a 401 and a redirect whose bodies break off are what they are", async () => {
    fake.inject({ ...answer(401, "0123456789"), cutOffAfter: 3 });
    const code = "upstream_authentication_error";
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      status: 502,
      code,
    });
    fake.inject({ ...answer(307, "0123456789"), cutOffAfter: 3 });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      code: "upstream_redirect",
    });
  });

  test("429 keeps what it says of retries, and its id", async () => {
    const body =
      '{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}';
    const headers = { "retry-after": "7", "retry-after-ms": "6500", "x-request-id": "req_1" };
    fake.inject(answer(429, body, { ...headers, "x-ratelimit-limit-requests": "5" }));
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      status: 429,
      message: "slow down",
      type: "requests",
      code: "rate_limit_exceeded",
      headers,
    });
  });

  test.each([
    [answer(500, '{"error":{"message":"oops","type":"server_error","code":"c"}}'), /500: oops$/],
    [answer(503, html, { "retry-after": "3" }), /status 503$/],
    [answer(529, ""), /status 529$/],
    [answer(502, `Upstream ${"x".repeat(5000)}`), /^.{1,700}$/],
  ])("a 5xx becomes a 502 (%#)", async (fault, message) => {
    fake.inject(fault);
    const error = await catchError(backend.getJob("ftjob-1", signal));
    expect(error).toMatchObject({ status: 502, type: "server_error" });
    expect(String(error)).toStartWith(
      'ApiError: Cannot get an answer from backend "main": it failed with status 5',
    );
    expect(error).toHaveProperty("message", expect.stringMatching(message));
  });

  test.each([301, 302, 307, 308, 304])("a redirect (%d) is not followed", async (status) => {
    const other = await startFakeOpenAI({ apiKey });
    try {
      fake.inject({ answer: { status, headers: { location: `${other.url}/files/file-1` } } });
      expect(await catchError(backend.getFile("file-1", signal))).toMatchObject({
        status: 502,
        code: "upstream_redirect",
        retry: false,
      });
      expect(other.requests).toHaveLength(0);
    } finally {
      await other.stop();
    }
  });
});

function toPattern(message: string | RegExp): RegExp {
  if (typeof message !== "string") return message;
  return new RegExp(`^${message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
}

describe("an answer that cannot be used is a 502", () => {
  test.each([
    ["HTML", html, "it is not JSON"],
    ["nothing", "", "it is empty"],
    ["blanks", " \n", "it is empty"],
    ["half of the JSON", '{"id":"ftjob-1","obj', "it is not JSON"],
    ["a list", "[]", 'its field "id" is missing or not what it should be'],
    ["a text", '"ftjob-1"', "it is not a JSON object"],
    ["null", "null", "it is not a JSON object"],
    ["no id", '{"object":"fine_tuning.job"}', 'its field "id" is missing or not what it should be'],
    ["an empty id", '{"id":""}', 'its field "id" is missing or not what it should be'],
    [
      "no status",
      '{"id":"ftjob-1","created_at":1,"model":"m"}',
      'its field "status" is missing or not what it should be',
    ],
  ])("%s", async (_, body, reason) => {
    fake.inject(answer(200, body, { "x-request-id": "req_1" }));
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      status: 502,
      message: `Cannot use the answer of backend "main": ${reason}`,
      code: "upstream_invalid_answer",
      headers: { "x-request-id": "req_1" },
    });
  });

  test("a body out of all proportion", async () => {
    fake.inject(answer(200, JSON.stringify({ id: "x".repeat(65 * 1024 * 1024) })));
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      status: 502,
      message: 'Cannot use the answer of backend "main": it has more than 67108864 bytes',
    });
  });

  test("a small body that unpacks to one out of all proportion", async () => {
    const body = Bun.gzipSync(Buffer.alloc(65 * 1024 * 1024, " "));
    fake.inject({ answer: { status: 200, body, headers: { "content-encoding": "gzip" } } });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({
      status: 502,
      message: 'Cannot use the answer of backend "main": it has more than 67108864 bytes',
    });
  });

  test("a body that breaks off within its length", async () => {
    const { id } = fake.addJob(1000);
    fake.inject({ cutOffAfter: 10 });
    expect(await catchError(backend.getJob(id, signal))).toMatchObject({
      status: 502,
      message:
        'Cannot get an answer from backend "main": the connection was closed before the answer was complete',
      headers: { "x-request-id": expect.stringMatching(/^req_/) },
    });
  });

  test("a 204 where an object belongs", async () => {
    fake.inject({ answer: { status: 204 } });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({ status: 502 });
  });
});

describe("the connection", () => {
  test("a service that is down is a 502 that may be retried: nothing was sent", async () => {
    await fake.stop();
    const refused = {
      status: 502,
      message: 'Cannot reach backend "main": connection refused',
      code: "upstream_unreachable",
      retry: true,
    };
    const request = { model: "m", training_file: "file-1" };
    expect(await catchError(backend.createJob(request, signal))).toMatchObject(refused);
    const upload = makeUpload(new Blob(["{}\n"]));
    expect(await catchError(backend.uploadFile(upload, signal))).toMatchObject(refused);
    expect(await catchError(backend.readFile("a", undefined, signal))).toMatchObject(refused);
  });

  test("a connection that breaks after the request was sent says nothing of retries", async () => {
    fake.inject({ reset: true }, { reset: true });
    const broken = {
      status: 502,
      message:
        'Cannot get an answer from backend "main": the connection was closed before the answer was complete',
      retry: undefined,
    };
    const request = { model: "m", training_file: "file-1" };
    expect(await catchError(backend.createJob(request, signal))).toMatchObject(broken);
    const upload = makeUpload(new Blob(["{}\n"]));
    expect(await catchError(backend.uploadFile(upload, signal))).toMatchObject(broken);
    expect(fake.requests).toHaveLength(2);
  });

  test("what does not speak HTTP is a 502", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end("220 mail ready\r\n") },
    });
    try {
      backend = connect({ api_base: `http://127.0.0.1:${server.port}` });
      const error = await catchError(backend.getJob("ftjob-1", signal));
      expect(error).toMatchObject({ status: 502, retry: undefined });
    } finally {
      server.stop(true);
    }
  });

  test("an http service behind https is a 502", async () => {
    backend = connect({ api_base: fake.url.replace("http:", "https:") });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject({ status: 502 });
  });
});

describe("the deadline", () => {
  const timeout = 0.3;
  const late = {
    status: 504,
    message: 'Cannot get an answer from backend "main": it took more than 0.3 seconds',
    code: "upstream_timeout",
    retry: undefined,
  };

  beforeEach(() => {
    backend = connect({ timeout });
  });

  test("a service that never answers is a 504", async () => {
    fake.inject({ hang: true }, { hang: true, carriedOut: true });
    expect(await catchError(backend.getJob("ftjob-1", signal))).toMatchObject(late);
    const { id } = fake.addJob(1000);
    expect(await catchError(backend.cancelJob(id, signal))).toMatchObject(late);
  });

  test("an answer, or an error, that stops halfway is a 504", async () => {
    const { id } = fake.addJob(1000);
    fake.inject({ hangAfter: 10 }, { ...answer(400, '{"error":{}}'), hangAfter: 3 });
    expect(await catchError(backend.getJob(id, signal))).toMatchObject(late);
    expect(await catchError(backend.getJob(id, signal))).toMatchObject(late);
  });

  test("an upload that nobody takes is a 504 that may be sent again", async () => {
    fake.inject({ stall: true });
    const upload = makeUpload(new Blob([new Uint8Array(20 * 1024 * 1024)]));
    expect(await catchError(backend.uploadFile(upload, signal))).toMatchObject({
      status: 504,
      message: 'Cannot send the whole file to backend "main": it took nothing for 0.3 seconds',
      code: "upstream_timeout",
      retry: true,
    });
  });

  test("a download that stops halfway is a 504, small or large", async () => {
    const small = fake.addFile(1000, { content: "0123456789" });
    fake.inject({ hangAfter: 3 }, { hangAfter: 1_000_000 });
    expect(await catchError(backend.readFile(small.id, undefined, signal))).toMatchObject(late);
    const large = fake.addFile(1000, { content: Buffer.alloc(5 * 1024 * 1024) });
    const { body } = await backend.readFile(large.id, undefined, signal);
    expect(await catchError(new Response(body).bytes())).toMatchObject(late);
  });

  test("an upload that moves may take longer in all", async () => {
    backend = connect({ timeout: 1.5 });
    const { id } = await backend.uploadFile(makeUpload(new SlowBlob(5, 400)), signal);
    expect(fake.state.files.get(id)?.content.toString()).toBe("{}\n".repeat(5));
  });

  test("a download may take longer in all when its reader is slow", async () => {
    const content = Buffer.alloc(6 * 1024 * 1024, "x");
    const { id } = fake.addFile(1000, { content });
    const { body } = await backend.readFile(id, undefined, signal);
    if (!(body instanceof ReadableStream)) throw new Error("The file is not streamed");
    const reader = body.getReader();
    let bytes = (await reader.read()).value?.length ?? 0;
    await Bun.sleep(timeout * 2000);
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
    }
    expect(bytes).toBe(content.length);
  });

  test("an error that comes before the upload is through is read", async () => {
    fake.inject({ stall: true, ...answer(413, '{"error":{"message":"too large"}}') });
    const upload = makeUpload(new Blob([new Uint8Array(20 * 1024 * 1024)]));
    expect(await catchError(backend.uploadFile(upload, signal))).toMatchObject({
      status: 413,
      message: "too large",
    });
  });
});

/** Lines of `{}` that come one at a time, with a pause in milliseconds before each. */
class SlowBlob extends Blob {
  readonly #lines: number;
  readonly #pause: number;

  constructor(lines: number, pause: number) {
    super(["{}\n".repeat(lines)]);
    this.#lines = lines;
    this.#pause = pause;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    let left = this.#lines;
    return new ReadableStream({
      pull: async (controller) => {
        await Bun.sleep(this.#pause);
        controller.enqueue(new TextEncoder().encode("{}\n"));
        left -= 1;
        if (left === 0) controller.close();
      },
    });
  }
}

/** A blob that has fewer bytes than it says, as a file that is cut off while it is read. */
class ShrunkBlob extends Blob {
  override get size(): number {
    return super.size + 1;
  }
}

describe("a download that breaks off", () => {
  test("fails as a whole when it is small", async () => {
    const { id } = fake.addFile(1000, { content: "0123456789" });
    fake.inject({ cutOffAfter: 4 });
    expect(await catchError(backend.readFile(id, undefined, signal))).toMatchObject({
      status: 502,
      message: expect.stringContaining("closed before the answer was complete"),
    });
  });

  test("fails its stream when it is large", async () => {
    const { id } = fake.addFile(1000, { content: Buffer.alloc(6 * 1024 * 1024) });
    fake.inject({ cutOffAfter: 5 * 1024 * 1024 });
    const { body } = await backend.readFile(id, undefined, signal);
    expect(await catchError(new Response(body).bytes())).toMatchObject({ status: 502 });
  });

  test("is a 502 when the answer is no file at all", async () => {
    fake.inject({ answer: { status: 204 } });
    const error = await catchError(backend.readFile("file-1", undefined, signal));
    expect(error).toMatchObject({ status: 502, code: "upstream_invalid_answer" });
  });
});

describe("the client's own end", () => {
  const gone = new Error("The client has gone");

  test.each([
    ["getJob()", (client: AbortSignal) => backend.getJob("ftjob-1", client)],
    ["readFile()", (client: AbortSignal) => backend.readFile("file-1", undefined, client)],
    ["deleteFile()", (client: AbortSignal) => backend.deleteFile("file-1", client)],
    [
      "uploadFile()",
      (client: AbortSignal) => backend.uploadFile(makeUpload(new Blob(["{}\n"])), client),
    ],
    [
      "listJobs()",
      (client: AbortSignal) => Array.fromAsync(backend.listJobs({ limit: 1 }, client)),
    ],
  ])("%s throws the reason, before and during the call", async (_, call) => {
    expect(await catchError(call(AbortSignal.abort(gone)))).toBe(gone);
    expect(fake.requests).toHaveLength(0);
    fake.inject({ hang: true });
    const controller = new AbortController();
    const calling = catchError(call(controller.signal));
    while (fake.requests.length === 0) await Bun.sleep(1);
    controller.abort(gone);
    expect(await calling).toBe(gone);
  });

  test("an answer that is being read is given up", async () => {
    const { id } = fake.addJob(1000);
    fake.inject({ hangAfter: 5 });
    const controller = new AbortController();
    const calling = catchError(backend.getJob(id, controller.signal));
    while (fake.requests.length === 0) await Bun.sleep(1);
    await Bun.sleep(20);
    controller.abort(gone);
    expect(await calling).toBe(gone);
  });

  test("a download is given up when its signal is aborted or its reader stops", async () => {
    const { id } = fake.addFile(1000, { content: Buffer.alloc(6 * 1024 * 1024) });
    fake.inject({ hangAfter: 1_000_000, times: 2 });
    const controller = new AbortController();
    const first = await backend.readFile(id, undefined, controller.signal);
    const reading = catchError(new Response(first.body).bytes());
    await Bun.sleep(20);
    controller.abort(gone);
    expect(await reading).toBe(gone);

    const second = await backend.readFile(id, undefined, signal);
    if (!(second.body instanceof ReadableStream)) throw new Error("The file is not streamed");
    await second.body.cancel();
    while (fake.countOpenConnections() > 0) await Bun.sleep(1);
  });
});

test("uploadFile() fails when the content is shorter than it said", async () => {
  const call = backend.uploadFile(makeUpload(new ShrunkBlob(["{}\n"])), signal);
  const error = await catchError(call);
  expect(error).not.toBeInstanceOf(ApiError);
  expect(String(error)).toMatch(/Cannot send a form: it has \d+ bytes, not \d+/);
  expect(fake.state.files.size).toBe(0);
});
