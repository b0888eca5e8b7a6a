import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { makeContent, sha256 } from "./content.ts";
import {
  makeForm,
  makeHead,
  openConnection,
  type Place,
  requestLines,
  startPlace,
  waitFor,
} from "./support.ts";

// Files that are passed on while they still come.

let place: Place;
beforeEach(async () => {
  place = await startPlace();
});
afterEach(() => place.stop());

const boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
// With what looks nearly like the end of the file.
const content = Buffer.concat([
  makeContent(1_500_000),
  Buffer.from(`\r\n--${boundary.slice(0, -1)}\r\n--${boundary.slice(1)}--\r\n`),
  makeContent(1_500_000, 2),
]);

type Part = readonly [name: string, value: string] | "file";

/** A form's bytes, with `ending` after the last boundary. */
function encode(parts: readonly Part[], ending = "\r\n"): Buffer {
  const encoded = parts.map((part) => {
    const disposition = `--${boundary}\r\nContent-Disposition: form-data;`;
    if (part !== "file")
      return Buffer.from(`${disposition} name="${part[0]}"\r\n\r\n${part[1]}\r\n`);
    const head = `${disposition} name="file"; filename="a b.jsonl"\r\nContent-Type: text/plain\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), content, Buffer.from("\r\n")]);
  });
  return Buffer.concat([...encoded, Buffer.from(`--${boundary}--${ending}`)]);
}

const Answer = v.object({ id: v.optional(v.string()), error: v.optional(v.looseObject({})) });

async function send(body: Uint8Array, path = "/fake/v1/files", type = boundary) {
  const response = await fetch(`${place.gateway.url}${path}`, {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${type}` },
    body,
  });
  const { id, error } = v.parse(Answer, await response.json());
  return { status: response.status, retry: response.headers.get("x-should-retry"), id, error };
}

/** What comes back to a client that closes its connection then. */
async function sendAlone(body: Uint8Array): Promise<string> {
  const connection = openConnection(place.gateway.url);
  const type = `multipart/form-data; boundary=${boundary}`;
  connection.write(makeHead("/fake/v1/files", type, body.length));
  connection.write(body);
  await waitFor(() => requestLines(place.gateway, "/fake/v1/files").length === 1);
  await Bun.sleep(20);
  connection.leave();
  return await connection.received;
}

function spoolIsEmpty(): boolean {
  const path = join(place.gateway.dataDirectory, "spool");
  return !existsSync(path) || readdirSync(path).length === 0;
}

/** The SHA-256 that the ledger has of each file. */
function knownHashes(): unknown[] {
  const ledger = new Database(join(place.gateway.dataDirectory, "ledger.sqlite"));
  const rows = ledger.query("SELECT sha256 FROM objects WHERE kind = 'file'").values();
  ledger.close();
  return rows.flat();
}

const purpose = ["purpose", "fine-tune"] as const;
const anchor = ["expires_after[anchor]", "created_at"] as const;
const seconds = ["expires_after[seconds]", "3600"] as const;
const hint = ["custom_llm_provider", "fake"] as const;

test("reaches the service before the client has sent all of it, and no disk", async () => {
  const body = encode([purpose, "file"]);
  const { type } = makeForm(Buffer.alloc(0));
  const connection = openConnection(place.gateway.url);
  const ownType = type.replace(/boundary=.*/, `boundary=${boundary}`);
  connection.write(makeHead("/fake/v1/files", ownType, body.length));
  connection.write(body.subarray(0, 2_000_000));
  await waitFor(() => place.fake.countOpenConnections() === 1);
  expect(spoolIsEmpty()).toBeTrue();
  connection.write(body.subarray(2_000_000));
  expect(await connection.received).toStartWith("HTTP/1.1 200");
  expect(knownHashes()).toEqual([sha256(content)]);
});

describe("arrives byte by byte as it was sent, with all fields,", () => {
  const forms: readonly (readonly [string, readonly Part[]])[] = [
    ["the file first", ["file", purpose]],
    ["the file in the middle", [purpose, "file", anchor, seconds]],
    ["the file last", [anchor, seconds, purpose, "file"]],
    ["a hint before it", [hint, purpose, "file"]],
    ["a hint as the last field", [purpose, "file", hint]],
    ["a hint between fields", ["file", hint, purpose, anchor, seconds]],
  ];
  const endings = ["", "\r\n", "\r\nwhat nobody reads"];
  const cases = forms.flatMap(([name, parts]) => endings.map((end) => [name, end, parts] as const));

  test.each(cases)("%s, ending with %j", async (_, ending, parts) => {
    const { status } = await send(encode(parts, ending));
    expect(status).toBe(200);
    const [file] = [...place.fake.state.files.values()];
    expect(file && sha256(file.content)).toBe(sha256(content));
    expect(file?.object).toMatchObject({ filename: "a b.jsonl", purpose: "fine-tune" });
    const expires = parts.includes(anchor) ? expect.any(Number) : null;
    expect(file?.object.expires_at ?? null).toEqual(expires);
    expect(String(place.fake.requests[0]?.body)).not.toContain("custom_llm_provider");
    expect(knownHashes()).toEqual([sha256(content)]);
  });

  test("eight at once", async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, async () => (await send(encode(["file", purpose]))).id ?? ""),
    );
    const hashes = ids.map((id) => place.fake.state.files.get(id)?.content ?? Buffer.alloc(0));
    expect(hashes.map(sha256)).toEqual(ids.map(() => sha256(content)));
  });

  test("with a boundary in quotes", async () => {
    expect((await send(encode([purpose, "file"]), undefined, `"${boundary}"`)).status).toBe(200);
  });

  test("however it is split on its way", async () => {
    const body = encode(["file", hint, purpose]);
    // Where the file ends, at every byte.
    const around = Array.from({ length: 60 }, (_, index) => content.length + 120 + index);
    const cuts = [1, 7, 100, 65_536, ...around, body.length - 3];
    for (const cut of cuts) {
      const pieces = new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(body.subarray(0, cut));
          await Bun.sleep(5);
          controller.enqueue(body.subarray(cut));
          controller.close();
        },
      });
      const response = await fetch(`${place.gateway.url}/fake/v1/files`, {
        method: "POST",
        headers: {
          "content-type": `multipart/form-data; boundary=${boundary}`,
          "content-length": String(body.length),
        },
        body: pieces,
      });
      expect(await response.text()).toContain(`"bytes":${content.length}`);
    }
    const hashes = [...place.fake.state.files.values()].map((file) => sha256(file.content));
    expect(hashes).toEqual(cuts.map(() => sha256(content)));
  });
});

describe("what is found wrong after the file leaves nothing at the service:", () => {
  const wrong: readonly (readonly [string, readonly Part[], string])[] = [
    ["no purpose", ["file"], "purpose"],
    ["two purposes", [purpose, "file", purpose], "purpose"],
    ["an expiry that is no number", [purpose, "file", anchor, [seconds[0], "soon"]], seconds[0]],
    ["two hints", [hint, purpose, "file", hint], hint[0]],
    ["two files", [purpose, "file", "file"], "file"],
  ];

  test.each(wrong)("%s", async (_, parts, param) => {
    const answer = await sendAlone(encode(parts));
    expect(answer).toStartWith("HTTP/1.1 400");
    expect(answer).toContain(`"param":"${param}"`);
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a line of the file that begins with the boundary", async () => {
    const body = encode([purpose, "file"]);
    body.write(`\r\n--${boundary}x`, 2_000_000);
    expect(await sendAlone(body)).toContain("begins with the boundary of its own form");
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a form that goes on after its end", async () => {
    const answer = await sendAlone(encode([purpose, "file"], `\r\n${" ".repeat(100_000)}`));
    expect(answer).toContain("it goes on after its end");
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a file that is too large", async () => {
    await place.stop();
    place = await startPlace({ maxFileMegabytes: 2 });
    expect(await sendAlone(encode(["file", purpose]))).toStartWith("HTTP/1.1 413");
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a form that is cut off", async () => {
    const whole = encode([purpose, "file"]);
    const cut = await send(whole.subarray(0, whole.length - 20));
    expect(cut).toMatchObject({
      status: 400,
      error: { message: expect.stringContaining("cut off") },
    });
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a client that goes away", async () => {
    const body = encode([purpose, "file"]);
    const connection = openConnection(place.gateway.url);
    connection.write(
      makeHead("/fake/v1/files", `multipart/form-data; boundary=${boundary}`, body.length),
    );
    connection.write(body.subarray(0, 2_000_000));
    await waitFor(() => place.fake.countOpenConnections() === 1);
    connection.leave();
    await waitFor(() => place.fake.countOpenConnections() === 0);
    await waitFor(() => requestLines(place.gateway, "/fake/v1/files").length === 1);
    expect(place.fake.state.files.size).toBe(0);
  });

  test("a client that sends nothing more is a 408 that SDKs may repeat", async () => {
    await place.stop();
    place = await startPlace({ idleSeconds: 1 });
    const body = encode([purpose, "file"]);
    const connection = openConnection(place.gateway.url);
    connection.write(
      makeHead("/fake/v1/files", `multipart/form-data; boundary=${boundary}`, body.length),
    );
    connection.write(body.subarray(0, 2_000_000));
    const answer = await connection.received;
    expect(answer).toStartWith("HTTP/1.1 408");
    expect(answer).not.toContain("x-should-retry: false");
    expect(place.fake.state.files.size).toBe(0);
  });
});

test("a client that is slower than the service's timeout is no failure of the service", async () => {
  await place.stop();
  place = await startPlace({ timeout: 0.3 });
  const body = encode([purpose, "file"]);
  const connection = openConnection(place.gateway.url);
  connection.write(
    makeHead("/fake/v1/files", `multipart/form-data; boundary=${boundary}`, body.length),
  );
  connection.write(body.subarray(0, 2_000_000));
  await Bun.sleep(1000);
  connection.write(body.subarray(2_000_000));
  expect(await connection.received).toStartWith("HTTP/1.1 200");
});
