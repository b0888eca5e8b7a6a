import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import openai from "../../providers/openai.ts";
import { requestIdOf } from "../../src/provider.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { connectBackend, last, makeUpload } from "./backends.ts";

const { signal } = new AbortController();
let fake: FakeOpenAI;
let backend: ReturnType<typeof connectBackend>;

beforeEach(async () => {
  fake = await startFakeOpenAI();
  backend = connectBackend(openai, { api_key: fake.apiKey, api_base: fake.url });
});
afterEach(async () => {
  await fake.stop();
  expect(fake.violations).toEqual([]);
});

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

describe("files", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "tunegate-openai-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test("uploadFile() sends 20 MB from disk byte for byte, with its length", async () => {
    const bytes = Buffer.alloc(20 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
    const path = join(directory, "big.jsonl");
    await Bun.write(path, bytes);

    const file = await backend.uploadFile(
      makeUpload(Bun.file(path, { type: "application/jsonl" }), { filename: "big.jsonl" }),
      signal,
    );

    expect(file).toMatchObject({
      bytes: bytes.length,
      filename: "big.jsonl",
      purpose: "fine-tune",
    });
    const stored = fake.state.files.get(file.id);
    expect(sha256(stored?.content ?? Buffer.alloc(0))).toBe(sha256(bytes));
    expect(stored?.type).toBe("application/jsonl");
    const { headers, body } = last(fake.requests);
    expect(headers.get("content-length")).toBe(String(body.length));
  });

  test("uploadFile() sends the same content as often as it is asked to", async () => {
    const upload = makeUpload(new Blob(["{}\n"]));
    const first = await backend.uploadFile(upload, signal);
    const second = await backend.uploadFile(upload, signal);
    expect(fake.state.files.get(first.id)?.content.toString()).toBe("{}\n");
    expect(fake.state.files.get(second.id)?.content.toString()).toBe("{}\n");
    expect(first.id).not.toBe(second.id);
  });

  test.each(['trän "x".jsonl', "a\r\nb\n.jsonl", "数据 %22.jsonl", "$&'; filename=y.jsonl"])(
    "uploadFile() keeps the filename %j",
    async (filename) => {
      await backend.uploadFile(makeUpload(new Blob(["{}\n"]), { filename }), signal);
      const escaped = filename
        .replaceAll('"', "%22")
        .replaceAll("\r", "%0D")
        .replaceAll("\n", "%0A");
      expect(last(fake.requests).body.toString()).toContain(`; filename="${escaped}"\r\n`);
    },
  );

  test("uploadFile() sends expires_after, and a type for content that has none", async () => {
    const file = await backend.uploadFile(
      makeUpload(new Blob(["{}\n"]), { expires_after: { anchor: "created_at", seconds: 3600 } }),
      signal,
    );
    expect(file.expires_at).toBe(file.created_at + 3600);
    expect(fake.state.files.get(file.id)?.type).toBe("application/octet-stream");
  });

  test("uploadFile() sends form fields that OpenAI does not define, for it to judge", async () => {
    const upload = makeUpload(new Blob(["{}\n"]), { extra: [["new[field]", "1"]] });
    await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({
      status: 400,
      message: "Unrecognized request argument supplied: new[field]",
      param: "new[field]",
    });
  });

  test("uploadFile() sends an empty file as it is", async () => {
    await expect(backend.uploadFile(makeUpload(new Blob([])), signal)).rejects.toMatchObject({
      status: 400,
      message: "File is empty.",
    });
  });

  test("uploadFile() fails as the disk does when the content cannot be read", async () => {
    const upload = makeUpload(Bun.file(join(directory, "missing.jsonl")));
    await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({ code: "ENOENT" });
    expect(fake.state.files.size).toBe(0);
  });

  test("getFile() answers the whole object and the call's id", async () => {
    const { id } = fake.addFile(1000, { filename: "a.jsonl" });
    const file = await backend.getFile(id, signal);
    expect(file).toEqual(fake.state.files.get(id)?.object as never);
    expect(requestIdOf(file)).toMatch(/^req_/);
  });

  test("getFile() passes a status on that nobody knew of", async () => {
    const { id } = fake.addFile(1000);
    Object.assign(fake.state.files.get(id)?.object ?? {}, { status: "scanning" });
    expect(await backend.getFile(id, signal)).toMatchObject({ status: "scanning" });
  });

  test("getFile() answers OpenAI's own 404", async () => {
    await expect(backend.getFile("file-none", signal)).rejects.toMatchObject({
      status: 404,
      message: "No such File object: file-none",
      type: "invalid_request_error",
      param: "id",
      code: null,
      headers: { "x-request-id": expect.stringMatching(/^req_/) },
    });
  });

  test("listFiles() sends purpose and order, and reads to the end", async () => {
    for (let at = 0; at < 5; at += 1) fake.addFile(1000 + at, { filename: `${at}.jsonl` });
    fake.addFile(1000, { purpose: "batch" });
    const query = { limit: 10_000, order: "asc", purpose: "fine-tune" } as const;
    const files = await Array.fromAsync(backend.listFiles(query, signal));
    expect(files.map(({ filename }) => filename)).toEqual(
      [0, 1, 2, 3, 4].map((at) => `${at}.jsonl`),
    );
    expect(last(fake.requests).query.toString()).toBe("purpose=fine-tune&order=asc&limit=10000");
  });

  test("readFile() has a small file whole, with OpenAI's headers", async () => {
    const { id } = fake.addFile(1000, { filename: "r.csv", content: "step,loss\n1,2\n" });
    const { body, status, headers } = await backend.readFile(id, undefined, signal);
    expect(body).toBeInstanceOf(Blob);
    expect(await new Response(body).text()).toBe("step,loss\n1,2\n");
    expect(status).toBe(200);
    expect(headers).toEqual({
      "content-type": "application/octet-stream",
      "content-disposition": 'attachment; filename="r.csv"',
      "content-length": "14",
      "x-request-id": expect.stringMatching(/^req_/),
    });
    expect(last(fake.requests).headers.get("range")).toBeNull();
  });

  test("readFile() streams a large file byte for byte", async () => {
    const content = Buffer.alloc(9 * 1024 * 1024, "0123456789\n");
    const { id } = fake.addFile(1000, { content });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(body).toBeInstanceOf(ReadableStream);
    expect(headers["content-length"]).toBe(String(content.length));
    expect(sha256(await new Response(body).bytes())).toBe(sha256(content));
  });

  test("readFile() reads a range, and passes the 416 for an impossible one", async () => {
    const { id } = fake.addFile(1000, { content: "0123456789" });
    const part = await backend.readFile(id, "bytes=2-4", signal);
    expect(part).toMatchObject({
      status: 206,
      headers: { "content-range": "bytes 2-4/10", "content-length": "3" },
    });
    expect(await new Response(part.body).text()).toBe("234");
    await expect(backend.readFile(id, "bytes=10-", signal)).rejects.toMatchObject({ status: 416 });
  });

  test("readFile() reads an empty file", async () => {
    const { id } = fake.addFile(1000, { content: "" });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(await new Response(body).text()).toBe("");
    expect(headers["content-length"]).toBe("0");
  });

  test("readFile() gives the true length of a file that came compressed", async () => {
    const { id } = fake.addFile(1000);
    const answer = {
      status: 200,
      headers: { "content-encoding": "gzip" },
      body: Bun.gzipSync(Buffer.from("x".repeat(1000))),
    };
    fake.inject({ answer });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(await new Response(body).text()).toBe("x".repeat(1000));
    expect(headers["content-length"] ?? "1000").toBe("1000");
    expect(last(fake.requests).headers.get("accept-encoding")).toBe("identity");
  });

  test("deleteFile() deletes", async () => {
    const { id } = fake.addFile(1000);
    await backend.deleteFile(id, signal);
    expect(fake.state.files.has(id)).toBe(false);
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({ status: 404 });
  });

  test.each(['{"id":"file-1","object":"file","deleted":false}', '{"id":"file-1"}', "", "[]"])(
    "deleteFile() does not believe the answer %j",
    async (body) => {
      fake.inject({ answer: { status: 200, body } });
      await expect(backend.deleteFile("file-1", signal)).rejects.toMatchObject({ status: 502 });
    },
  );
});
