import { ConnectionError } from "./transport.ts";

/** The status and the headers of an answer. */
export interface AnswerHead {
  readonly status: number;
  /** The value of a header by its name in lower case, those of a repeated one joined by commas. */
  readonly header: (name: string) => string | null;
}

/** What a reader tells of an answer, in order. */
export interface AnswerHandler {
  onHead(head: AnswerHead): void;
  /** A piece of the body without its framing; the bytes stay as they are. */
  onBody(bytes: Buffer): void;
  /** Whether another call may go over the connection. */
  onEnd(isReusable: boolean): void;
}

/** Reads the answers of one connection, one at a time. */
export interface AnswerReader {
  /** Takes bytes as they come, of an answer that is awaited; throws for what is not HTTP/1.1. */
  push(bytes: Buffer): void;
  /** The connection has ended; false where that is not the end of the answer. */
  close(): boolean;
}

type State = "head" | "sized" | "to the end" | "chunk size" | "chunk" | "chunk end" | "trailer";

const maxHeadBytes = 64 * 1024;
// The status, then headers, each line with its end.
const headShape =
  /^HTTP\/1\.[01] [1-9]\d\d(?: [^\0\r\n]*)?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0\r\n]*\r\n)*$/;

/** Makes a reader of HTTP/1.1 (RFC 9112), strict wherever two readers could understand two things. */
export function createAnswerReader(handler: AnswerHandler): AnswerReader {
  let state: State = "head";
  let remaining = 0;
  let isReusable = false;
  let isEnded = false;
  let pending: Buffer | undefined;

  function finish(hasMore: boolean): void {
    state = "head";
    isEnded = true;
    handler.onEnd(isReusable && !hasMore);
  }

  /** Returns whether the answer has a body. */
  function readHead(text: string): boolean {
    const head = parseHead(text);
    const { status, header } = head;
    if (status === 101) throw malformed("it changes to a protocol that nobody asked for");
    // What comes before the answer itself, such as 103.
    if (status < 200) return true;
    const encoding = header("transfer-encoding");
    const length = header("content-length");
    if (encoding !== null && encoding.toLowerCase() !== "chunked") {
      throw malformed(`its transfer-encoding is "${encoding.slice(0, 50)}"`);
    }
    // A length that is said twice, and the same, is one length.
    const [, digits] = /^(\d{1,15})(?:, \1)*$/.exec(length ?? "") ?? [];
    if (length !== null && digits === undefined) {
      throw malformed(`its content-length is "${length.slice(0, 50)}"`);
    }
    // Of an answer that gives both, nobody knows which one a proxy in between has gone by.
    const isCertain = encoding === null || length === null;
    isReusable = text[7] === "1" && isCertain && !/\bclose\b/i.test(header("connection") ?? "");
    handler.onHead(head);
    if (status === 204 || status === 304) {
      // A 204 that says it has a body after all may have one.
      if (status === 204 && (encoding !== null || Number(digits) > 0)) isReusable = false;
      return false;
    }
    remaining = Number(digits ?? 0);
    if (encoding !== null) state = "chunk size";
    else if (length === null) state = "to the end";
    else state = "sized";
    return state !== "sized" || remaining > 0;
  }

  function readLine(line: string): void {
    if (state === "chunk end") {
      if (line !== "") throw malformed("a chunk of it is longer than it says");
      state = "chunk size";
    } else if (state === "chunk size") {
      const [, size] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line) ?? [];
      if (size === undefined) throw malformed("a chunk of it has no size");
      remaining = Number.parseInt(size, 16);
      state = remaining === 0 ? "trailer" : "chunk";
    }
  }

  /** Takes bytes of the body from `start` on; returns where they end. */
  function readBody(data: Buffer, start: number): number {
    const end = state === "to the end" ? data.length : Math.min(data.length, start + remaining);
    handler.onBody(start === 0 && end === data.length ? data : data.subarray(start, end));
    remaining -= end - start;
    if (state === "chunk" && remaining === 0) state = "chunk end";
    else if (state === "sized" && remaining === 0) finish(end < data.length);
    return end;
  }

  return {
    push(bytes) {
      const data = pending === undefined ? bytes : Buffer.concat([pending, bytes]);
      pending = undefined;
      isEnded = false;
      for (let at = 0; at < data.length; ) {
        if (state === "sized" || state === "chunk" || state === "to the end") {
          at = readBody(data, at);
          if (isEnded) return;
          continue;
        }
        const isHead = state === "head";
        const mark = isHead ? "\r\n\r\n" : "\r\n";
        const end = data.indexOf(mark, at);
        if (end === -1 || end - at > maxHeadBytes) {
          if (data.length - at > maxHeadBytes) throw malformed("a line of it is too long");
          pending = data.subarray(at);
          return;
        }
        const text = data.toString("latin1", at, isHead ? end + 2 : end);
        at = end + mark.length;
        if (isHead ? !readHead(text) : state === "trailer" && text === "") {
          return finish(at < data.length);
        }
        if (!isHead) readLine(text);
      }
    },
    close() {
      if (state !== "to the end") return false;
      finish(true);
      return true;
    },
  };
}

/** Reads a head whose lines all have their ends; headers are searched for, as most never are. */
function parseHead(text: string): AnswerHead {
  if (!headShape.test(text)) throw malformed("its head cannot be read");
  const searched = text.toLowerCase();
  return {
    status: Number(text.slice(9, 12)),
    header(name) {
      const mark = `\n${name}:`;
      let value: string | null = null;
      for (let at = searched.indexOf(mark); at !== -1; at = searched.indexOf(mark, at + 1)) {
        const start = at + mark.length;
        const one = text.slice(start, text.indexOf("\r", start)).trim();
        value = value === null ? one : `${value}, ${one}`;
      }
      return value;
    },
  };
}

function malformed(problem: string): ConnectionError {
  return new ConnectionError("Malformed_HTTP_Response", `The answer is not HTTP: ${problem}`);
}
