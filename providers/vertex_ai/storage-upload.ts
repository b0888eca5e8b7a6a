import { setTimeout } from "node:timers/promises";
import { ApiError } from "../../src/errors.ts";
import {
  type SessionState,
  startSession,
  type UploadService,
  type UploadSession,
} from "./storage-session.ts";

/** An object that is to be written. */
export interface NewObject {
  readonly name: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes of the content where they are known: what is small needs no large buffer. */
  readonly size?: number;
  /** Reads the content from its start; called again where the service has lost what was sent. */
  open(): AsyncIterable<Uint8Array>;
}

/** What the service said of an object that is complete, and what was sent. */
export interface UploadedObject {
  /** The answer's JSON. */
  readonly json: unknown;
  readonly bytes: number;
  /** In base64, as Cloud Storage writes it. */
  readonly md5: string;
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** The size of the object, known with its last chunk. */
  readonly total: number | undefined;
}

/** The service no longer knows an upload: all of it has to be sent again. */
class SessionLost extends Error {
  override readonly name = "SessionLost";
}

/** The name of an upload has been taken while it went on. */
class ObjectExists extends Error {
  override readonly name = "ObjectExists";
}

// All chunks of an upload but the last are multiples of 256 KiB; 8 MiB is what Google advises.
const chunkUnit = 256 * 1024;
const chunkBytes = 8 * 1024 * 1024;
const mostSessions = 3;

/**
 * Writes an object in one resumable upload with one chunk in memory, and goes on after failures
 * that pass. Undefined if an object of that name is there already. Nothing is left of an upload
 * that throws, save that its last answer may have been lost.
 */
export async function uploadObject(
  service: UploadService,
  object: NewObject,
  signal: AbortSignal,
): Promise<UploadedObject | undefined> {
  for (let sessions = 1; ; sessions++) {
    const session = await beginSession(service, object, signal);
    if (session === undefined) return undefined;
    try {
      return await sendContent(service, session, object, signal);
    } catch (error) {
      if (error instanceof ObjectExists) return undefined;
      if (!(error instanceof SessionLost)) {
        await session.cancel();
        throw error;
      }
      if (sessions === mostSessions) {
        throw failUpload(service, `the service has lost the upload ${sessions} times`);
      }
    }
  }
}

async function beginSession(
  service: UploadService,
  { name, contentType, metadata }: NewObject,
  signal: AbortSignal,
): Promise<UploadSession | undefined> {
  for (let tries = 0; ; tries++) {
    const start = await startSession(service, { name, contentType, metadata }, signal);
    if (start.state === "started") return start.session;
    if (start.state === "exists") return undefined;
    await pause(service, tries, start.error, signal);
  }
}

async function sendContent(
  service: UploadService,
  session: UploadSession,
  object: NewObject,
  signal: AbortSignal,
): Promise<UploadedObject> {
  const hash = new Bun.CryptoHasher("md5");
  for await (const chunk of cutChunks(object.open(), chooseSize(object))) {
    signal.throwIfAborted();
    hash.update(chunk.bytes);
    const json = await sendChunk(service, session, chunk, signal);
    if (chunk.total !== undefined) return { json, bytes: chunk.total, md5: hash.digest("base64") };
  }
  throw new Error("The chunks of an upload have no last one");
}

function chooseSize({ size = chunkBytes }: NewObject): number {
  return Math.min(chunkBytes, Math.max(1, Math.ceil(size / chunkUnit)) * chunkUnit);
}

/** Sends one chunk until the service has all of it; the JSON of the object after the last. */
async function sendChunk(
  service: UploadService,
  session: UploadSession,
  { bytes, start, total }: Chunk,
  signal: AbortSignal,
): Promise<unknown> {
  const end = start + bytes.length;
  let kept = start;
  let tries = 0;
  let asks = false;
  let failure: unknown = failUpload(service, "the service keeps nothing of what it is sent");
  for (;;) {
    const answer: SessionState = asks
      ? await session.ask(total, signal)
      : await session.send(bytes.subarray(kept - start), kept, total, signal);
    if (answer.state === "exists") throw new ObjectExists("An object of that name has come");
    if (answer.state === "lost") throw new SessionLost("The upload's session is over");
    if (answer.state === "complete") {
      if (total !== undefined) return answer.json;
      throw failUpload(service, `the service ends the upload after ${end} bytes`);
    }
    if (answer.state === "failed") failure = answer.error;
    else {
      if (answer.kept < start || answer.kept > end) {
        const reason = `the service has ${answer.kept} bytes where ${start} to ${end} were sent`;
        throw failUpload(service, reason);
      }
      if (answer.kept === end && total === undefined) return undefined;
      if (answer.kept > kept) tries = 0;
      kept = answer.kept;
    }
    // After a failure nobody knows what arrived; and what has all arrived is only to be closed.
    asks = answer.state === "failed" || kept === end;
    await pause(service, tries, failure, signal);
    tries += 1;
  }
}

/** Waits before another try, or throws `failure` where there were enough. */
async function pause(
  { retryPauses }: UploadService,
  tries: number,
  failure: unknown,
  signal: AbortSignal,
): Promise<void> {
  const milliseconds = retryPauses[tries];
  if (milliseconds === undefined) throw failure;
  await setTimeout(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function failUpload({ backend }: UploadService, reason: string): ApiError {
  const message = `Cannot store the file in backend "${backend}": ${reason}`;
  return new ApiError(502, message, { code: "upstream_invalid_answer", retry: false });
}

/**
 * Cuts a content into chunks of `size` bytes, only the last of which may be shorter or empty. All
 * share one buffer: a chunk is valid until the next is asked for.
 */
async function* cutChunks(
  content: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Chunk, void> {
  const buffer = new Uint8Array(size);
  let filled = 0;
  let start = 0;
  for await (let piece of content) {
    while (piece.length > 0) {
      // Only with more to come is a full chunk not the last one.
      if (filled === size) {
        yield { bytes: buffer, start, total: undefined };
        start += size;
        filled = 0;
      }
      const taken = piece.subarray(0, size - filled);
      buffer.set(taken, filled);
      filled += taken.length;
      piece = piece.subarray(taken.length);
    }
  }
  yield { bytes: buffer.subarray(0, filled), start, total: start + filled };
}
