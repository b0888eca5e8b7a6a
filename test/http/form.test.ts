import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ApiError } from "../../src/errors.ts";
import { type Form, readForm } from "../../src/http/form.ts";
import { makeDirectory } from "../support/directory.ts";
import { expectNoUploads } from "../support/open-files.ts";

let directory: ReturnType<typeof makeDirectory>;
let spoolDirectory: string;

beforeEach(() => {
  directory = makeDirectory();
  spoolDirectory = join(directory.path, "spool");
});
afterEach(async () => {
  await expectNoUploads(directory.path);
  directory.remove();
});

const boundary = "----formdata-undici-074299136741";

function encode(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
}

function part(disposition: string, content: string | Uint8Array, type?: string): Uint8Array {
  const contentType = type === undefined ? "" : `\r\nContent-Type: ${type}`;
  return encode(
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}${contentType}\r\n\r\n`,
    content,
    "\r\n",
  );
}

const end = encode(`--${boundary}--\r\n`);
const purpose = part('name="purpose"', "fine-tune");

function send(chunks: readonly Uint8Array[], headers: Record<string, string> = {}): Request {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) if (chunk.length > 0) controller.enqueue(chunk);
      controller.close();
    },
  });
  return new Request("http://localhost/v1/files", {
    method: "POST",
    body,
    headers: { "content-type": `multipart/form-data; boundary=${boundary}`, ...headers },
  });
}

async function read(request: Request, maxFileBytes = 10_000_000): Promise<Form> {
  return await readForm(request, {
    fileField: "file",
    maxFileBytes,
    idleSeconds: 5,
    spoolDirectory,
  });
}

async function readFailure(request: Request, maxFileBytes?: number): Promise<ApiError> {
  try {
    await read(request, maxFileBytes);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("the form was taken");
}

const nasty =
  `{"a":"héllo 🎉"}\r\n--${boundary.slice(0, -1)}\r\n\r\n--${boundary}x not at a line start`.replace(
    `--${boundary}x`,
    `-${boundary}x`,
  );

describe("readForm()", () => {
  test("reads the same form however its bytes are split, with the file first or last", async () => {
    const file = part('name="file"; filename="träin %22x%22.jsonl"', nasty, "application/jsonl");
    const nested = part('name="expires_after[seconds]"', "3600");
    for (const parts of [
      [file, purpose, nested],
      [purpose, nested, file],
    ]) {
      const bytes = encode(...parts, end);
      for (let split = 0; split <= bytes.length; split += 1) {
        const form = await read(send([bytes.slice(0, split), bytes.slice(split)]));
        expect(await form.file.content.text()).toBe(nasty);
        expect(form.file.filename).toBe('träin "x".jsonl');
        expect(form.file.content.type).toBe("application/jsonl");
        expect(form.fields).toEqual([
          ["purpose", "fine-tune"],
          ["expires_after[seconds]", "3600"],
        ]);
      }
    }
  });

  test("reads a form that comes byte by byte", async () => {
    const bytes = encode(part('name="file"; filename="a"', nasty), purpose, end);
    const form = await read(send(Array.from(bytes, (_, at) => bytes.slice(at, at + 1))));
    expect(await form.file.content.text()).toBe(nasty);
  });

  test("keeps large files on disk, readable by the owner alone, until discarded", async () => {
    const content = new Uint8Array(5_000_000);
    for (let at = 0; at < content.length; at += 1) content[at] = (at * 7) % 251;
    const bytes = encode(purpose, part('name="file"; filename="big"', content), end);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 65_000) chunks.push(bytes.slice(at, at + 65_000));
    const form = await read(send(chunks));
    const [name = ""] = readdirSync(spoolDirectory);
    expect(statSync(join(spoolDirectory, name)).mode & 0o777).toBe(0o600);
    for (let time = 0; time < 2; time += 1) {
      expect(Buffer.from(await form.file.content.arrayBuffer()).equals(content)).toBe(true);
    }
    await form.discard();
    expect(readdirSync(spoolDirectory)).toEqual([]);
  });

  test("takes an empty file", async () => {
    const form = await read(send([part('name="file"; filename="e"', ""), purpose, end]));
    expect(form.file.content.size).toBe(0);
  });

  test("keeps unknown fields, and takes the hint apart", async () => {
    const form = await read(
      send([
        part('name="a[b]"', "1"),
        part('name="custom_llm_provider"', "azure"),
        part('name="file"; filename="e"', "x"),
        end,
      ]),
    );
    expect(form.hint).toBe("azure");
    expect(form.fields).toEqual([["a[b]", "1"]]);
  });

  test("answers 400 to a form that is cut off anywhere, and leaves nothing on disk", async () => {
    const content = new Uint8Array(2_000_000).fill(65);
    const bytes = encode(part('name="file"; filename="a"', content), purpose, end);
    for (const cut of [10, 60, 500, 1_500_000, 2_000_050, bytes.length - 10]) {
      const failure = await readFailure(send([bytes.slice(0, cut)]));
      expect(failure.status).toBe(400);
      expect(failure.message).toContain("cut off");
    }
    expect(existsSync(spoolDirectory) ? readdirSync(spoolDirectory) : []).toEqual([]);
  });

  test("answers 400 to a body that is no form, has no boundary, or is empty", async () => {
    const json = await readFailure(send([], { "content-type": "application/json" }));
    expect(json.message).toBe(
      'Cannot read the body: it must be multipart/form-data, not "application/json"',
    );
    const bare = await readFailure(send([], { "content-type": "multipart/form-data" }));
    expect(bare.message).toBe("Cannot read the body: its content-type has no boundary");
    expect((await readFailure(send([]))).status).toBe(400);
    expect((await readFailure(send([encode("this is no form at all")]))).status).toBe(400);
  });

  test("answers 400 naming the field when the file is missing, double, misnamed or a string", async () => {
    const file = part('name="file"; filename="a"', "x");
    const cases: readonly (readonly [Uint8Array[], string, string])[] = [
      [[purpose, end], "file", "the file is missing"],
      [[file, file, purpose, end], "file", "two files"],
      [[part('name="data"; filename="a"', "x"), end], "data", 'must be in "file"'],
      [[part('name="file"', "text"), end], "file", "must be a file"],
      [[part('name="file"; filename=""', "x", "text/plain"), end], "file", "no filename"],
    ];
    for (const [chunks, param, message] of cases) {
      const failure = await readFailure(send(chunks));
      expect(failure).toMatchObject({ status: 400, param });
      expect(failure.message).toContain(message);
    }
  });

  test("refuses every part that it would otherwise have to pass over", async () => {
    const file = part('name="file"; filename="a"', "x");
    for (const [headers, message] of [
      ["Content-Disposition: form-data", "has no name"],
      ['Content-Disposition: form-data; name=""', "has no name"],
      ['Content-Disposition: attachment; name="purpose"', "lacks the header"],
      ["Content-Type: text/plain", "lacks the header"],
      ["", "lacks the header"],
      ['X-Broken\r\nContent-Disposition: form-data; name="a"', 'the header line "X-Broken"'],
      ['Content-Disposition: form-data; name="a"\nX: y', "the header line"],
      ['Content-Disposition: form-data; name="a"; name="b"', 'two parameters "name"'],
      ['Content-Disposition: form-data; name="a" b', "the disposition"],
      ['Content-Disposition: form-data; name="a\\"', "the disposition"],
      ['Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data', "two headers"],
      ['Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "base64"],
      ["Content-Disposition: form-data; name=f; filename*=latin1'x", "filename*"],
      [Buffer.from('Content-Disposition: form-data; name="\xff"', "latin1"), "not UTF-8"],
      [`X: ${"y".repeat(20_000)}`, "more than 16384 bytes"],
    ] as const) {
      const broken = encode(
        `--${boundary}\r\n`,
        headers,
        headers === "" ? "\r\n" : "\r\n\r\n",
        "v\r\n",
      );
      for (const chunks of [
        [file, broken, end],
        [broken, file, end],
      ]) {
        const failure = await readFailure(send(chunks));
        expect(failure.status).toBe(400);
        expect(failure.message).toContain(message);
      }
    }
    const hint = part('name="custom_llm_provider"', "a");
    expect((await readFailure(send([hint, hint, file, end]))).message).toContain("given twice");
    const latin = part('name="note"', Buffer.from("\xe9", "latin1"));
    expect(await readFailure(send([latin, file, end]))).toMatchObject({
      status: 400,
      param: "note",
    });
  });

  test("reads what clients may write: quoted boundary, preamble, padding, epilogue, escapes", async () => {
    const text = [
      "this is the preamble\r\n--almost\r\n",
      "--a b  \t\r\n",
      "content-disposition:form-data;name=purpose\r\n\r\nfine-tune",
      '\r\n--a b\r\nX-Other: 1\r\nContent-Disposition: form-data; name="file"; filename="q\\"b\\\\c%22.txt"\r\n\r\n',
      "line\r\n--a bc is content\r\n--a b-- is not\r\n",
    ];
    const whole = Buffer.from(
      text.join("").replace("--a b-- is not\r\n", "\r\n--a b--\r\nepilogue"),
    );
    for (let split = 0; split <= whole.length; split += 1) {
      const chunks = [whole.subarray(0, split), whole.subarray(split)];
      const form = await read(
        send(chunks, { "content-type": 'Multipart/Form-Data; charset=x; boundary="a b"' }),
      );
      expect(form.fields).toEqual([["purpose", "fine-tune"]]);
      expect(form.file.filename).toBe('q"b\\c".txt');
      expect(await form.file.content.text()).toBe("line\r\n--a bc is content\r\n");
    }
    const star = part("name=file; filename=x; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "x");
    expect((await read(send([star, end]))).file.filename).toBe("naïve €.txt");
  });

  test("answers 400 to a boundary that is too long or never comes", async () => {
    const long = { "content-type": `multipart/form-data; boundary=${"b".repeat(201)}` };
    expect((await readFailure(send([end], long))).message).toContain("more than 200 characters");
    const endless = Array.from({ length: 3 }, () => new Uint8Array(40_000));
    expect((await readFailure(send(endless))).message).toContain("its boundary does not come");
  });

  test("answers 408 when the client goes quiet, however long the whole takes, and removes the file", async () => {
    const bytes = encode(
      part('name="file"; filename="a"', new Uint8Array(2_000_000)),
      purpose,
      end,
    );
    const slow = (stopAt: number) =>
      new ReadableStream<Uint8Array>({
        async start(controller) {
          for (let at = 0; at < stopAt; at += 400_000) {
            controller.enqueue(bytes.slice(at, Math.min(at + 400_000, stopAt)));
            await Bun.sleep(60);
          }
          if (stopAt === bytes.length) controller.close();
        },
      });
    const request = (body: ReadableStream<Uint8Array>) =>
      new Request("http://localhost/", {
        method: "POST",
        body,
        headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
      });
    const limits = { fileField: "file", maxFileBytes: 5_000_000, idleSeconds: 0.2, spoolDirectory };
    const form = await readForm(request(slow(bytes.length)), limits);
    expect(form.file.content.size).toBe(2_000_000);
    await form.discard();
    const stalled = readForm(request(slow(1_800_000)), limits);
    expect(await stalled.catch((error) => error)).toMatchObject({ status: 408 });
    expect(readdirSync(spoolDirectory)).toEqual([]);
  });

  test("answers 413 by content-length before reading, and in the middle without it", async () => {
    const large = part('name="file"; filename="a"', new Uint8Array(3_000_000));
    const early = await readFailure(send([], { "content-length": "99999999999" }), 1000);
    expect(early.status).toBe(413);
    const late = await readFailure(send([large, end]), 2_000_000);
    expect(late).toMatchObject({ status: 413, param: "file" });
    expect(existsSync(spoolDirectory) ? readdirSync(spoolDirectory) : []).toEqual([]);
  });

  test("answers 400 to too many fields and to a field that is too large", async () => {
    const many = Array.from({ length: 101 }, (_, at) => part(`name="f${at}"`, "x"));
    expect((await readFailure(send([...many, end]))).message).toContain("more than 100 fields");
    const huge = await readFailure(send([part('name="h"', "x".repeat(70_000)), end]));
    expect(huge).toMatchObject({ status: 400, param: "h" });
  });
});
