import { createMessageReader, type Head } from "../http.ts";
import { readStatus } from "./exchange.ts";

/** A small request that may be sent many times. */
export interface Request {
  readonly bytes: Buffer;
  /** What its answer has to contain. */
  readonly expect: string;
  /** The latest right answer to it, if it came in one piece. */
  answer?: Buffer;
}

/** What a connection does its work for. */
export interface Work {
  takeRequest(): Request | undefined;
  /** Notes that a right answer came to what was sent at `started`; true ends the connection. */
  isOver(started: number): boolean;
  end(): void;
  /** To be called when the server has closed the connection after an answer. */
  reconnect(): void;
  fail(error: Error): void;
}

/** Handlers for a socket on which a request follows each answer. */
export function createConnection(work: Work) {
  let request: Request | undefined;
  let started = 0;
  let head: Head | undefined;
  let body: Buffer | undefined;
  let over = false;

  function send(socket: Bun.Socket): void {
    request = work.takeRequest();
    if (request === undefined) return;
    body = undefined;
    started = performance.now();
    if (socket.write(request.bytes) < request.bytes.length) {
      work.fail(new Error("the connection does not take a whole request"));
    }
  }

  const reader = createMessageReader({
    head(next) {
      head = next;
    },
    body(bytes) {
      body = body === undefined ? Buffer.from(bytes) : Buffer.concat([body, bytes]);
    },
    end() {
      const status = readStatus(head?.text ?? "");
      if (status === 200 && request !== undefined && body?.includes(request.expect)) return;
      const text = body?.toString("utf8", 0, 300) ?? "";
      work.fail(new Error(`it answered ${status} without "${request?.expect}": ${text}`));
    },
  });

  /** Whether these bytes end an answer. */
  function read(bytes: Buffer): boolean {
    const first = reader.isIdle();
    // What is the same as a right answer, byte by byte, is right, and need not be read.
    if (first && request?.answer?.equals(bytes)) return true;
    reader.push(bytes);
    if (!reader.isIdle()) return false;
    if (first && request !== undefined && !isLast()) request.answer = Buffer.from(bytes);
    return true;
  }

  function isLast(): boolean {
    return head?.get("connection") === "close";
  }

  return {
    open: send,
    data(socket: Bun.Socket, bytes: Buffer): void {
      if (!read(bytes)) return;
      request = undefined;
      over = work.isOver(started);
      if (over || isLast()) socket.end();
      else send(socket);
      if (over) work.end();
    },
    close(): void {
      if (request !== undefined) work.fail(new Error("the connection was closed before an answer"));
      else if (!over) work.reconnect();
    },
  };
}
