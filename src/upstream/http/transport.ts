import type { Deadline } from "../deadline.ts";

/** One call of a service on its way out. */
export interface Outgoing {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With the query, percent-encoded. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | OutgoingStream | undefined;
  /**
   * Whether it does no harm if the service gets it twice. Only such a call goes over a connection that
   * was used before: on one that the service closes meanwhile nobody could tell whether it was heard.
   */
  readonly isRepeatable: boolean;
}

/** A body that is not in memory. */
export interface OutgoingStream {
  /** In bytes. */
  readonly length: number;
  /** Each piece stays as it is only until the next one is asked for. */
  readonly pieces: AsyncGenerator<Uint8Array, void>;
}

/** Whether a body comes in pieces. */
export function isStream(body: Outgoing["body"]): body is OutgoingStream {
  return typeof body === "object" && "pieces" in body;
}

/** An answer whose head has come. To be read once, or discarded. */
export interface Incoming {
  readonly status: number;
  /** The value of a header by its name in lower case; null where it is not there. */
  header(name: string): string | null;
  /** The whole body, unpacked; throws a `RangeError` for one of more than `maxBytes`. */
  text(maxBytes: number): Promise<string> | string;
  /** The body as it comes, unpacked. */
  stream(): ReadableStream<Uint8Array>;
  /** Gives up what has not come yet. */
  discard(): void;
}

/** Whether the service has done what it was asked for. */
export function isOk({ status }: Incoming): boolean {
  return status >= 200 && status < 300;
}

/**
 * Sends calls; follows no redirect, for that would carry a credential to a host that nobody
 * configured. Fails with an error whose `code` says why, as Bun's fetch does, or when the deadline
 * is over. An answer may come before the whole body was sent, and ends the sending.
 */
export type Transport = (request: Outgoing, deadline: Deadline) => Promise<Incoming>;

/** Why a connection is of no more use; `code` as Bun's fetch names it. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
