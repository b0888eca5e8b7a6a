import { createMessageReader, createWriter } from "../http.ts";

/** A request of any size, on a connection of its own. */
export interface Exchange {
  readonly url: string;
  /** Gives the request's bytes, undefined at their end. */
  readonly next: () => Buffer | undefined;
  /** Takes each piece of the answer's body; it is only good until this returns. */
  readonly onBody: (bytes: Buffer) => void;
  readonly timeoutSeconds: number;
}

/** Sends a request and reads the answer, whose status it returns; an answer that comes early ends the sending. */
export async function exchange({ url, next, onBody, timeoutSeconds }: Exchange): Promise<number> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let status = 0;
  let flush = () => true;
  const reader = createMessageReader({
    head({ text }) {
      status = readStatus(text);
    },
    body: onBody,
    end: () => resolve(status),
  });
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${timeoutSeconds} s`)),
    timeoutSeconds * 1000,
  );
  let socket: Bun.Socket | undefined;
  Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open(opened) {
        socket = opened;
        flush = createWriter(opened, next);
        flush();
      },
      drain: () => void flush(),
      data(_socket, bytes) {
        try {
          reader.push(bytes);
        } catch (error) {
          reject(error);
        }
      },
      error: (_socket, error) => reject(error),
      close: () => reject(new Error("the connection was closed before the answer was complete")),
    },
  }).catch(reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket?.terminate();
  }
}

/** The status of an answer by its first line. */
export function readStatus(head: string): number {
  return Number(head.slice(9, 12));
}

/** The head of a request, with the empty line at its end. */
export function writeHead(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
): string {
  const { host, pathname, search } = new URL(url);
  const lines = Object.entries({ host, accept: "*/*", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `${method} ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
