import { afterEach, describe, expect, test } from "bun:test";
import { Deadline } from "../../src/upstream/deadline.ts";
import { createSocketTransport } from "../../src/upstream/http/sockets.ts";
import type { Incoming } from "../../src/upstream/http/transport.ts";
import { catchError } from "../support/gateway.ts";
import {
  exchange,
  makeAnswer,
  makeGet,
  makePost,
  never,
  type RawServer,
  readStream,
  type ServedConnection,
  settle,
  startRawServer,
  transports,
  waitFor,
} from "./support.ts";

// Bodies of answers: how they come, how they are packed, and how much of one is kept.

const megabyte = 1024 * 1024;
const gzip = "content-encoding: gzip\r\n";

let server: RawServer | undefined;
afterEach(() => {
  server?.stop();
  server = undefined;
});

/** Starts a server that answers every request with what `answer` writes. */
function start(answer: (connection: ServedConnection, head: string) => void): RawServer {
  server = startRawServer({ onRequest: ({ head }, connection) => answer(connection, head) });
  return server;
}

/** The ways to read a body. */
const readers = [
  ["text", (answer: Incoming) => answer.text(10 * megabyte)],
  ["stream", readStream],
] as const;

describe.each(transports)("an answer over %s", (name, createTransport) => {
  describe.each(readers)("read as %s", (_, read) => {
    test("is the same when it comes in pieces", async () => {
      const bytes = makeAnswer("one two", "", "201 Created");
      const { url, connections } = start(async (connection) => {
        for (const byte of bytes) {
          connection.write(Uint8Array.of(byte));
          await Bun.sleep(0);
        }
      });
      const transport = createTransport(url);
      for (let round = 0; round < 2; round += 1) {
        const text = await exchange(transport, makeGet(), async (answer) => {
          expect(answer.status).toBe(201);
          return await read(answer);
        });
        expect(text).toBe("one two");
      }
      expect(connections).toHaveLength(1);
    });

    test.each([0, 1, 65_536, 300_000, 5 * megabyte])("of %i bytes comes whole", async (length) => {
      const body = Buffer.alloc(length, "0123456789");
      const { url, connections } = start((connection) => connection.write(makeAnswer(body)));
      const transport = createTransport(url);
      for (let round = 0; round < 4; round += 1) {
        const text = await exchange(transport, makeGet(), async (answer) => {
          // It comes before anybody reads it, or meanwhile.
          await Bun.sleep(round * 5);
          return await read(answer);
        });
        expect(Bun.hash(text)).toBe(Bun.hash(body));
      }
      expect(connections).toHaveLength(1);
    });

    test.each(["Jürg 😀", "x".repeat(3 * megabyte), ""])("is unpacked", async (text) => {
      const { url, requests } = start((connection) =>
        connection.write(makeAnswer(Bun.gzipSync(Buffer.from(text)), gzip)),
      );
      const transport = createTransport(url);
      for (let round = 1; round <= 2; round += 1) {
        expect(await exchange(transport, makeGet(), read)).toBe(text);
        expect(requests).toHaveLength(round);
      }
    });

    const whole = Bun.gzipSync(Buffer.from("a text that is packed ".repeat(1000)));
    test.each([
      ["cut off", whole.subarray(0, -20)],
      ["not packed", Buffer.from("just a text")],
      ["changed", Buffer.from(whole).fill(255, 20, 30)],
    ])("fails where its packed bytes are %s", async (_, bytes) => {
      const { url } = start((connection) => connection.write(makeAnswer(bytes, gzip)));
      await catchError(() => exchange(createTransport(url), makeGet(), read));
    });

    test("fails where it is cut off", async () => {
      const { url } = start((connection) => {
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        connection.end();
      });
      for (const request of [makeGet(), makePost()]) {
        const error = await catchError(() => exchange(createTransport(url), request, read));
        expect(error).toMatchObject({ code: "ECONNRESET" });
      }
    });

    // Of an answer without a length, Bun's fetch takes what has come for the whole.
    const framings = ["content-length: 100\r\n", "transfer-encoding: chunked\r\n"];
    test.each(name === "sockets" ? [...framings, ""] : framings)(
      "fails where its connection breaks off (%j)",
      async (line) => {
        const { url } = start((connection) => {
          connection.write(`HTTP/1.1 200 OK\r\n${line}\r\n4\r\nhalf`);
          setTimeout(() => connection.reset(), 20);
        });
        const error = await catchError(() => exchange(createTransport(url), makeGet(), read));
        expect(error).toMatchObject({ code: "ECONNRESET" });
      },
    );

    test("ends with its connection where it has no length", async () => {
      const { url, requests } = start((connection) => {
        connection.write("HTTP/1.1 200 OK\r\n\r\nall there is");
        connection.end();
      });
      const transport = createTransport(url);
      for (let round = 1; round <= 2; round += 1) {
        expect(await exchange(transport, makeGet(), read)).toBe("all there is");
        expect(requests).toHaveLength(round);
      }
    });
  });

  test("of more bytes than are wanted is a RangeError, and its connection is gone", async () => {
    const { url, connections } = start((connection, head) => {
      if (!head.startsWith("GET /chunks")) return connection.write(makeAnswer("x".repeat(1001)));
      connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      connection.write(`fffff\r\n${"x".repeat(700_000)}`);
    });
    const transport = createTransport(url);
    for (const path of ["/", "/chunks"]) {
      const call = () => exchange(transport, makeGet(path), (answer) => answer.text(1000));
      expect(await catchError(call)).toBeInstanceOf(RangeError);
    }
    await waitFor(() => connections.at(-1)?.isClosed === true);
    expect(await exchange(transport, makeGet(), (answer) => answer.text(1001))).toHaveLength(1001);
  });

  test("that is small packed and large unpacked is a RangeError", async () => {
    const bomb = Bun.gzipSync(new Uint8Array(100 * megabyte));
    const { url } = start((connection) => connection.write(makeAnswer(bomb, gzip)));
    const call = () => exchange(createTransport(url), makeGet(), (answer) => answer.text(megabyte));
    expect(await catchError(call)).toBeInstanceOf(RangeError);
  });

  test("that nobody reads is not taken from the service, and comes when it is read", async () => {
    const body = Buffer.alloc(64 * megabyte, "x");
    const { url, connections } = start((connection) => connection.write(makeAnswer(body)));
    const deadline = new Deadline(60, never);
    const answer = await createTransport(url)(makeGet(), deadline);
    const reader = answer.stream().getReader();
    let bytes = (await reader.read()).value?.length ?? 0;
    const written = await settle(() => connections[0]?.written ?? 0);
    // What the system itself keeps on both sides is the most of it.
    expect(written).toBeLessThan(32 * megabyte);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      bytes += next.value.length;
    }
    deadline.end();
    expect(bytes).toBe(body.length);
  });

  test("has its headers by their names, with those that are repeated", async () => {
    const { url } = start((connection) =>
      connection.write(makeAnswer("ok", "X-Request-Id: a\r\nwarning: 1\r\nWarning: 2\r\n")),
    );
    const names = ["x-request-id", "warning", "content-length", "x-none"];
    const told = await exchange(createTransport(url), makeGet(), (answer) =>
      names.map((name) => `${answer.header(name)}`).join("|"),
    );
    expect(told).toBe("a|1, 2|2|null");
  });

  test.each([301, 302, 307, 308])("that redirects (%i) is not followed", async (status) => {
    const { url, requests } = start((connection) =>
      connection.write(makeAnswer("", "location: /other\r\n", `${status} Moved`)),
    );
    const told = await exchange(
      createTransport(url),
      makeGet(),
      (answer) => `${answer.status} ${answer.header("location")}`,
    );
    expect(told).toBe(`${status} /other`);
    expect(requests).toHaveLength(1);
  });
});

describe.each(["br", "gzip, gzip", "GZIPPED"])("an answer in the encoding %j", (encoding) => {
  const head = `HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: 3\r\n\r\n`;

  test.each(readers)("fails when it is read as %s", async (_, read) => {
    const { url } = start((connection) => connection.write(`${head}abc`));
    const error = await catchError(() => exchange(createSocketTransport(url), makeGet(), read));
    expect(error).toMatchObject({ code: "InvalidEncoding" });
  });

  test("is not waited for when it is read as a stream", async () => {
    const { url, connections } = start((connection) => connection.write(`${head}a`));
    const deadline = new Deadline(60, never);
    const answer = await createSocketTransport(url)(makeGet(), deadline);
    expect(() => answer.stream()).toThrow("encoded as");
    await waitFor(() => connections[0]?.isClosed === true);
    deadline.end();
  });
});
