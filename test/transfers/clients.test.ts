import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { toFile } from "openai";
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

// Clients that leave, rest or stop in the middle of an upload.

let place: Place;
beforeEach(async () => {
  place = await startPlace();
});
afterEach(() => place.stop());

const content = makeContent(16 * 1024 * 1024);
const { type, body } = makeForm(content);

function spooledFiles(): readonly string[] {
  const spool = join(place.gateway.dataDirectory, "spool");
  return existsSync(spool) ? readdirSync(spool) : [];
}

/** Sends the whole of an upload and returns its connection. */
function sendUpload(path: string, form = { type, body }) {
  const connection = openConnection(place.gateway.url);
  connection.write(makeHead(path, form.type, form.body.length));
  connection.write(form.body);
  return connection;
}

describe("an upload", () => {
  test("of unknown length arrives byte for byte", async () => {
    const { gateway, fake } = place;
    const connection = openConnection(gateway.url);
    connection.write(makeHead("/v1/files", type));
    for (let at = 0; at < body.length; at += 3_333_333) {
      const piece = body.subarray(at, at + 3_333_333);
      connection.write(`${piece.length.toString(16)}\r\n`);
      connection.write(piece);
      connection.write("\r\n");
    }
    connection.write("0\r\n\r\n");
    expect(await connection.received).toContain(`"bytes":${content.length}`);
    const [file] = fake.state.files.values();
    expect(sha256(file?.content ?? Buffer.alloc(0))).toBe(sha256(content));
  });

  test("that is too large is a 413 at once where its length tells, else in its middle", async () => {
    const { gateway, fake } = place;
    const early = openConnection(gateway.url);
    early.write(makeHead("/v1/files", type, 600 * 1024 * 1024));
    await waitFor(() => requestLines(gateway, "/v1/files").length > 0);
    early.leave();
    const path = `/v1/uploads/upload_1/parts`;
    const late = openConnection(gateway.url);
    late.write(makeHead(path, type));
    const part = makeForm(Buffer.alloc(65 * 1024 * 1024), "data").body;
    late.write(`${(part.length + 1).toString(16)}\r\n`);
    late.write(part);
    await waitFor(() => requestLines(gateway, path).length > 0);
    late.leave();
    for (const received of [await early.received, await late.received]) {
      expect(received).toStartWith("HTTP/1.1 413 ");
      expect(received).toContain('"code":"file_too_large"');
    }
    expect(fake.requests).toEqual([]);
  });
});

describe("a client that leaves", () => {
  test.each(["a known length", "chunks"])(
    "in the middle of its upload of %s leaves nothing but one line in the log",
    async (framing) => {
      const { gateway, fake } = place;
      const connection = openConnection(gateway.url);
      const half = body.subarray(0, body.length / 2);
      if (framing === "chunks") {
        connection.write(makeHead("/v1/files", type));
        connection.write(`${half.length.toString(16)}\r\n`);
      } else connection.write(makeHead("/v1/files", type, body.length));
      connection.write(half);
      await waitFor(() => spooledFiles().length === 1);
      connection.leave();
      await waitFor(() => requestLines(gateway, "/v1/files").length > 0);
      expect(spooledFiles()).toEqual([]);
      expect(gateway.logLines).toHaveLength(1);
      expect(requestLines(gateway, "/v1/files")).toMatchObject([{ status: 499 }]);
      expect(fake.requests).toEqual([]);
    },
  );

  test("while its file is being sent ends the sending, and nothing is stored", async () => {
    const { gateway, fake } = place;
    fake.inject({ takes: 1_000_000, hang: true });
    const connection = sendUpload("/v1/files");
    await waitFor(() => fake.requests.length === 1);
    connection.leave();
    await waitFor(() => fake.countOpenConnections() === 0);
    await waitFor(() => requestLines(gateway, "/v1/files").length > 0);
    expect(gateway.logLines).toHaveLength(1);
    expect(requestLines(gateway, "/v1/files")).toMatchObject([{ status: 499 }]);
    expect(spooledFiles()).toEqual([]);
    expect(fake.state.files.size).toBe(0);
  });

  test("when its file has been sent leaves a file that is known by its id", async () => {
    const { gateway, fake, other } = place;
    fake.inject({ delay: 200 });
    const connection = sendUpload("/v1/files");
    await waitFor(() => fake.requests.length === 1);
    connection.leave();
    await waitFor(() => requestLines(gateway, "/v1/files").length > 0);
    expect(requestLines(gateway, "/v1/files")).toMatchObject([{ status: 200 }]);
    const [file] = fake.state.files.values();
    expect(sha256(file?.content ?? Buffer.alloc(0))).toBe(sha256(content));
    const known = await gateway.client.files.retrieve(file?.object.id ?? "");
    expect(known.bytes).toBe(content.length);
    expect(other.requests).toEqual([]);
  });

  test("while a part is being sent ends the sending, and the part can be sent again", async () => {
    const { gateway, fake } = place;
    const upload = await gateway.client.uploads.create({
      filename: "a.jsonl",
      purpose: "fine-tune",
      bytes: content.length,
      mime_type: "text/jsonl",
    });
    fake.inject({ takes: 1_000_000, hang: true });
    const path = `/v1/uploads/${upload.id}/parts`;
    const connection = sendUpload(path, makeForm(content, "data"));
    await waitFor(() => fake.requests.length === 2);
    connection.leave();
    await waitFor(() => requestLines(gateway, path).length > 0);
    expect(requestLines(gateway, path)).toMatchObject([{ status: 499 }]);
    expect(fake.state.uploads.get(upload.id)?.parts.size).toBe(0);
    const data = await toFile(content, "part");
    const part = await gateway.client.uploads.parts.create(upload.id, { data });
    const done = await gateway.client.uploads.complete(upload.id, { part_ids: [part.id] });
    const stored = fake.state.files.get(done.file?.id ?? "");
    expect(sha256(stored?.content ?? Buffer.alloc(0))).toBe(sha256(content));
  });

  test("during an upload to the local backend leaves a whole file or none", async () => {
    const { gateway } = place;
    const answered = () => requestLines(gateway, "/local/v1/files").length;
    for (const [before, rest] of [0, 5, 20].entries()) {
      const connection = sendUpload("/local/v1/files");
      await waitFor(() => spooledFiles().length > 0 || answered() > before);
      await Bun.sleep(rest);
      connection.leave();
      await waitFor(() => answered() > before);
    }
    const directory = join(gateway.dataDirectory, "backends/local");
    const stored = existsSync(directory) ? readdirSync(directory, { recursive: true }) : [];
    for (const name of stored.map(String).filter((path) => path.endsWith("content"))) {
      expect(name).toMatch(/^files\//);
      expect(sha256(await Bun.file(join(directory, name)).bytes())).toBe(sha256(content));
    }
  });
});

describe("a client that is slow", () => {
  beforeEach(async () => {
    await place.stop();
    place = await startPlace({ idleSeconds: 1 });
  });

  test("is heard to the end, and gets a 408 once it is silent, and nothing is left", async () => {
    const { gateway, fake } = place;
    const small = makeForm(content.subarray(0, 3_000_000));
    const slow = openConnection(gateway.url);
    const silent = openConnection(gateway.url);
    slow.write(makeHead("/v1/files", small.type, small.body.length));
    silent.write(makeHead("/v1/files", small.type, small.body.length));
    for (let at = 0; at < small.body.length; at += 500_000) {
      const piece = small.body.subarray(at, at + 500_000);
      slow.write(piece);
      if (at < 2_000_000) silent.write(piece);
      await Bun.sleep(200);
    }
    expect(await slow.received).toContain(`"bytes":3000000`);
    const refused = await silent.received;
    expect(refused).toStartWith("HTTP/1.1 408 ");
    expect(refused).toContain('"code":"request_timeout"');
    expect(spooledFiles()).toEqual([]);
    expect(fake.state.files.size).toBe(1);
  });
});
