import type { Deadline } from "../deadline.ts";
import { decodeText, decodeUnpacked, unpackStream } from "./answer-encoding.ts";
import type { AnswerHead } from "./answer-reader.ts";
import type { CallHandler, Connection } from "./connection.ts";
import {
  ConnectionError,
  type Incoming,
  isStream,
  type Outgoing,
  type OutgoingStream,
} from "./transport.ts";

// So much is kept of a body that nobody reads yet.
const maxWaitingBytes = 256 * 1024;

/**
 * One call over a connection, and the answer to it. One object without closures, for there is one
 * for every call.
 */
export class Call implements CallHandler, Incoming {
  status = 0;
  /** Whether the connection was lost before the first byte of an answer. */
  isUnanswered = false;
  readonly #connection: Connection;
  readonly #deadline: Deadline;
  readonly #release: (connection: Connection) => void;
  readonly #answered = Promise.withResolvers<this>();
  #head: AnswerHead | undefined;
  #isSent = false;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #limit = maxWaitingBytes;
  #isPaused = false;
  #wake: (() => void) | undefined;

  /** `release` is given the connection when another call may go over it. */
  constructor(
    connection: Connection,
    deadline: Deadline,
    release: (connection: Connection) => void,
  ) {
    this.#connection = connection;
    this.#deadline = deadline;
    this.#release = release;
  }

  /** Sends the call; resolves once the head of the answer is there. */
  send(head: string, body: Outgoing["body"]): Promise<this> {
    this.#connection.begin(this);
    this.#deadline.guard(this);
    if (isStream(body)) {
      this.#sendStream(head, body).catch((error) => this.#end(error));
    } else {
      const writing = this.#connection.write(joinHead(head, body));
      // Until then the connection is not free, even if the answer has come.
      if (writing === undefined) this.#isSent = true;
      else void this.#noteSent(writing);
    }
    return this.#answered.promise;
  }

  async #noteSent(writing: Promise<void>): Promise<void> {
    await writing;
    this.#isSent = true;
  }

  async #sendStream(head: string, { pieces }: OutgoingStream): Promise<void> {
    await this.#connection.write(head);
    // The time that it takes to get a piece is not the service's.
    this.#deadline.pause();
    for await (const piece of pieces) {
      this.#deadline.extend();
      await this.#connection.write(piece);
      // Whatever the answer is, it does not depend on what has not been sent.
      if (this.#head !== undefined || this.#isEnded) return;
      this.#deadline.pause();
    }
    this.#isSent = true;
    this.#deadline.extend();
  }

  onHead(head: AnswerHead): void {
    if (!this.#isSent) this.#deadline.extend();
    this.status = head.status;
    this.#head = head;
    this.#answered.resolve(this);
  }

  onBody(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > this.#limit && !this.#isPaused) {
      this.#isPaused = true;
      this.#connection.pause();
    }
    this.#tell();
  }

  onEnd(isReusable: boolean): void {
    // The next call waits for bytes as well.
    if (this.#isPaused) this.#connection.resume();
    this.#isPaused = false;
    // First, so that whoever reads the answer finds the connection free.
    if (isReusable && this.#isSent) this.#release(this.#connection);
    else this.#connection.destroy();
    this.#end();
  }

  onFailure(error: unknown, isHeard: boolean): void {
    this.isUnanswered = !isHeard;
    this.#end(error);
  }

  #end(error?: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#deadline.guard(undefined);
    if (error !== undefined) {
      this.#failure = { error };
      this.#connection.destroy();
      this.#answered.reject(error);
    }
    this.#tell();
  }

  /** Gives up what has not come yet. */
  stop(): void {
    this.#end(new ConnectionError("ABORT_ERR", "The call was given up"));
  }

  discard(): void {
    this.stop();
  }

  header(name: string): string | null {
    return this.#head?.header(name) ?? null;
  }

  text(maxBytes: number): Promise<string> | string {
    const [only] = this.#chunks;
    const isWhole = this.#isEnded && this.#failure === undefined && this.#chunks.length === 1;
    if (isWhole && only !== undefined && only.length <= maxBytes && this.#encoding() === null) {
      return decodeText(only);
    }
    return this.#readText(maxBytes);
  }

  async #readText(maxBytes: number): Promise<string> {
    this.#setLimit(maxBytes);
    while (!this.#isEnded && this.#bytes <= maxBytes) await this.#change();
    if (this.#bytes > maxBytes) this.stop();
    if (this.#bytes > maxBytes) throw new RangeError(`it has more than ${maxBytes} bytes`);
    this.#throwFailure();
    return await decodeUnpacked(Buffer.concat(this.#chunks), this.#encoding(), maxBytes);
  }

  stream(): ReadableStream<Uint8Array> {
    const stream = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        while (this.#chunks.length === 0 && !this.#isEnded) await this.#change();
        const waiting = this.#chunks;
        this.#chunks = [];
        this.#bytes = 0;
        for (const chunk of waiting) controller.enqueue(chunk);
        this.#setLimit(maxWaitingBytes);
        if (waiting.length > 0) return;
        this.#throwFailure();
        controller.close();
      },
      cancel: () => this.stop(),
    });
    try {
      return unpackStream(stream, this.#encoding());
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  #encoding(): string | null {
    const encoding = this.header("content-encoding");
    return encoding === "identity" ? null : encoding;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #setLimit(most: number): void {
    this.#limit = most;
    if (!this.#isPaused || this.#bytes > most) return;
    this.#isPaused = false;
    this.#connection.resume();
  }

  /** Waits until something has come or nothing more will. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

function joinHead(head: string, body: string | Uint8Array | undefined): string | Uint8Array {
  if (body === undefined) return head;
  return typeof body === "string" ? head + body : Buffer.concat([Buffer.from(head), body]);
}
