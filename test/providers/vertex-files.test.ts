import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import vertex from "../../providers/vertex_ai/index.ts";
import type { FileFields, FileUpload } from "../../src/provider.ts";
import { type FakeStorage, startFakeStorage } from "../fakes/google/storage.ts";
import { type FakeTokens, startFakeTokens } from "../fakes/google/token.ts";
import { catchError } from "../support/gateway.ts";
import { connectBackend, last, makeUpload, type WholeBackend } from "./backends.ts";

const { signal } = new AbortController();
const chat = `${JSON.stringify({
  messages: [
    { role: "user", content: "Grüße 👩‍🚀 שלום" },
    { role: "assistant", content: "你好" },
  ],
})}\n`;
const gemini = `${JSON.stringify({
  contents: [
    { role: "user", parts: [{ text: "ü" }] },
    { role: "model", parts: [{ text: "👋" }] },
  ],
})}\n`;
const weighted = `${JSON.stringify({
  messages: [
    { role: "user", content: "a" },
    { role: "assistant", content: "b", weight: 0 },
    { role: "user", content: "c" },
    { role: "assistant", content: "d" },
  ],
})}\n`;
const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

let tokens: FakeTokens;
let storage: FakeStorage;
let backend: WholeBackend;

beforeEach(async () => {
  tokens = await startFakeTokens();
  storage = await startFakeStorage({
    accepts: (token) => tokens.tokens.includes(token),
    pageSize: 3,
  });
  backend = connect();
});
afterEach(() => Promise.all([storage.stop(), tokens.stop()]));

function connect(options: Readonly<Record<string, unknown>> = {}): WholeBackend {
  return connectBackend(vertex, {
    vertex_project: "my-project",
    vertex_credentials: JSON.stringify(tokens.serviceAccount),
    gcs_bucket_name: "bucket/tuning",
    storage_base: storage.origin,
    api_base: `${storage.origin}/vertex`,
    timeout: 5,
    ...options,
  });
}

test("checkFile() says what an upload would leave out or be refused for, and stores nothing", async () => {
  const check = (content: string, onUnsupported: string) =>
    backend.checkFile(
      makeUpload(new Blob([content]), { extra: [["on_unsupported", onUnsupported]] }),
      signal,
    );
  expect(await check(chat, "refuse")).toEqual({ examples: 1, warnings: [], warningCount: 0 });
  expect(await check(gemini, "refuse")).toMatchObject({ examples: 1, warningCount: 0 });
  expect(await check(weighted, "warn")).toMatchObject({ warnings: [{ line: 1 }] });
  expect(await catchError(() => check(weighted, "refuse"))).toMatchObject({
    status: 400,
    param: "file",
  });
  expect(storage.requests).toEqual([]);
});

function upload(content: string | Blob, fields: Partial<FileUpload> = {}): Promise<FileFields> {
  const blob = typeof content === "string" ? new Blob([content]) : content;
  return backend.uploadFile(makeUpload(blob, fields), signal);
}

async function readContent(id: string, range?: string): Promise<string> {
  const { body } = await backend.readFile(id, range, signal);
  return new Response(body).text();
}

async function listIds(query: { order?: "asc" | "desc"; after?: string; limit?: number } = {}) {
  const files = backend.listFiles({ order: "desc", limit: 2, ...query }, signal);
  return (await Array.fromAsync(files)).map(({ id }) => id);
}

describe("uploadFile()", () => {
  test("stores a file in Gemini's format as it is", async () => {
    const sha256 = createHash("sha256").update(gemini).digest("hex");
    const file = await upload(gemini, { filename: "ü-訓練👋.jsonl", sha256 });
    expect(file).toMatchObject({
      bytes: Buffer.byteLength(gemini),
      filename: "ü-訓練👋.jsonl",
      purpose: "fine-tune",
      status: "processed",
    });
    expect(file.id).toMatch(/^file-[0-9a-f]{28}$/);
    expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(60);
    const [object] = storage.objects.values();
    expect(storage.objects.size).toBe(1);
    expect(object?.name).toBe(`tuning/${file.id}.jsonl`);
    expect(object?.content.toString()).toBe(gemini);
    expect(object?.metadata).toEqual({
      id: file.id,
      filename: "ü-訓練👋.jsonl",
      purpose: "fine-tune",
      sha256,
      bytes: String(Buffer.byteLength(gemini)),
      converted: "false",
      examples: "1",
    });
    expect(await backend.getFile(file.id, signal)).toEqual(file);
    expect(await readContent(file.id)).toBe(gemini);
    expect(await backend.readFileReport(file.id, signal)).toEqual({
      examples: 1,
      warnings: [],
      warningCount: 0,
    });
    const { headers } = await backend.readFile(file.id, undefined, signal);
    expect(headers["content-type"]).toBe("application/octet-stream");
  });

  test("converts a file in OpenAI's format and gives back what came", async () => {
    const file = await upload(chat.repeat(3));
    expect(file.bytes).toBe(Buffer.byteLength(chat) * 3);
    const object = storage.objects.get(`tuning/${file.id}.jsonl`);
    const lines = object?.content.toString().trimEnd().split("\n") ?? [];
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      Array(3).fill({
        contents: [
          { role: "user", parts: [{ text: "Grüße 👩‍🚀 שלום" }] },
          { role: "model", parts: [{ text: "你好" }] },
        ],
      }),
    );
    expect(object?.metadata).toMatchObject({ converted: "true", bytes: String(file.bytes) });
    expect(await backend.getFile(file.id, signal)).toEqual(file);
    expect(await readContent(file.id)).toBe(chat.repeat(3));
    expect(await backend.readFileReport(file.id, signal)).toEqual({
      examples: 3,
      warnings: [],
      warningCount: 0,
    });
  });

  test("refuses what cannot be converted and leaves nothing, or warns where it is told to", async () => {
    await expect(upload(chat + weighted)).rejects.toMatchObject({ status: 400 });
    expect([storage.objects.size, storage.countOpenSessions()]).toEqual([0, 0]);
    const file = await upload(chat + weighted, { extra: [["on_unsupported", "warn"]] });
    expect(await backend.readFileReport(file.id, signal)).toMatchObject({
      examples: 2,
      warnings: [{ line: 2, code: expect.any(String), message: expect.any(String) }],
      warningCount: 1,
    });
    expect(await readContent(file.id)).toBe(chat + weighted);
  });

  test.each([false, true])(
    "keeps an image once, by its content, damaged before %p",
    async (damaged) => {
      const bytes = Buffer.from(png, "base64");
      const path = `tuning/media/${createHash("sha256").update(bytes).digest("hex")}.png`;
      if (damaged) storage.addObject(path, "damaged");
      const content = [
        { type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
      ];
      const messages = [
        { role: "user", content },
        { role: "assistant", content: "A dot" },
      ];
      const { id } = await upload(`${JSON.stringify({ messages })}\n`.repeat(2));
      expect(storage.objects.get(path)?.content.equals(bytes)).toBe(true);
      expect(storage.objects.get(path)?.contentType).toBe("image/png");
      expect(storage.objects.get(`tuning/${id}.jsonl`)?.content.toString()).toContain(
        `"gs://bucket/${path}"`,
      );
      expect([...storage.objects.keys()].filter((one) => one.includes("media"))).toEqual([path]);
    },
  );

  test.each([
    ["purpose", { purpose: "batch" }, "purpose"],
    ["second purpose", { purpose: "user_data" }, "purpose"],
    ["expiry", { expires_after: { anchor: "created_at", seconds: 3600 } }, "expires_after"],
    ["unknown field", { extra: [["a[b]", "1"]] as const }, "a[b]"],
    ["policy", { extra: [["on_unsupported", "drop"]] as const }, "on_unsupported"],
    [
      "policy twice",
      { extra: [["on_unsupported", "warn"] as const, ["on_unsupported", "warn"] as const] },
      "on_unsupported",
    ],
    ["name", { filename: "é".repeat(2100) }, "file"],
  ])("refuses a %s that Vertex AI has no use for", async (_what, fields, param) => {
    await expect(upload(gemini, fields)).rejects.toMatchObject({ status: 400, param });
    expect(storage.requests).toHaveLength(0);
  });

  test.each([
    ["broken JSON", `${gemini}{"contents":\n`],
    ["broken JSON to convert", `${chat}{"messages":\n`],
    ["nothing", ""],
    ["blank lines", "\n\n"],
    ["another format", '{"prompt":"a"}\n'],
    ["two formats", chat + gemini],
    ["bytes that are no text", `${gemini}\u0000`],
  ])("refuses a file of %s and leaves nothing", async (_what, content) => {
    await expect(upload(content)).rejects.toMatchObject({ status: 400 });
    expect([storage.objects.size, storage.countOpenSessions()]).toEqual([0, 0]);
  });
});

describe("files", () => {
  test("are found again without any ledger, by another gateway", async () => {
    const { id } = await upload(chat);
    backend = connect();
    expect((await backend.getFile(id, signal)).filename).toBe("train.jsonl");
    expect(await listIds()).toEqual([id]);
    await backend.deleteFile(id, signal);
    expect(storage.objects.size).toBe(0);
  });

  test("are listed over many pages, in both orders and after any of them", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 8; count++) ids.unshift((await upload(gemini)).id);
    storage.addObject("tuning/file-0.jsonl", "no file of ours");
    storage.addObject("tuning/other/file-000000000000000000000000000.jsonl", "{}");
    storage.addObject("elsewhere.jsonl", "{}");
    expect(await listIds()).toEqual(ids);
    expect(await listIds({ order: "asc" })).toEqual(ids.toReversed());
    for (const [index, after] of ids.entries()) {
      expect(await listIds({ after })).toEqual(ids.slice(index + 1));
      expect(await listIds({ after, order: "asc" })).toEqual(ids.slice(0, index).toReversed());
    }
    expect(backend.cursors).toEqual(["files"]);
    await expect(listIds({ after: "file-unknown" })).rejects.toMatchObject({ status: 404 });
  });

  test("of one list are read only as far as they are wanted", async () => {
    for (let count = 0; count < 8; count++) await upload(gemini);
    const before = storage.requests.length;
    for await (const _file of backend.listFiles({ order: "desc", limit: 2 }, signal)) break;
    expect(storage.requests.length - before).toBe(1);
    expect(last(storage.requests).query.get("maxResults")).toBe("3");
  });

  test("have ranges of what came, and 416 beyond it", async () => {
    const { id } = await upload(chat);
    const content = await backend.readFile(id, "bytes=2-9", signal);
    expect(content.status).toBe(206);
    expect(content.headers["content-range"]).toBe(`bytes 2-9/${Buffer.byteLength(chat)}`);
    expect(await new Response(content.body).text()).toBe(chat.slice(2, 10));
    await expect(readContent(id, "bytes=90000-")).rejects.toMatchObject({ status: 416 });
  });

  test.each(["file-0", `file-${"0".repeat(28)}`, "file-gs-!", "..", "", "ftjob-1", "file-gs-YQ"])(
    "of the unknown id %p are 404",
    async (id) => {
      for (const call of [backend.getFile, backend.readFileReport]) {
        await expect(call(id, signal)).rejects.toMatchObject({ status: 404, param: "id" });
      }
      await expect(readContent(id)).rejects.toMatchObject({ status: 404 });
      const failure = backend.deleteFile(id, signal).catch((error) => error.status);
      expect([400, 404]).toContain(await failure);
    },
  );

  test("are gone once, also where what lies beside them cannot be removed", async () => {
    const { id } = await upload(chat);
    storage.inject({ method: "DELETE", path: /original/, answer: { status: 503 } });
    await backend.deleteFile(id, signal);
    await expect(backend.getFile(id, signal)).rejects.toMatchObject({ status: 404 });
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({
      status: 404,
      message: `No such File object: ${id}`,
    });
  });

  test("at the top of a bucket need no prefix", async () => {
    backend = connect({ gcs_bucket_name: "bucket" });
    const { id } = await upload(gemini);
    expect([...storage.objects.keys()]).toEqual([`${id}.jsonl`]);
    expect(await listIds()).toEqual([id]);
  });
});

describe("objects that others have stored", () => {
  const idOf = (name: string, bucket = "bucket") =>
    `file-gs-${Buffer.from(`${bucket}/${name}`).toString("base64url")}`;

  test("are read below the folder, by an id or by their URI", async () => {
    const name = "tuning/ä/b c?.txt";
    storage.addObject(name, "<script>", { contentType: "text/html" });
    for (const id of [idOf(name), `gs://bucket/${name}`]) {
      expect(await backend.getFile(id, signal)).toMatchObject({
        id,
        bytes: 8,
        filename: "b c?.txt",
      });
      const { body, headers } = await backend.readFile(id, undefined, signal);
      expect(await new Response(body).text()).toBe("<script>");
      expect(headers["content-type"]).toBe("application/octet-stream");
      await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({ status: 400 });
    }
    expect(storage.objects.has(name)).toBe(true);
  });

  test("are not read elsewhere, nor what is kept beside the files of others", async () => {
    const { id } = await upload(chat);
    storage.addObject("secret.txt", "secret");
    const before = storage.requests.length;
    for (const name of ["secret.txt", `tuning/${id}.original`, `tuning/${id}.jsonl`]) {
      await expect(readContent(idOf(name))).rejects.toMatchObject({ status: 404 });
      await expect(readContent(`gs://bucket/${name}`)).rejects.toMatchObject({ status: 404 });
    }
    await expect(readContent(idOf("tuning/x", "other"))).rejects.toMatchObject({ status: 404 });
    expect(storage.requests.length).toBe(before);
  });
});

describe("the service", () => {
  test("that refuses a token gets a new one, once", async () => {
    const { id } = await upload(gemini);
    tokens.revoke();
    expect((await backend.getFile(id, signal)).id).toBe(id);
    storage.inject({ answer: { status: 401 }, times: 2 });
    await expect(backend.getFile(id, signal)).rejects.toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
    });
  });

  test("that has no such bucket is a 502 that says what to correct", async () => {
    backend = connect({ gcs_bucket_name: "other-bucket" });
    const failure = {
      status: 502,
      code: "upstream_bucket_not_found",
      message: expect.stringContaining('the bucket "other-bucket" does not exist'),
    };
    await expect(upload(gemini)).rejects.toMatchObject(failure);
    await expect(listIds()).rejects.toMatchObject(failure);
    const id = `file-${"0".repeat(28)}`;
    await expect(backend.getFile(id, signal)).rejects.toMatchObject(failure);
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject(failure);
    await expect(backend.checkAccess(signal)).rejects.toMatchObject(failure);
  });

  test("is tried by reading what files and jobs need", async () => {
    const path = /^\/vertex\/v1\/projects\/my-project\/locations\/us-central1\/tuningJobs$/;
    storage.inject({ method: "GET", path, answer: { status: 200, body: "{}" } });
    await backend.checkAccess(signal);
    expect(storage.requests.map(({ method }) => method)).toEqual(["GET", "GET"]);
    await expect(backend.checkAccess(signal)).rejects.toMatchObject({ status: 404 });
  });

  test("that forbids says which role to grant", async () => {
    const message = "a@b does not have storage.objects.list access to the bucket.";
    const error = { code: 403, message, errors: [{ reason: "forbidden", message }] };
    const headers = { "content-type": "application/json" };
    storage.inject({ answer: { status: 403, headers, body: JSON.stringify({ error }) } });
    await expect(listIds()).rejects.toMatchObject({
      status: 403,
      code: "permission_denied",
      message: expect.stringContaining("to the bucket. Grant the account"),
    });
  });

  test("that lies about a list is a 502", async () => {
    const answers = [
      '{"items":[{"name":"a"}]}',
      '{"items":{}}',
      "[]",
      "<html>",
      '{"items":[],"nextPageToken":7}',
    ];
    for (const body of answers) {
      storage.inject({ answer: { status: 200, body } });
      await expect(listIds()).rejects.toMatchObject({ status: 502 });
    }
    storage.inject({ answer: { status: 200, body: '{"nextPageToken":"dA=="}' }, times: 3 });
    await expect(listIds()).rejects.toMatchObject({ status: 502 });
  });

  test("that breaks off a download fails the reader", async () => {
    const { id } = await upload(gemini.repeat(1000));
    storage.inject({}, { cutOffAfter: 10 });
    await expect(readContent(id)).rejects.toMatchObject({
      status: 502,
      code: "upstream_connection_failed",
    });
  });
});
