import { afterEach } from "bun:test";
import type { Socket, TLSOptions } from "bun";
import { Deadline } from "../../src/upstream/deadline.ts";
import { createFetchTransport } from "../../src/upstream/http/fetch.ts";
import { createSocketTransport } from "../../src/upstream/http/sockets.ts";
import type { Incoming, Outgoing, Transport } from "../../src/upstream/http/transport.ts";

/** Both ways to a service, by name, for `describe.each`. */
export const transports = [
  ["sockets", createSocketTransport],
  ["fetch", createFetchTransport],
] as const;

/** Makes a transport to an address. */
export type MakeTransport = (origin: URL) => Transport;

/** A signal that nobody aborts. */
export const never = new AbortController().signal;

/** A request as a server has received it, in Latin-1. */
export interface Received {
  readonly head: string;
  /** Complete in `onRequest`, else what has come of it. */
  readonly body: string;
}

/** A connection as its server sees it. */
export interface ServedConnection {
  /** Writes once there is room. */
  write(data: string | Uint8Array): void;
  /** How many bytes of those the system has taken. */
  readonly written: number;
  /** Stops reading, and reads again. */
  pause(): void;
  resume(): void;
  /** Says that nothing more will come, once all is written. */
  end(): void;
  /** Breaks off. */
  reset(): void;
  readonly isClosed: boolean;
  /** All bytes that came. */
  readonly bytes: number;
}

/** What a server does; it does nothing that it is not told. */
export interface ServerBehaviour {
  readonly onOpen?: (connection: ServedConnection) => void;
  /** The head of a request is there. */
  readonly onHead?: (head: string, connection: ServedConnection) => void;
  /** A request is there as a whole. */
  readonly onRequest?: (request: Received, connection: ServedConnection) => void;
  readonly tls?: TLSOptions;
}

/** A server that knows no more of HTTP than where a request ends, and so may answer what it wants. */
export interface RawServer {
  readonly url: URL;
  readonly connections: readonly ServedConnection[];
  /** Those that are complete. */
  readonly requests: readonly Received[];
  stop(): void;
}

/** Starts a server on a free port. */
export function startRawServer(behaviour: ServerBehaviour): RawServer {
  const connections: ServedConnection[] = [];
  const requests: Received[] = [];
  const listener = Bun.listen<Served>({
    hostname: "127.0.0.1",
    port: 0,
    ...(behaviour.tls && { tls: behaviour.tls }),
    socket: {
      open(socket) {
        socket.data = serve(socket, behaviour, requests);
        connections.push(socket.data.connection);
        behaviour.onOpen?.(socket.data.connection);
      },
      data: (socket, bytes) => socket.data.read(bytes),
      drain: (socket) => socket.data.flush(),
      close: (socket) => socket.data.close(),
      error: () => undefined,
    },
  });
  return {
    url: new URL(`${behaviour.tls ? "https" : "http"}://127.0.0.1:${listener.port}`),
    connections,
    requests,
    stop: () => listener.stop(true),
  };
}

interface Served {
  readonly connection: ServedConnection;
  read(bytes: Buffer): void;
  flush(): void;
  close(): void;
}

function serve(socket: Socket<Served>, behaviour: ServerBehaviour, requests: Received[]): Served {
  let waiting: Uint8Array[] = [];
  const state = { written: 0, bytes: 0, isClosed: false };
  let isEnding = false;
  let pieces: Buffer[] = [];
  let waitingBytes = 0;
  let neededBytes = 0;
  let isHeadTold = false;

  function flush(): void {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const count = Math.max(0, socket.write(next));
      state.written += count;
      if (count < next.length) {
        waiting[0] = next.subarray(count);
        return;
      }
      waiting.shift();
    }
    if (isEnding) socket.end();
  }

  const connection: ServedConnection = {
    write(data) {
      waiting.push(typeof data === "string" ? Buffer.from(data, "latin1") : data);
      if (waiting.length === 1) flush();
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end() {
      isEnding = true;
      flush();
    },
    reset: () => socket.terminate(),
    get written() {
      return state.written;
    },
    get isClosed() {
      return state.isClosed;
    },
    get bytes() {
      return state.bytes;
    },
  };

  return {
    connection,
    flush,
    read(bytes) {
      state.bytes += bytes.length;
      pieces.push(bytes);
      waitingBytes += bytes.length;
      while (waitingBytes > neededBytes || (isHeadTold && waitingBytes === neededBytes)) {
        const input = Buffer.concat(pieces);
        pieces = [input];
        neededBytes = waitingBytes;
        const end = input.indexOf("\r\n\r\n");
        if (end === -1) return;
        const head = input.toString("latin1", 0, end);
        if (!isHeadTold) behaviour.onHead?.(head, connection);
        isHeadTold = true;
        neededBytes = end + 4 + Number(/\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (waitingBytes < neededBytes) return;
        const request = { head, body: input.toString("latin1", end + 4, neededBytes) };
        pieces = [input.subarray(neededBytes)];
        waitingBytes -= neededBytes;
        neededBytes = 0;
        isHeadTold = false;
        requests.push(request);
        behaviour.onRequest?.(request, connection);
      }
    },
    close() {
      state.isClosed = true;
      waiting = [];
    },
  };
}

/** A sized answer. */
export function makeAnswer(body: string | Uint8Array, headers = "", status = "200 OK"): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const head = `HTTP/1.1 ${status}\r\n${headers}content-length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** A GET of `path`. */
export function makeGet(path = "/"): Outgoing {
  return { method: "GET", path, headers: {}, isRepeatable: true };
}

/** A POST that must not be repeated. */
export function makePost(body: Outgoing["body"] = "{}", path = "/"): Outgoing {
  return { method: "POST", path, headers: {}, body, isRepeatable: false };
}

/** A body of `count` pieces, and how many of them were asked for. */
export function makeUpload(count: number, pieceBytes: number) {
  const state = { pulled: 0, isLeft: false };
  async function* makePieces(): AsyncGenerator<Uint8Array, void> {
    try {
      for (let index = 0; index < count; index += 1) {
        state.pulled += 1;
        yield new Uint8Array(pieceBytes).fill(index);
      }
    } finally {
      state.isLeft = true;
    }
  }
  return { state, body: { length: count * pieceBytes, pieces: makePieces() } };
}

/** Sends a call and reads its answer; whatever comes of it, its deadline is ended. */
export async function exchange(
  transport: Transport,
  request: Outgoing,
  read: (answer: Incoming) => Promise<string> | string = (answer) => answer.text(1_000_000),
  { seconds = 20, signal = never } = {},
): Promise<string> {
  const deadline = new Deadline(seconds, signal);
  try {
    return await read(await transport(request, deadline));
  } finally {
    deadline.end();
  }
}

/** The text of an answer that is read as a stream. */
export async function readStream(answer: Incoming): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of answer.stream()) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Waits for what other parties bring about; fails after 10 seconds. */
export async function waitFor(condition: () => boolean): Promise<void> {
  for (let wait = 0; !condition(); wait += 1) {
    if (wait === 2000) throw new Error("Cannot wait any longer: it has not come about");
    await Bun.sleep(5);
  }
}

/** Waits until a number has not changed for a while, and returns it. */
export async function settle(read: () => number): Promise<number> {
  for (let last = read(), same = 0; ; ) {
    await Bun.sleep(10);
    same = read() === last ? same + 1 : 0;
    last = read();
    if (same === 20) return last;
  }
}

/** Starts servers of which the last one is stopped after each test; to be called once in a file. */
export function useRawServer(): (behaviour: ServerBehaviour) => RawServer {
  let server: RawServer | undefined;
  afterEach(() => {
    server?.stop();
    server = undefined;
  });
  return (behaviour) => {
    server = startRawServer(behaviour);
    return server;
  };
}
