/** The first line of a message and its headers. */
export interface Head {
  readonly text: string;
  /** The value of a header, by its name in lower case. */
  get(name: string): string | undefined;
}

/** What a message reader tells of each message, in order. */
export interface MessageHandler {
  head(head: Head): void;
  /** A piece of the body, chunked encoding taken off; only good until this returns. */
  body(bytes: Buffer): void;
  end(): void;
}

/** Reads the messages of one direction of a connection. */
export interface MessageReader {
  /** Takes the bytes as they come; throws for what is not HTTP. */
  push(bytes: Buffer): void;
  /** Whether what comes next is a new message. */
  isIdle(): boolean;
}

type State = "head" | "sized" | "size line" | "chunk" | "chunk end" | "trailer";

/**
 * Reads HTTP/1.1 messages, requests or answers, that have a length, are chunked or have no body.
 * The bench has its own client and server because each answer is to be looked at and neither may
 * take so much of the CPU that it, and not the proxy, is what is measured.
 */
export function createMessageReader(handler: MessageHandler): MessageReader {
  let state: State = "head";
  let remaining = 0;
  let pending: Buffer | undefined;

  function finish(): void {
    state = "head";
    handler.end();
  }

  function readHead(text: string): void {
    const head = parseHead(text);
    handler.head(head);
    if (head.get("transfer-encoding") === "chunked") {
      state = "size line";
      return;
    }
    remaining = Number(head.get("content-length") ?? 0);
    if (remaining === 0) finish();
    else state = "sized";
  }

  function readLine(line: string): void {
    if (state === "size line") {
      remaining = Number.parseInt(line, 16);
      if (Number.isNaN(remaining)) throw new Error(`"${line.slice(0, 40)}" is no chunk size`);
      state = remaining === 0 ? "trailer" : "chunk";
    } else if (state === "chunk end") state = "size line";
    else if (line === "") finish();
  }

  function push(chunk: Buffer): void {
    const data = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
    pending = undefined;
    let at = 0;
    while (at < data.length) {
      if (state === "sized" || state === "chunk") {
        const end = Math.min(data.length, at + remaining);
        handler.body(data.subarray(at, end));
        remaining -= end - at;
        at = end;
        if (remaining > 0) return;
        if (state === "chunk") state = "chunk end";
        else finish();
        continue;
      }
      const mark = state === "head" ? "\r\n\r\n" : "\r\n";
      const end = data.indexOf(mark, at);
      if (end === -1) {
        pending = Buffer.from(data.subarray(at));
        return;
      }
      if (state === "head") readHead(data.toString("latin1", at, end + 2));
      else readLine(data.toString("latin1", at, end));
      at = end + mark.length;
    }
  }

  return { push, isIdle: () => state === "head" && pending === undefined };
}

/** Reads a head whose lines are all ended by CRLF. */
function parseHead(text: string): Head {
  const lower = text.toLowerCase();
  return {
    text,
    get(name) {
      const start = lower.indexOf(`\r\n${name}:`);
      if (start === -1) return undefined;
      const value = start + name.length + 3;
      return text.slice(value, text.indexOf("\r", value)).trim();
    },
  };
}

/** The part of a socket that is written to; `write` returns how many bytes it has taken. */
export interface Writable {
  write(bytes: Uint8Array): number;
}

/**
 * Writes what `next` gives, piece by piece, as the socket takes it, until it gives no more. To be
 * called once, and again whenever the socket has drained; true once all is written.
 */
export function createWriter(socket: Writable, next: () => Buffer | undefined): () => boolean {
  let current = next();
  return () => {
    while (current !== undefined) {
      const written = socket.write(current);
      if (written < current.length) {
        if (written > 0) current = current.subarray(written);
        return false;
      }
      current = next();
    }
    return true;
  };
}
