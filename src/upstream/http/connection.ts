import type { Socket } from "bun";
import { type AnswerHandler, createAnswerReader } from "./answer-reader.ts";
import { ConnectionError } from "./transport.ts";

/** Who hears of the answer to one call. */
export interface CallHandler extends AnswerHandler {
  /** The connection is lost before the end of the answer, or of its first byte if not `isHeard`. */
  onFailure(error: unknown, isHeard: boolean): void;
}

/** A connection to a service over which calls go one after the other. */
export interface Connection {
  readonly isOpen: () => boolean;
  /** Begins a call; what is written next is its request. One that is closed fails it at once. */
  begin(handler: CallHandler): void;
  /** Resolves once the system has taken all of it, or the connection is lost; undefined if at once. */
  write(data: Uint8Array | string): Promise<void> | undefined;
  pause(): void;
  resume(): void;
  /** Closes it at once; nobody hears of it. */
  destroy(): void;
}

/** Where a connection goes to. */
export interface Address {
  /** As in a URL: IPv6 addresses in brackets. */
  readonly hostname: string;
  readonly port: number;
  readonly isSecure: boolean;
}

/** A connection that is not there yet. */
export interface Opening {
  readonly opened: Promise<Connection>;
  /** Closes it, with `error` for whoever waits for it. */
  giveUp(error: unknown): void;
}

/**
 * Opens a connection; over TLS it is there once the service's certificate is verified. `onIdleEnd` is
 * called when it ends between two calls.
 */
export function openConnection(address: Address, onIdleEnd: () => void): Opening {
  const opened = Promise.withResolvers<Connection>();
  let socket: Socket | undefined;
  let handler: CallHandler | undefined;
  let drained: (() => void) | undefined;
  let isOpen = true;
  let isHeard = false;

  const reader = createAnswerReader({
    onHead: (head) => handler?.onHead(head),
    onBody: (bytes) => handler?.onBody(bytes),
    onEnd(isReusable) {
      const ended = handler;
      handler = undefined;
      // A process may end while nobody calls.
      socket?.unref();
      ended?.onEnd(isReusable);
    },
  });

  const connection: Connection = {
    isOpen: () => isOpen,
    begin(next) {
      if (!isOpen) return next.onFailure(lost(), false);
      handler = next;
      isHeard = false;
      socket?.ref();
    },
    write: (data) => (isOpen ? writeFrom(data) : undefined),
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
    destroy() {
      handler = undefined;
      lose();
    },
  };

  /** Nothing comes or goes any more. */
  function lose(): void {
    isOpen = false;
    socket?.terminate();
    drained?.();
  }

  function fail(error: unknown): void {
    const failed = handler;
    handler = undefined;
    const wasIdle = isOpen && failed === undefined;
    // Before the socket tells of its own end.
    opened.reject(error);
    lose();
    failed?.onFailure(error, isHeard);
    if (wasIdle) onIdleEnd();
  }

  function writeFrom(data: Uint8Array | string): Promise<void> | undefined {
    const taken = socket?.write(data) ?? -1;
    const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    if (taken === length) return undefined;
    return writeRest(typeof data === "string" ? Buffer.from(data) : data, taken);
  }

  async function writeRest(bytes: Uint8Array, start: number): Promise<void> {
    for (let at = Math.max(0, start); isOpen; ) {
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
      if (!isOpen) return;
      at += Math.max(0, socket?.write(bytes.subarray(at)) ?? 0);
      if (at === bytes.length) return;
    }
  }

  const { hostname, port, isSecure } = address;
  Bun.connect({
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port,
    tls: isSecure,
    socket: {
      open(opening) {
        socket = opening;
        // Given up meanwhile.
        if (!isOpen) return lose();
        if (!isSecure) opened.resolve(connection);
      },
      handshake(_, success, error) {
        if (success && error === null) return opened.resolve(connection);
        fail(error ?? new ConnectionError("ERR_TLS_HANDSHAKE", "The TLS handshake has failed"));
      },
      data(_, bytes) {
        // What comes between two calls answers none of them.
        if (handler === undefined) return fail(lost());
        isHeard = true;
        try {
          reader.push(bytes);
        } catch (error) {
          fail(error);
        }
      },
      drain() {
        const resolve = drained;
        drained = undefined;
        resolve?.();
      },
      close(_, error) {
        if (!isOpen) return;
        // A connection that is broken off does not tell where an answer ends.
        if (error !== undefined) fail(error);
        else if (!reader.close()) fail(lost());
      },
      error: (_, error) => fail(error),
      connectError: (_, error) => fail(error),
    },
  }).catch(fail);
  return { opened: opened.promise, giveUp: fail };
}

function lost(): ConnectionError {
  return new ConnectionError("ECONNRESET", "The connection was closed");
}
