import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { makeErrorReader, storageAdvice } from "../../providers/vertex_ai/google-errors.ts";
import vertex from "../../providers/vertex_ai/index.ts";
import { connectStorage, type StoredObject } from "../../providers/vertex_ai/storage.ts";
import type { ChunkFault, FakeStorage } from "../fakes/google/storage.ts";
import { startFakeStorage } from "../fakes/google/storage.ts";
import type { Fault } from "../fakes/server.ts";
import { startServer } from "../fakes/server.ts";
import { connectBackend, last, makeUpload } from "./backends.ts";

const { signal } = new AbortController();
const chunk = 8 * 1024 * 1024;
const unit = 256 * 1024;
const bytes = makeBytes(2 * chunk + 3 * unit + 7);
let fake: FakeStorage;
let refusals: boolean[];

beforeEach(async () => {
  fake = await startFakeStorage();
  refusals = [];
});
afterEach(() => fake.stop());

/** Bytes of which no two stretches are alike. */
function makeBytes(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index, 2654435761);
  return new Uint8Array(words.buffer).subarray(0, length);
}

function connect(more: { baseUrl?: string; timeout?: number } = {}) {
  return connectStorage({
    backend: "main",
    folder: { bucket: "bucket", prefix: "" },
    baseUrl: fake.origin,
    headers: {},
    timeout: 5,
    retryPauses: [1, 1, 1, 1],
    credentials: {
      async authorize(refused) {
        refusals.push(refused);
        return { authorization: "Bearer fake-access-token" };
      },
    },
    ...more,
  });
}

/** Uploads `content` in pieces of odd sizes. */
function create(
  content: Uint8Array = bytes,
  { pieces = 1_000_003, storage = connect(), one = signal } = {},
): Promise<StoredObject | undefined> {
  async function* open() {
    for (let at = 0; at < content.length; at += pieces) yield content.subarray(at, at + pieces);
  }
  const object = { name: "a/ü b", contentType: "text/plain", metadata: { k: "é" }, open };
  return storage.create(object, one);
}

function expectWhole(content: Uint8Array = bytes): void {
  expect(fake.objects.get("a/ü b")?.content.equals(content)).toBe(true);
  expect(fake.countOpenSessions()).toBe(0);
}

function expectNothing(): void {
  expect([fake.objects.size, fake.countOpenSessions()]).toEqual([0, 0]);
}

const ranges = () =>
  fake.requests.flatMap(({ method, headers }) =>
    method === "PUT" ? [headers.get("content-range")] : [],
  );

describe("an upload", () => {
  test.each([
    [0, ["bytes */0"]],
    [1, ["bytes 0-0/1"]],
    [chunk, [`bytes 0-${chunk - 1}/${chunk}`]],
    [chunk + 1, [`bytes 0-${chunk - 1}/*`, `bytes ${chunk}-${chunk}/${chunk + 1}`]],
    [2 * chunk, [`bytes 0-${chunk - 1}/*`, `bytes ${chunk}-${2 * chunk - 1}/${2 * chunk}`]],
  ])("of %p bytes goes in chunks of 8 MiB", async (length, expected) => {
    const content = bytes.subarray(0, length);
    for (const pieces of [chunk, unit * 3 + 1]) {
      fake.objects.clear();
      const stored = await create(content, { pieces });
      expect(stored).toMatchObject({ name: "a/ü b", size: length, metadata: { k: "é" } });
      expectWhole(content);
    }
    expect(ranges()).toEqual([...expected, ...expected]);
  });

  test("of a small content has one small chunk", async () => {
    const content = new Blob(["x".repeat(unit + 1)]);
    const metadata = {};
    const open = () => content.stream();
    const object = { name: "n", contentType: "text/plain", metadata, size: content.size, open };
    expect(await connect().create(object, signal)).toMatchObject({ size: unit + 1 });
    expect(ranges()).toEqual([`bytes 0-${unit}/${unit + 1}`]);
  });

  test("does not replace an object that is there", async () => {
    fake.addObject("a/ü b", "older");
    expect(await create()).toBeUndefined();
    expect(fake.objects.get("a/ü b")?.content.toString()).toBe("older");
    expect(fake.countOpenSessions()).toBe(0);
  });

  test("does not replace an object that came meanwhile", async () => {
    async function* open() {
      yield bytes;
      fake.addObject("n", "another");
    }
    const object = { name: "n", contentType: "text/plain", metadata: {}, open };
    expect(await connect().create(object, signal)).toBeUndefined();
    expect(fake.objects.get("n")?.content.toString()).toBe("another");
  });
});

describe("an upload goes on", () => {
  test.each<[string, ChunkFault[], string]>([
    ["a part of a chunk is kept", [{ keep: 2 * unit }], `bytes ${2 * unit}-${chunk - 1}/*`],
    ["nothing of the first chunk is kept", [{ keep: 0 }], `bytes 0-${chunk - 1}/*`],
    [
      "nothing of a later chunk is kept",
      [{ keep: chunk }, { keep: 0 }],
      `bytes ${chunk}-${2 * chunk - 1}/*`,
    ],
    [
      "a part of the last chunk is kept",
      [{ keep: chunk }, { keep: chunk }, { keep: unit }],
      `bytes ${2 * chunk + unit}-${bytes.length - 1}/${bytes.length}`,
    ],
  ])("where %s", async (_what, faults, range) => {
    fake.chunkFaults.push(...faults);
    expect(await create()).toMatchObject({ size: bytes.length });
    expectWhole();
    expect(ranges()).toContain(range);
    expect(ranges()).toHaveLength(4);
  });

  const lost: readonly [string, Fault][] = [
    ["before it carried it out", { reset: true }],
    ["after it carried it out", { reset: true, carriedOut: true }],
    ["with 503", { answer: { status: 503 } }],
    ["with 503 although it carried it out", { answer: { status: 503 }, carriedOut: true }],
    ["with 429", { answer: { status: 429 } }],
    ["with 408", { answer: { status: 408 } }],
    ["with 500 and again when it is asked", { answer: { status: 500 }, times: 2 }],
  ];
  test.each(lost)("where the service breaks off %s", async (_what, fault) => {
    for (const before of [0, 1, 2]) {
      fake.objects.clear();
      fake.inject(...Array<Fault>(before).fill({ method: "PUT" }), { method: "PUT", ...fault });
      expect(await create()).toMatchObject({ size: bytes.length });
      expectWhole();
    }
    // What a closed connection has lost Bun sends once more before we can ask.
    if (fault.reset) return;
    expect(ranges()).toContain("bytes */*");
    expect(ranges()).toContain(`bytes */${bytes.length}`);
  });

  test.each(lost)("where the service breaks off %s at the start", async (_what, fault) => {
    fake.inject({ method: "POST", ...fault });
    expect(await create()).toMatchObject({ size: bytes.length });
    expect(fake.objects.get("a/ü b")?.content.equals(bytes)).toBe(true);
  });

  test.each([404, 410] as const)(
    "from its start where the service lost it (%p)",
    async (expire) => {
      fake.chunkFaults.push({ keep: chunk }, { expire }, { keep: chunk }, { expire });
      expect(await create()).toMatchObject({ size: bytes.length });
      expectWhole();
    },
  );

  test("with a new credential after a 401", async () => {
    fake.inject({ method: "PUT" }, { method: "PUT", answer: { status: 401 } });
    await create();
    expectWhole();
    expect(refusals).toEqual([false, false, false, true, false]);
  });
});

describe("an upload fails and leaves nothing", () => {
  test.each<[string, Fault, object]>([
    [
      "fails again and again",
      { method: "PUT", answer: { status: 503 }, times: 5 },
      { status: 502, code: "upstream_error" },
    ],
    [
      "breaks off again and again",
      { method: "PUT", reset: true, times: 5 },
      { status: 502, code: "upstream_connection_failed" },
    ],
    [
      "keeps nothing",
      { method: "PUT", answer: { status: 308 }, times: 5 },
      { status: 502, message: expect.stringContaining("keeps nothing of what it is sent") },
    ],
    [
      "keeps more than it was sent",
      { method: "PUT", answer: { status: 308, headers: { range: "bytes=0-9000000" } } },
      { status: 502, message: expect.stringContaining("has 9000001 bytes where 0 to 8388608") },
    ],
    [
      "cannot count",
      { method: "PUT", answer: { status: 308, headers: { range: "bytes=1-9" } } },
      { status: 502, message: expect.stringContaining('it says "bytes=1-9"') },
    ],
    [
      "ends the upload too early",
      { method: "PUT", answer: { status: 200, body: "{}" } },
      { status: 502, message: expect.stringContaining("ends the upload after 8388608 bytes") },
    ],
    [
      "redirects",
      { method: "PUT", answer: { status: 307, headers: { location: "http://127.0.0.1:1/" } } },
      { status: 502, code: "upstream_redirect" },
    ],
    ["refuses a chunk", { method: "PUT", answer: { status: 400 } }, { status: 400 }],
    [
      "refuses every credential",
      { method: "PUT", answer: { status: 401 }, times: 2 },
      { status: 502, code: "upstream_authentication_error" },
    ],
    [
      "opens no session",
      { method: "POST", answer: { status: 200 } },
      { status: 502, message: expect.stringContaining("without an address") },
    ],
    [
      "opens a session elsewhere",
      { method: "POST", answer: { status: 200, headers: { location: "http://127.0.0.1:1/u" } } },
      { status: 502, message: expect.stringContaining('at "http://127.0.0.1:1"') },
    ],
    [
      "is down",
      { method: "POST", answer: { status: 503 }, times: 5 },
      { status: 502, code: "upstream_error" },
    ],
    ["has no such bucket", { method: "POST", answer: { status: 404 } }, { status: 502 }],
  ])("where the service %s", async (_what, fault, expected) => {
    fake.inject(fault);
    await expect(create()).rejects.toMatchObject(expected);
    expectNothing();
  });

  test.each([0, 1, 2])("where chunk %p arrived otherwise than it was sent", async (before) => {
    fake.chunkFaults.push(...Array<ChunkFault>(before).fill({ keep: chunk }), { corrupt: true });
    await expect(create()).rejects.toMatchObject({
      status: 502,
      code: "upstream_checksum_mismatch",
      retry: false,
    });
    expectNothing();
    expect(last(fake.requests).query.get("generation")).toMatch(/^\d+$/);
  });

  test("where the session is lost each time", async () => {
    fake.chunkFaults.push({ expire: 410 }, { expire: 404 }, { expire: 410 });
    await expect(create()).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining("has lost the upload 3 times"),
    });
    expectNothing();
  });

  test("where the service never answers", async () => {
    fake.inject({ method: "PUT", hang: true });
    const storage = connect({ timeout: 0.2 });
    await expect(create(bytes, { storage })).rejects.toMatchObject({
      status: 504,
      code: "upstream_timeout",
    });
    expectNothing();
  });

  test("where nobody listens", async () => {
    const storage = connect({ baseUrl: "http://127.0.0.1:1" });
    await expect(create(bytes, { storage })).rejects.toMatchObject({
      status: 502,
      code: "upstream_unreachable",
    });
  });

  test("where the content cannot be read", async () => {
    async function* open() {
      yield bytes;
      throw new Error("The disk is broken");
    }
    const object = { name: "n", contentType: "text/plain", metadata: {}, open };
    await expect(connect().create(object, signal)).rejects.toThrow("The disk is broken");
    expectNothing();
  });

  test("where it is broken off, in a chunk or in the pause after one", async () => {
    for (const fault of [{ hang: true }, { answer: { status: 503 } }] as const) {
      const controller = new AbortController();
      fake.inject({ method: "PUT", ...fault });
      const storage = connect();
      const failure = create(bytes, { storage, one: controller.signal }).catch((error) => error);
      while (ranges().length === 0) await Bun.sleep(1);
      controller.abort(new Error("gone"));
      expect(await failure).toMatchObject({ message: "gone" });
      expectNothing();
    }
  });

  test("also where the session cannot be given up", async () => {
    fake.inject({ method: "DELETE", reset: true });
    fake.inject({ method: "PUT", answer: { status: 400 } });
    await expect(create()).rejects.toMatchObject({ status: 400 });
    expect(fake.objects.size).toBe(0);
  });
});

describe("uploadFile()", () => {
  const example = JSON.stringify({
    messages: [
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ],
  });

  /** The provider with a metadata server that knows the fake's token. */
  async function withBackend(
    run: (backend: ReturnType<typeof connectBackend>) => Promise<void>,
  ): Promise<void> {
    const kept = [process.env.GCE_METADATA_HOST, process.env.CLOUDSDK_CONFIG];
    const body = JSON.stringify({ access_token: "fake-access-token", expires_in: 3599 });
    const headers = { "metadata-flavor": "Google", "content-type": "application/json" };
    const metadata = await startServer(() => ({ status: 200, headers, body }));
    process.env.GCE_METADATA_HOST = new URL(metadata.origin).host;
    process.env.CLOUDSDK_CONFIG = "/nonexistent";
    try {
      const options = { vertex_project: "my-project", gcs_bucket_name: "bucket", timeout: 5 };
      await run(connectBackend(vertex, { ...options, storage_base: `${fake.origin}/` }));
    } finally {
      await metadata.stop();
      for (const [index, name] of ["GCE_METADATA_HOST", "CLOUDSDK_CONFIG"].entries()) {
        const value = kept[index];
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  }

  const upload = makeUpload(new Blob([`${example}\n`.repeat(3)]));

  test("converts anew where the session was lost", () =>
    withBackend(async (backend) => {
      fake.chunkFaults.push({ keep: chunk }, { keep: chunk }, { expire: 410 });
      const { id } = await backend.uploadFile(upload, signal);
      expect([...fake.objects.keys()].sort()).toEqual([
        `${id}.jsonl`,
        `${id}.original`,
        `${id}.report.json`,
      ]);
      const lines = fake.objects.get(`${id}.jsonl`)?.content.toString().trimEnd().split("\n");
      expect(lines).toHaveLength(3);
      expect(await backend.readFileReport(id, signal)).toMatchObject({ examples: 3 });
    }));

  test("makes the file exist with the last object alone", () =>
    withBackend(async (backend) => {
      await backend.uploadFile(upload, signal);
      const stored = fake.requests.flatMap(({ method, body, headers }) =>
        method === "POST" && headers.has("x-upload-content-type")
          ? [String(JSON.parse(body.toString()).name).split(".").slice(1).join(".")]
          : [],
      );
      expect(stored).toEqual(["original", "jsonl", "report.json"]);
      expect([...fake.objects.keys()].at(-1)).toEndWith(".jsonl");
    }));

  test.each([1, 2, 3])("leaves nothing where object %p arrives broken", (count) =>
    withBackend(async (backend) => {
      fake.chunkFaults.push(...Array<ChunkFault>(count - 1).fill({ keep: chunk }));
      fake.chunkFaults.push({ corrupt: true });
      await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({
        status: 502,
        code: "upstream_checksum_mismatch",
      });
      expectNothing();
    }),
  );

  test.each(["null", "{}", '{"name":"a"}'])("leaves nothing where the last answer is %p", (body) =>
    withBackend(async (backend) => {
      const lie = { method: "PUT", carriedOut: true, answer: { status: 200, body } } as const;
      fake.inject({ method: "PUT" }, { method: "PUT" }, lie);
      await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({ status: 502 });
      expectNothing();
    }),
  );

  test.each(["", "<html>"])("asks again where the last answer is %p", (body) =>
    withBackend(async (backend) => {
      const lie = { method: "PUT", carriedOut: true, answer: { status: 200, body } } as const;
      fake.inject({ method: "PUT" }, { method: "PUT" }, lie);
      const { id } = await backend.uploadFile(upload, signal);
      expect(fake.objects.has(`${id}.jsonl`)).toBe(true);
      expect(last(ranges())).toMatch(/^bytes \*\/\d+$/);
    }),
  );

  test("leaves nothing where it is broken off while it converts", () =>
    withBackend(async (backend) => {
      const controller = new AbortController();
      fake.inject({ method: "PUT" }, { method: "PUT", hang: true });
      const failure = backend.uploadFile(upload, controller.signal).catch((error) => error);
      while (ranges().length < 2) await Bun.sleep(1);
      controller.abort(new Error("stopping"));
      expect(await failure).toMatchObject({ message: "stopping" });
      expectNothing();
    }));
});

describe("the errors of Google", () => {
  const read = makeErrorReader(storageAdvice);

  test.each([
    [
      {
        code: 400,
        message: "Bad.",
        status: "INVALID_ARGUMENT",
        details: [{ fieldViolations: [{ field: "f" }] }],
      },
      { message: "Bad.", type: "invalid_request_error", code: "invalid_argument", param: "f" },
    ],
    [
      { code: 429, message: "Quota exceeded.", status: "RESOURCE_EXHAUSTED" },
      {
        type: "rate_limit_error",
        message: expect.stringMatching(/^Quota exceeded\. Wait a little/),
      },
    ],
    [{ code: 412, errors: [{ reason: "conditionNotMet" }] }, { code: "condition_not_met" }],
    [
      { code: 404, message: 7, details: "no", errors: {} },
      { message: undefined, code: "not_found" },
    ],
    [{ details: [null, 1, { fieldViolations: [null] }] }, { type: "invalid_request_error" }],
  ])("%j keep their meaning", (error, expected) => {
    expect(read({ error })).toMatchObject(expected);
  });

  test.each([[undefined], [null], [[]], ["x"], [{ error: "x" }], [{ error: [] }]])(
    "%j are none",
    (body) => {
      expect(read(body)?.message).toBeUndefined();
    },
  );

  test("keep the digest that Cloud Storage writes", async () => {
    const stored = await create(bytes.subarray(0, 5));
    expect(stored?.md5Hash).toBe(createHash("md5").update(bytes.subarray(0, 5)).digest("base64"));
  });
});
