import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { explainWriteError } from "../../../providers/local/disk.ts";
import { ApiError } from "../../../src/errors.ts";
import type { FileContent } from "../../../src/provider.ts";
import {
  collect,
  createJob,
  endlessTrainer,
  makePlace,
  never,
  type Place,
  quickTrainer,
  refusal,
  upload,
  waitFor,
  waitForStatus,
  writeTrainer,
} from "./support.ts";

// Nothing here is timed: what takes long on a busy machine is no failure.
setDefaultTimeout(120_000);

let place: Place;
beforeEach(() => {
  place = makePlace();
});
afterEach(() => place.remove());

async function read({ body }: FileContent): Promise<Uint8Array> {
  return await new Response(body).bytes();
}

function listStored(): string[] {
  const files = join(place.path, "files");
  const temporary = readdirSync(join(place.path, "temporary"), { recursive: true });
  // The process's own directory is all that may be left there.
  expect(temporary.length).toBeLessThanOrEqual(1);
  return readdirSync(files);
}

describe("uploadFile()", () => {
  test("stores bytes exactly and tells the truth about them", async () => {
    const backend = place.start();
    const bytes = new Uint8Array(3_000_000).map((_, index) => (index * 7919) % 256);
    const before = Math.floor(Date.now() / 1000);
    const file = await upload(backend, { content: new Blob([bytes]), filename: "données.bin" });
    expect(file).toMatchObject({
      bytes: 3_000_000,
      filename: "données.bin",
      purpose: "fine-tune",
      status: "processed",
      expires_at: null,
    });
    expect(file.id).toMatch(/^file-[0-9A-Za-z]{24}$/);
    expect(file.created_at).toBeGreaterThanOrEqual(before);
    expect(file.created_at).toBeLessThanOrEqual(before + 60);
    expect(await read(await backend.readFile(file.id, undefined, never))).toEqual(bytes);
    expect(await backend.getFile(file.id, never)).toEqual(file);
  });

  test("stores a file that is on the disk, and an empty one", async () => {
    const backend = place.start();
    const path = `${place.path}-source`;
    writeFileSync(path, "0123456789");
    const whole = await upload(backend, { content: Bun.file(path) });
    const part = await upload(backend, { content: Bun.file(path).slice(2, 5) });
    const empty = await upload(backend, { content: new Blob([]) });
    expect([whole.bytes, part.bytes, empty.bytes]).toEqual([10, 3, 0]);
    const content = await read(await backend.readFile(part.id, undefined, never));
    expect(new TextDecoder().decode(content)).toBe("234");
    expect(await read(await backend.readFile(empty.id, undefined, never))).toEqual(
      new Uint8Array(),
    );
  });

  test("gives ids that are unlike each other and sort by time, also at once", async () => {
    const backend = place.start();
    const files = await Promise.all(Array.from({ length: 20 }, () => upload(backend)));
    const ids = files.map(({ id }) => id);
    expect(new Set(ids).size).toBe(20);
    expect(ids).toEqual(ids.toSorted());
  });

  test.each([
    [{ purpose: "fine-tune-results" }, "purpose"],
    [{ purpose: "" }, "purpose"],
    [{ extra: [["a[b]", "c"]] as const }, "a[b]"],
    [{ expires_after: { anchor: "created_at", seconds: 3599 } }, "expires_after.seconds"],
    [{ expires_after: { anchor: "created_at", seconds: 2592001 } }, "expires_after.seconds"],
    [{ expires_after: { anchor: "created_at", seconds: Number.NaN } }, "expires_after.seconds"],
    [{ expires_after: { anchor: "now", seconds: 3600 } }, "expires_after.anchor"],
  ])("refuses %j and stores nothing", async (fields, param) => {
    const backend = place.start();
    expect(await refusal(upload(backend, fields))).toMatchObject({ status: 400, param });
    expect(await collect(backend.listFiles({ limit: 10, order: "desc" }, never))).toEqual([]);
  });

  test("leaves nothing of an upload that is cut off, whose client leaves or whose source is gone", async () => {
    const backend = place.start();
    await upload(backend);
    const broken = new Blob(["x"]);
    broken.stream = () =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(10)),
        pull: (controller) => controller.error(new Error("cut off")),
      });
    expect(await refusal(upload(backend, { content: broken }))).toEqual(new Error("cut off"));
    const missing = Bun.file(`${place.path}-missing`);
    expect(await refusal(upload(backend, { content: missing }))).toMatchObject({ code: "ENOENT" });
    const gone = AbortSignal.abort(new Error("client left"));
    const fields = { filename: "a", purpose: "batch", extra: [], sha256: "" };
    const content = new Blob(["x"]);
    expect(await refusal(backend.uploadFile({ ...fields, content }, gone))).toEqual(
      new Error("client left"),
    );
    expect(listStored()).toHaveLength(1);
  });

  test("answers 507 when the disk is full, and 500 when it may not write", () => {
    const full = refusalOf(() => writeFileSync("/dev/full", "x"));
    expect(explainWriteError("upload file", full)).toMatchObject({
      status: 507,
      retry: false,
      message: expect.stringContaining("disk is full"),
    });
    const forbidden = Object.assign(new Error("no"), { code: "EACCES" });
    const explained = explainWriteError("upload file", forbidden);
    expect(explained).toBeInstanceOf(ApiError);
    expect(explained).toMatchObject({ status: 500, cause: forbidden });
    const other = new Error("other");
    expect(explainWriteError("upload file", other)).toBe(other);
  });
});

function refusalOf(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("Nothing was refused");
}

describe("readFile()", () => {
  test.each([
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-30", "0123456789", "bytes 0-9/10"],
    ["bytes=9-99", "9", "bytes 9-9/10"],
    ["bytes=0-0", "0", "bytes 0-0/10"],
  ])("answers %s with 206 and that part", async (range, text, place_) => {
    const backend = place.start();
    const { id } = await upload(backend, { content: new Blob(["0123456789"]) });
    const content = await backend.readFile(id, range, never);
    expect(content.status).toBe(206);
    expect(content.headers).toMatchObject({
      "content-range": place_,
      "content-length": String(text.length),
    });
    expect(new TextDecoder().decode(await read(content))).toBe(text);
  });

  test.each(["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=a-b", "bytes=--1"])(
    "answers %s, which it does not understand, with the whole file",
    async (range) => {
      const backend = place.start();
      const { id } = await upload(backend, { content: new Blob(["0123456789"]) });
      const content = await backend.readFile(id, range, never);
      expect(content.status).toBeUndefined();
      expect(content.headers["content-length"]).toBe("10");
    },
  );

  test.each(["bytes=10-", "bytes=10-12", "bytes=-0", `bytes=${"9".repeat(400)}-`])(
    "answers %s with 416 and the size",
    async (range) => {
      const backend = place.start();
      const { id } = await upload(backend, { content: new Blob(["0123456789"]) });
      expect(await refusal(backend.readFile(id, range, never))).toMatchObject({
        status: 416,
        headers: { "content-range": "bytes */10" },
      });
    },
  );

  test.each([
    ["train.jsonl", 'attachment; filename="train.jsonl"'],
    [
      'für "O\'Neil".jsonl',
      `attachment; filename="f_r _O'Neil_.jsonl"; filename*=UTF-8''f%C3%BCr%20%22O%27Neil%22.jsonl`,
    ],
    ["a\r\nb: c", `attachment; filename="a__b: c"; filename*=UTF-8''a%0D%0Ab%3A%20c`],
    ["\ud800", `attachment; filename="_"; filename*=UTF-8''%EF%BF%BD`],
  ])("names the download %j for every client", async (filename, disposition) => {
    const backend = place.start();
    const { id } = await upload(backend, { filename });
    const { headers } = await backend.readFile(id, undefined, never);
    expect(headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": disposition,
    });
    // No header of it may break an answer.
    expect(new Headers(headers).get("content-disposition")).toBe(disposition);
  });
});

describe("listFiles()", () => {
  test("orders by time either way, filters by purpose and starts after an id", async () => {
    const backend = place.start();
    const files = [];
    for (let index = 0; index < 5; index += 1) {
      files.push(await upload(backend, { purpose: index % 2 === 0 ? "fine-tune" : "batch" }));
    }
    const [a = "", b = "", c = "", d = "", e = ""] = files.map(({ id }) => id);
    const list = async (query: object) =>
      (await collect(backend.listFiles({ limit: 2, order: "desc", ...query }, never))).map(
        ({ id }) => id,
      );
    expect(await list({})).toEqual([e, d, c, b, a]);
    expect(await list({ order: "asc" })).toEqual([a, b, c, d, e]);
    expect(await list({ purpose: "batch" })).toEqual([d, b]);
    expect(await list({ after: d })).toEqual([c, b, a]);
    expect(await list({ order: "asc", after: d })).toEqual([e]);
    expect(await list({ after: d, purpose: "batch" })).toEqual([b]);
    expect(await list({ after: a })).toEqual([]);
    expect(backend.cursors).toContain("files");
  });

  test("answers 404 for an unknown after", async () => {
    const backend = place.start();
    await upload(backend);
    for (const after of ["file-unknown", `file-${"0".repeat(24)}`, "../files"]) {
      const list = backend.listFiles({ limit: 10, order: "desc", after }, never);
      expect(await refusal(collect(list))).toMatchObject({
        status: 404,
        message: `No such File object: ${after}`,
      });
    }
  });

  test("is empty before the first upload, and makes no directory", async () => {
    const backend = place.start();
    expect(await collect(backend.listFiles({ limit: 10, order: "asc" }, never))).toEqual([]);
    await backend.close();
    expect(() => readdirSync(place.path)).toThrow();
  });
});

describe("ids from outside", () => {
  test("are no paths", async () => {
    const backend = place.start();
    const { id } = await upload(backend);
    const wrong = [
      "",
      ".",
      "..",
      "../files",
      `../files/${id}`,
      `${id}/content`,
      `${id}/../${id}`,
      `${id}\0`,
      `${id}\n`,
      id.toUpperCase(),
      "file-",
      `/etc/passwd`,
      "file-..%2f..%2fetc%2fpasswd00",
      "x".repeat(100_000),
    ];
    for (const text of wrong) {
      const expected = { status: 404, message: `No such File object: ${text}` };
      expect(await refusal(backend.getFile(text, never))).toMatchObject(expected);
      expect(await refusal(backend.readFile(text, undefined, never))).toMatchObject(expected);
      expect(await refusal(backend.deleteFile(text, never))).toMatchObject(expected);
      expect(await refusal(backend.getJob(text, never))).toMatchObject({
        status: 404,
        code: "fine_tune_not_found",
      });
      expect(await refusal(backend.cancelJob(text, never))).toMatchObject({ status: 404 });
      const events = backend.listJobEvents(text, { limit: 1 }, never);
      expect(await refusal(collect(events))).toMatchObject({ status: 404 });
    }
    expect(await backend.getFile(id, never)).toMatchObject({ id });
  });
});

describe("deleteFile()", () => {
  test("removes the file for good, once", async () => {
    const backend = place.start();
    const { id } = await upload(backend);
    const other = await upload(backend);
    await backend.deleteFile(id, never);
    const gone = { status: 404, param: "id", message: `No such File object: ${id}` };
    expect(await refusal(backend.getFile(id, never))).toMatchObject(gone);
    expect(await refusal(backend.deleteFile(id, never))).toMatchObject(gone);
    expect(listStored()).toEqual([other.id]);
  });

  test("of two at once succeeds once", async () => {
    const backend = place.start();
    const { id } = await upload(backend);
    const ends = await Promise.allSettled([
      backend.deleteFile(id, never),
      backend.deleteFile(id, never),
    ]);
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("refuses a file that an unfinished job uses, and takes it when the job is over", async () => {
    const backend = place.start({
      options: { trainer: await writeTrainer(place, endlessTrainer) },
    });
    const validation = await upload(backend);
    const job = await createJob(backend, { validation_file: validation.id });
    await waitForStatus(backend, job.id, "running");
    // The instance that serves files only knows of the job, too.
    const filesOnly = place.start({ serves: { files: true, jobs: false } });
    for (const id of [job.training_file, validation.id]) {
      expect(await refusal(filesOnly.deleteFile(id, never))).toMatchObject({
        status: 400,
        param: "id",
        message: expect.stringContaining(job.id),
      });
    }
    await backend.cancelJob(job.id, never);
    await filesOnly.deleteFile(job.training_file, never);
    await filesOnly.deleteFile(validation.id, never);
  });
});

describe("expires_after", () => {
  test("is shown, and after it the file is gone from the disk", async () => {
    const backend = place.start();
    const file = await upload(backend, { expires_after: { anchor: "created_at", seconds: 3600 } });
    expect(file.expires_at).toBe(file.created_at + 3600);
    const kept = await upload(backend);
    expire(file.id);
    expect(await refusal(backend.getFile(file.id, never))).toMatchObject({ status: 404 });
    expect(listStored()).toEqual([kept.id]);
  });

  test("removes files that nobody asks for at the next start", async () => {
    const backend = place.start();
    const file = await upload(backend, { expires_after: { anchor: "created_at", seconds: 3600 } });
    await backend.close();
    expire(file.id);
    place.start();
    await waitFor(() => readdirSync(join(place.path, "files")).length === 0);
  });

  test("does not take the training data from a job that began before", async () => {
    const wait = `while (!existsSync("enough")) await Bun.sleep(5);
      if (readFileSync(job.training_file, "utf8").split("\\n").length < 10) process.exit(1);`;
    const trainer = await writeTrainer(place, `${wait} ${quickTrainer}`);
    const backend = place.start({ options: { trainer } });
    const { id } = await upload(backend, {
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    const job = await backend.createJob({ model: "tiny-lm", training_file: id }, never);
    await waitForStatus(backend, job.id, "running");
    expire(id);
    expect(await refusal(backend.getFile(id, never))).toMatchObject({ status: 404 });
    writeFileSync(join(place.path, "jobs", job.id, "enough"), "");
    await waitForStatus(backend, job.id, "succeeded");
  });

  // The clock is the one thing that a test cannot wait for.
  function expire(id: string): void {
    const path = join(place.path, "files", id, "file.json");
    const fields = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...fields, expires_at: 1_000_000_000 }));
  }
});

describe("a start", () => {
  test("removes what a crash has left, and neither files nor what this process is writing", async () => {
    const left = join(place.path, "temporary", "earlier", `file-${"0".repeat(24)}`);
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, "content"), "half");
    truncateSync(join(left, "content"), 2);
    const first = place.start();
    const { id } = await upload(first);
    let release = () => {};
    const slow = new Blob(["x"]);
    slow.stream = () =>
      new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("slow"));
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          controller.close();
        },
      });
    const uploading = upload(first, { content: slow });
    const second = place.start({ serves: { files: true, jobs: false } });
    await waitFor(() => readdirSync(join(place.path, "temporary")).length === 1);
    release();
    const slowFile = await uploading;
    const list = await collect(second.listFiles({ limit: 10, order: "asc" }, never));
    expect(list.map((file) => file.id)).toEqual([id, slowFile.id]);
  });
});
