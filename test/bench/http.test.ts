import { expect, test } from "bun:test";
import { createMessageReader } from "./http.ts";

const messages = [
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
  "GET /a HTTP/1.1\r\nHost: b\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n\r\n!\r\n0\r\nTrailer: t\r\n\r\n",
  "HTTP/1.1 200 OK\r\nX: chunked\r\nContent-Length: 0\r\n\r\n",
];

function readMessages(pieces: readonly Buffer[]): string[] {
  const read: string[] = [];
  let text = "";
  const reader = createMessageReader({
    head(head) {
      text = `${head.text.slice(0, head.text.indexOf("\r"))}|${head.get("host") ?? ""}|`;
    },
    body(bytes) {
      text += bytes.toString();
    },
    end: () => read.push(text),
  });
  for (const piece of pieces) reader.push(piece);
  expect(reader.isIdle()).toBe(true);
  return read;
}

test("createMessageReader() reads messages wherever they are cut", () => {
  const all = Buffer.from(messages.join(""));
  const expected = ["HTTP/1.1 200 OK||hello", "GET /a HTTP/1.1|b|", "HTTP/1.1 200 OK||hello\r\n!"];
  expected.push("HTTP/1.1 200 OK||");
  for (let cut = 0; cut <= all.length; cut += 1) {
    expect(readMessages([all.subarray(0, cut), all.subarray(cut)])).toEqual(expected);
  }
  expect(readMessages([...all].map((byte) => Buffer.of(byte)))).toEqual(expected);
});

test("createMessageReader() throws for a chunk whose size is no number", () => {
  const broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n";
  expect(() => readMessages([Buffer.from(broken)])).toThrow('"xyz" is no chunk size');
});
