import { describe, expect, test } from "bun:test";
import { type AnswerHead, createAnswerReader } from "../../src/upstream/http/answer-reader.ts";
import { catchError } from "../support/gateway.ts";

// What is made of the bytes of an answer, however they come.

interface Reading {
  readonly status: number;
  readonly heads: number;
  readonly body: string;
  /** Undefined where the answer has not ended. */
  readonly isReusable: boolean | undefined;
  /** What the end of the connection said. */
  readonly isEndedByClose: boolean | undefined;
  readonly header: AnswerHead["header"];
}

/** Reads pieces, then maybe the connection's end. */
function read(pieces: readonly Uint8Array[], isClosed = false): Reading {
  const heads: AnswerHead[] = [];
  const body: Buffer[] = [];
  const ends: boolean[] = [];
  const reader = createAnswerReader({
    onHead: (head) => heads.push(head),
    onBody: (bytes) => body.push(bytes),
    onEnd: (isReusable) => ends.push(isReusable),
  });
  for (const piece of pieces) reader.push(Buffer.from(piece));
  const isEndedByClose = isClosed ? reader.close() : undefined;
  expect(ends.length).toBeLessThanOrEqual(1);
  return {
    status: heads[0]?.status ?? 0,
    heads: heads.length,
    body: Buffer.concat(body).toString("latin1"),
    isReusable: ends[0],
    isEndedByClose,
    header: (name) => heads[0]?.header(name) ?? null,
  };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** The bytes whole, in two pieces split at every place, and one by one. */
function* splitEverywhere(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

const ok = "HTTP/1.1 200 OK\r\n";

interface Example {
  readonly text: string;
  readonly status: number;
  readonly body: string;
  readonly isReusable: boolean;
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Whether only the end of the connection ends it. */
  readonly isClosed?: boolean;
}

const examples: Readonly<Record<string, Example>> = {
  "a length": {
    text: `${ok}content-length: 5\r\nX-Id:  one two\t\r\n\r\nhello`,
    status: 200,
    body: "hello",
    isReusable: true,
    headers: { "x-id": "one two", "content-length": "5", "x-none": null, id: null },
  },
  "a length of 0": {
    text: `${ok}Content-Length: 0\r\n\r\n`,
    status: 200,
    body: "",
    isReusable: true,
  },
  "the same length twice": {
    text: `${ok}content-length: 2\r\nContent-Length: 2\r\n\r\nok`,
    status: 200,
    body: "ok",
    isReusable: true,
    headers: { "content-length": "2, 2" },
  },
  "the end of a head in its body": {
    text: `${ok}content-length: 8\r\n\r\n\r\n\r\n\r\n\r\n`,
    status: 200,
    body: "\r\n\r\n\r\n\r\n",
    isReusable: true,
  },
  chunks: {
    text: `${ok}Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n00B\r\nwide\r\nworld\r\n0\r\n\r\n`,
    status: 200,
    body: "hello wide\r\nworld",
    isReusable: true,
  },
  "chunks with extensions and trailers": {
    text: `${ok}transfer-encoding: chunked\r\n\r\n3;a=b;c="d"\r\none\r\n3 ; e\r\ntwo\r\n0;last\r\nx-sum: 1\r\nx-more: 2\r\n\r\n`,
    status: 200,
    body: "onetwo",
    isReusable: true,
    headers: { "x-sum": null },
  },
  "chunks of nothing": {
    text: `${ok}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    status: 200,
    body: "",
    isReusable: true,
  },
  "no length": {
    text: `${ok}content-type: a\r\n\r\nas it\r\n\r\ncomes`,
    status: 200,
    body: "as it\r\n\r\ncomes",
    isReusable: false,
    isClosed: true,
  },
  "no length and no body": {
    text: `${ok}\r\n`,
    status: 200,
    body: "",
    isReusable: false,
    isClosed: true,
  },
  "the status 204": {
    text: "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    status: 204,
    body: "",
    isReusable: true,
  },
  "the status 304 and the length of what it does not send": {
    text: "HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n",
    status: 304,
    body: "",
    isReusable: true,
  },
  "others before it": {
    text: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\ncontent-length: 9\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    status: 200,
    body: "ok",
    isReusable: true,
    headers: { link: null, "content-length": "2" },
  },
  "HTTP/1.0": {
    text: "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    status: 200,
    body: "ok",
    isReusable: false,
  },
  "connection: close": {
    text: `${ok}Connection: Close\r\ncontent-length: 2\r\n\r\nok`,
    status: 200,
    body: "ok",
    isReusable: false,
  },
  "connection: close among others": {
    text: `${ok}connection: x-hop\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok`,
    status: 200,
    body: "ok",
    isReusable: false,
  },
  "no reason": {
    text: "HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n",
    status: 404,
    body: "",
    isReusable: true,
  },
  "an empty reason and bytes that are not ASCII": {
    text: "HTTP/1.1 500 \r\nx-name: J\xfcrg\r\ncontent-length: 3\r\n\r\n\xff\x00\xfe",
    status: 500,
    body: "\xff\x00\xfe",
    isReusable: true,
    headers: { "x-name": "J\xfcrg" },
  },
  "repeated, empty and odd headers": {
    text: `${ok}a: 1\r\nB:\r\nA:2\r\nx!#$%&'*+.^_\`|~9: y: z\r\na:   \r\ncontent-length: 0\r\n\r\n`,
    status: 200,
    body: "",
    isReusable: true,
    headers: { a: "1, 2, ", b: "", "x!#$%&'*+.^_`|~9": "y: z" },
  },
  "both a length and chunks, which leaves the connection in doubt": {
    text: `${ok}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    status: 200,
    body: "ok",
    isReusable: false,
  },
};

describe("an answer with", () => {
  test.each(Object.entries(examples))(
    "%s is the same in whatever pieces it comes",
    (_, example) => {
      const { text, status, body, isReusable, headers = {}, isClosed = false } = example;
      for (const pieces of splitEverywhere(bytesOf(text))) {
        const reading = read(pieces, isClosed);
        expect(reading).toMatchObject({ heads: 1, status, body, isReusable });
        if (isClosed) expect(reading.isEndedByClose).toBeTrue();
        for (const [name, value] of Object.entries(headers))
          expect(reading.header(name)).toBe(value);
      }
    },
  );

  const ended = Object.entries(examples).filter(([, { isClosed }]) => !isClosed);

  test.each(ended)("%s has not ended before its last byte", (_, { text }) => {
    const bytes = bytesOf(text);
    for (let length = 0; length < bytes.length; length += 1) {
      const reading = read([bytes.subarray(0, length)], true);
      expect(reading).toMatchObject({ isReusable: undefined, isEndedByClose: false });
    }
  });

  test.each(ended)("%s leaves no connection that has more to say", (_, { text }) => {
    for (const more of ["\n", "\r\n", ok]) {
      expect(read([bytesOf(text + more)]).isReusable).toBe(false);
    }
  });

  test.each(ended)("%s is followed by another on its connection", (_, { text, body }) => {
    const bodies: string[] = [];
    let isEnded = false;
    const reader = createAnswerReader({
      onHead: () => bodies.push(""),
      onBody: (bytes) => bodies.push(`${bodies.pop()}${bytes.toString("latin1")}`),
      onEnd: () => {
        isEnded = true;
      },
    });
    for (const next of [text, `${ok}content-length: 4\r\n\r\nnext`, text]) {
      isEnded = false;
      reader.push(bytesOf(next));
      expect(isEnded).toBeTrue();
    }
    expect(bodies).toEqual([body, "next", body]);
  });
});

describe("what is not HTTP/1.1 is refused:", () => {
  const chunked = `${ok}transfer-encoding: chunked\r\n\r\n`;
  const end = "\r\n\r\n";
  test.each(
    Object.entries({
      "a greeting": `SSH-2.0-OpenSSH_9.6${end}`,
      "another protocol": `ICY 200 OK${end}`,
      "HTTP/2": `HTTP/2 200 OK${end}`,
      "HTTP/1.2": `HTTP/1.2 200 OK${end}`,
      "HTTP/0.9": `<html>it works</html>${end}`,
      "small letters": `http/1.1 200 OK${end}`,
      "a space before the version": ` HTTP/1.1 200 OK${end}`,
      "two spaces before the status": `HTTP/1.1  200 OK${end}`,
      "a status of two digits": `HTTP/1.1 20 OK${end}`,
      "a status of four digits": `HTTP/1.1 2000 OK${end}`,
      "a status that begins with 0": `HTTP/1.1 099 OK${end}`,
      "no status": `HTTP/1.1 OK${end}`,
      "an empty line first": `\r\n${ok}content-length: 0${end}`,
      "bare line feeds": `HTTP/1.1 200 OK\ncontent-length: 0\n\r\n\r\n`,
      "a bare line feed in a head": `${ok}a: b\nc: d${end}`,
      "a bare carriage return in a head": `${ok}a: b\rc: d${end}`,
      "a folded line": `${ok}a: b\r\n c${end}`,
      "a folded line by a tab": `${ok}a: b\r\n\tc${end}`,
      "a space before the colon": `${ok}content-length : 5${end}`,
      "a line without a colon": `${ok}content-length${end}`,
      "a header without a name": `${ok}: value${end}`,
      "a name with a space": `${ok}a b: c${end}`,
      "a name that is not ASCII": `${ok}n\xe4me: c${end}`,
      "NUL in a value": `${ok}a: b\0c${end}`,
      "NUL in a name": `${ok}a\0: b${end}`,
      "NUL in the reason": `HTTP/1.1 200 O\0K${end}`,
      "two lengths": `${ok}content-length: 5\r\ncontent-length: 6${end}`,
      "two lengths in one": `${ok}content-length: 5, 6${end}`,
      "a length with a sign": `${ok}content-length: +5${end}`,
      "a length below 0": `${ok}content-length: -1${end}`,
      "a hexadecimal length": `${ok}content-length: 0x5${end}`,
      "a length in parts": `${ok}content-length: 5.0${end}`,
      "a length in words": `${ok}content-length: five${end}`,
      "an empty length": `${ok}content-length:${end}`,
      "a length of 400 digits": `${ok}content-length: ${"9".repeat(400)}${end}`,
      "another encoding before chunked": `${ok}transfer-encoding: gzip, chunked${end}`,
      "another encoding after chunked": `${ok}transfer-encoding: chunked, identity${end}`,
      "chunked twice": `${ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked${end}`,
      "the encoding identity": `${ok}transfer-encoding: identity${end}`,
      "an empty encoding": `${ok}transfer-encoding:${end}`,
      "the status 101": `HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c${end}`,
      "a chunk without a size": `${chunked}\r\nhello`,
      "a chunk with only an extension": `${chunked};a=b\r\nhello`,
      "a chunk's size below 0": `${chunked}-5\r\nhello`,
      "a chunk's size with 0x": `${chunked}0x5\r\nhello`,
      "a chunk's size after a space": `${chunked} 5\r\nhello`,
      "a chunk's size of 13 digits": `${chunked}${"0".repeat(12)}5\r\nhello`,
      "a chunk's size with a word": `${chunked}5 x\r\nhello`,
      "a chunk that is longer than it says": `${chunked}5\r\nhello!\r\n0${end}`,
      "a chunk that is shorter than it says": `${chunked}6\r\nhello\r\n0${end}`,
    }),
  )("%s", async (_, text) => {
    for (const pieces of splitEverywhere(bytesOf(text))) {
      expect(await catchError(async () => read(pieces))).toMatchObject({
        name: "ConnectionError",
        code: "Malformed_HTTP_Response",
      });
    }
  });

  const long = "x".repeat(64 * 1024);

  test.each(
    Object.entries({
      "a head of more than 64 KiB": `${ok}a: ${long}`,
      "a head of more than 64 KiB that has its end": `${ok}a: ${long}\r\n\r\n`,
      "a head of many lines": `${ok}${"a: b\r\n".repeat(11_000)}\r\n`,
      "a line before a chunk of more than 64 KiB": `${chunked}5;${long}`,
      "a trailer of more than 64 KiB": `${chunked}0\r\na: ${long}`,
    }),
  )("%s", async (_, text) => {
    const bytes = bytesOf(text);
    const halves = [bytes.subarray(0, 40_000), bytes.subarray(40_000)];
    for (const pieces of [[bytes], halves]) {
      expect(await catchError(async () => read(pieces))).toMatchObject({
        code: "Malformed_HTTP_Response",
      });
    }
  });
});

test("10,000 headers are read", () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `${index % 10}:\r\n`).join("");
  const reading = read([bytesOf(`${ok}${lines}content-length: 2\r\n\r\nok`)]);
  expect(reading).toMatchObject({ status: 200, body: "ok", isReusable: true });
  expect(reading.header("7")).toHaveLength(2 * 999);
});

test("a body of many pieces keeps its bytes", () => {
  const body = Buffer.alloc(1_000_000, "0123456789");
  const head = bytesOf(`${ok}content-length: ${body.length}\r\n\r\n`);
  const pieces: Buffer[] = [head];
  for (let at = 0; at < body.length; at += 7) pieces.push(body.subarray(at, at + 7));
  expect(read(pieces)).toMatchObject({ body: body.toString("latin1"), isReusable: true });
});
