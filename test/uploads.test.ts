import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { toFile } from "openai";
import { createAssembly } from "../src/assembly.ts";
import { ApiError } from "../src/errors.ts";
import { createMemoryState, type MemoryState } from "./fakes/memory.ts";
import { makeDirectory } from "./support/directory.ts";
import { catchError, startMemoryGateway, type TestGateway } from "./support/gateway.ts";
import { expectNoUploads } from "./support/open-files.ts";
import { readRecordedSha256 } from "./support/recorded.ts";

// Uploads in parts on backends that take only whole files.

let directory: ReturnType<typeof makeDirectory>;
let state: MemoryState;
let gateway: TestGateway;

beforeEach(async () => {
  directory = makeDirectory();
  state = createMemoryState();
  gateway = await start();
});
afterEach(async () => {
  await expectNoUploads(directory.path);
  await gateway.stop();
  directory.remove();
});

async function start(): Promise<TestGateway> {
  const states = { other: createMemoryState(), mine: state };
  return await startMemoryGateway(states, {
    dataDirectory: directory.path,
    config: "general_settings: { default_provider: mine }",
  });
}

async function create(bytes: number, more: object = {}) {
  return await gateway.client.uploads.create({
    filename: "träin.jsonl",
    purpose: "fine-tune",
    bytes,
    mime_type: "text/jsonl",
    ...more,
  } as never);
}

async function add(id: string, data: string | Uint8Array): Promise<string> {
  const part = await gateway.client.uploads.parts.create(id, {
    data: await toFile(Buffer.from(data as string), "p"),
  });
  expect(part).toMatchObject({ object: "upload.part", upload_id: id });
  return part.id;
}

function storedIn(id: string): readonly string[] {
  return readdirSync(join(directory.path, "uploads", "mine", id)).sort();
}

describe("uploads in parts", () => {
  test("go to the backend as one file, in the order of part_ids, parts sent side by side", async () => {
    const chunks = Array.from({ length: 6 }, (_, at) => Buffer.alloc(1_500_000 + at, at + 65));
    const whole = Buffer.concat(chunks);
    const upload = await create(whole.length, {
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    expect(upload).toMatchObject({ object: "upload", status: "pending", file: null });
    expect(upload.expires_at - upload.created_at).toBe(3600);
    const sent = await Promise.all(
      [3, 0, 5, 1, 4, 2].map(async (at) => [at, await add(upload.id, chunks[at] ?? "")] as const),
    );
    const part_ids = sent.sort(([a], [b]) => a - b).map(([, id]) => id);
    const md5 = createHash("md5").update(whole).digest("hex");
    const done = await gateway.client.uploads.complete(upload.id, { part_ids, md5 });
    const sha256 = createHash("sha256").update(whole).digest("hex");
    expect(readRecordedSha256(directory.path, done.file?.id ?? "")).toBe(sha256);
    expect(done).toMatchObject({
      status: "completed",
      file: { object: "file", bytes: whole.length, filename: "träin.jsonl", status: "processed" },
    });
    const [arrived] = state.uploads;
    expect(whole.equals((await arrived?.content.bytes()) ?? new Uint8Array())).toBe(true);
    expect(arrived).toMatchObject({ purpose: "fine-tune", expires_after: { seconds: 3600 } });
    expect(storedIn(upload.id)).toEqual(["upload.json"]);
    expect((await gateway.client.files.retrieve(done.file?.id ?? "")).bytes).toBe(whole.length);
  });

  test("completed once more with the same parts answer the same, and store nothing twice", async () => {
    const upload = await create(2);
    const part_ids = [await add(upload.id, "ab")];
    const [first, second] = await Promise.all([
      gateway.client.uploads.complete(upload.id, { part_ids }),
      gateway.client.uploads.complete(upload.id, { part_ids }),
    ]);
    expect(second).toEqual(first);
    expect(state.uploads).toHaveLength(1);
    const other = () => gateway.client.uploads.complete(upload.id, { part_ids: ["part_x"] });
    expect(await catchError(other)).toMatchObject({ status: 400, param: "upload_id" });
  });

  test("survive a restart of the gateway, and the loss of its ledger", async () => {
    const upload = await create(4);
    const first = await add(upload.id, "ab");
    await gateway.stop();
    for (const name of readdirSync(directory.path)) {
      if (name.startsWith("ledger")) await Bun.file(join(directory.path, name)).delete();
    }
    gateway = await start();
    const second = await add(upload.id, "cd");
    await gateway.client.uploads.complete(upload.id, { part_ids: [first, second] });
    expect(await state.uploads[0]?.content.text()).toBe("abcd");
  });

  test("can be completed after the backend has failed", async () => {
    const upload = await create(2);
    const part_ids = [await add(upload.id, "ab")];
    state.failure = new ApiError(502, "down");
    const complete = () => gateway.client.uploads.complete(upload.id, { part_ids });
    expect(await catchError(complete)).toMatchObject({ status: 502 });
    expect(storedIn(upload.id)).toHaveLength(2);
    delete state.failure;
    expect((await complete()).status).toBe("completed");
  });

  test("keep no part whose client left before the part had its place", async () => {
    const path = join(directory.path, "assembly");
    const assembly = createAssembly(path, () => Promise.reject());
    const { signal } = new AbortController();
    const request = { filename: "a", purpose: "batch", bytes: 3, mime_type: "text/plain" };
    const { id } = await assembly.createUpload(request, signal);
    const leaving = new AbortController();
    const data = new Blob(["abc"]);
    data.stream = () =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("abc")),
        pull(controller) {
          leaving.abort(new Error("gone"));
          controller.close();
        },
      });
    const add = () => assembly.addUploadPart(id, data, leaving.signal);
    expect(await catchError(add)).toEqual(new Error("gone"));
    expect(readdirSync(join(path, id))).toEqual(["upload.json"]);
    await assembly.addUploadPart(id, new Blob(["abc"]), signal);
  });

  test("can be completed after a crash in the middle of their completion", async () => {
    const upload = await create(2);
    const part_ids = [await add(upload.id, "ab")];
    const half = join(directory.path, "uploads", "mine", upload.id, "whole");
    await Bun.write(half, "a");
    expect((await gateway.client.uploads.complete(upload.id, { part_ids })).status).toBe(
      "completed",
    );
    expect(await state.uploads[0]?.content.text()).toBe("ab");
  });

  test("are refused where the parts do not make what was announced", async () => {
    const upload = await create(4);
    const part = await add(upload.id, "abc");
    const complete = (body: object) => gateway.client.uploads.complete(upload.id, body as never);
    expect(await catchError(() => complete({ part_ids: [part] }))).toMatchObject({
      status: 400,
      param: "part_ids",
      error: {
        message: "Cannot complete the upload: the parts have 3 bytes, and it was created for 4",
      },
    });
    expect(await catchError(() => add(upload.id, "de"))).toMatchObject({
      status: 400,
      param: "data",
    });
    const last = await add(upload.id, "d");
    for (const [body, param] of [
      [{}, "part_ids"],
      [{ part_ids: [] }, "part_ids"],
      [{ part_ids: "x" }, "part_ids"],
      [{ part_ids: [part, "part_none"] }, "part_ids"],
      [{ part_ids: [part, "upload.json"] }, "part_ids"],
      [{ part_ids: [part, "../../ledger.sqlite"] }, "part_ids"],
      [{ part_ids: [part, last], md5: "00" }, "md5"],
      [{ part_ids: [part, last], md5: 5 }, "md5"],
      [{ part_ids: [part, last], sha: "x" }, "sha"],
    ] as const) {
      expect(await catchError(() => complete(body))).toMatchObject({ status: 400, param });
    }
    expect(state.uploads).toEqual([]);
    expect((await complete({ part_ids: [part, last] })).status).toBe("completed");
  });

  test("are refused at once where the announcement is wrong", async () => {
    for (const [more, param] of [
      [{ bytes: 0 }, "bytes"],
      [{ bytes: 1.5 }, "bytes"],
      [{ bytes: "7" }, "bytes"],
      [{ bytes: 9 * 1024 ** 3 }, "bytes"],
      [{ filename: "" }, "filename"],
      [{ purpose: undefined }, "purpose"],
      [{ mime_type: null }, "mime_type"],
      [{ expires_after: { anchor: "created_at" } }, "expires_after.seconds"],
      [{ colour: "red" }, "colour"],
    ] as const) {
      expect(await catchError(() => create(1, more))).toMatchObject({ status: 400, param });
    }
    expect(existsSync(join(directory.path, "uploads"))).toBe(false);
  });

  test("can be cancelled, and take nothing afterwards", async () => {
    const upload = await create(1);
    const part = await add(upload.id, "a");
    expect((await gateway.client.uploads.cancel(upload.id)).status).toBe("cancelled");
    expect(storedIn(upload.id)).toEqual(["upload.json"]);
    const { client } = gateway;
    for (const call of [
      () => add(upload.id, "a"),
      () => client.uploads.complete(upload.id, { part_ids: [part] }),
      () => client.uploads.cancel(upload.id),
    ]) {
      const error = await catchError(call);
      expect(error).toMatchObject({ status: 400, param: "upload_id" });
      expect(String(error)).toContain("it is cancelled");
    }
  });

  test("expire after an hour and are swept away", async () => {
    const upload = await create(1);
    await add(upload.id, "a");
    const path = join(directory.path, "uploads", "mine", upload.id, "upload.json");
    const age = async (seconds: number) => {
      const record = await Bun.file(path).json();
      await Bun.write(path, JSON.stringify({ ...record, created_at: upload.created_at - seconds }));
    };
    await age(3600);
    expect(String(await catchError(() => add(upload.id, "b")))).toContain("it is expired");
    await age(7200);
    await gateway.stop();
    gateway = await start();
    while (existsSync(path)) await Bun.sleep(5);
    expect(await catchError(() => gateway.client.uploads.cancel(upload.id))).toMatchObject({
      status: 404,
    });
  });

  test("of ids that are no ids are OpenAI's 404", async () => {
    for (const id of ["upload_none", "..", "../mine", `upload_${"0".repeat(32)}`]) {
      const path = `${gateway.url}/v1/uploads/${encodeURIComponent(id)}/cancel`;
      const response = await fetch(path, { method: "POST" });
      expect(response.status).toBe(404);
    }
  });
});
