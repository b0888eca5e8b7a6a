import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestBytes, startDigest } from "../digest/digest.ts";
import { createFileWriter, explainWriteError, type FileWriter } from "../file-writer.ts";

/** Keeps the bytes of one file: in memory while they are few, else in a file of its own. */
export interface Spool {
  readonly size: () => number;
  /** Takes bytes that stay as they are; nothing is waited for. */
  write(chunk: Uint8Array): void;
  /** Waits for the disk; throws a 507 when it is full. */
  settle(): Promise<void>;
  /** All the bytes and their SHA-256; to be called once, after the last `write`. */
  finish(type: string): Promise<{ readonly content: Blob; readonly sha256: string }>;
  /** Removes what is on disk; to be called on every way out. */
  discard(): Promise<void>;
}

const maxMemoryBytes = 1024 * 1024;

/** Makes a spool whose file, if it needs one, is in `directory`, which is made when needed. */
export function createSpool(directory: string): Spool {
  const path = join(directory, crypto.randomUUID());
  let chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let writer: FileWriter | undefined;
  let digest: Digest | undefined;
  let closed = false;

  async function settle(): Promise<void> {
    if (writer === undefined) {
      if (size <= maxMemoryBytes) return;
      await mkdir(directory, { recursive: true, mode: 0o700 });
      digest = startDigest();
      writer = await createFileWriter(path, digest.update);
      for (const chunk of chunks) writer.write(chunk);
      chunks = [];
    }
    await writer.settle();
  }

  return {
    size: () => size,
    write(chunk) {
      size += chunk.length;
      if (writer !== undefined) writer.write(chunk);
      else chunks.push(new Uint8Array(chunk));
    },
    settle: () => settle().catch(explain),
    async finish(type) {
      if (writer === undefined || digest === undefined) {
        return { content: new Blob(chunks, { type }), sha256: digestBytes(chunks) };
      }
      closed = true;
      await writer.end().catch(explain);
      const ending = digest;
      digest = undefined;
      return { content: Bun.file(path, { type }), sha256: await ending.finish() };
    },
    async discard() {
      chunks = [];
      if (writer !== undefined && !closed) {
        closed = true;
        await writer.abandon();
      }
      // The thread keeps it until then; where the thread has ended there is nothing to be kept.
      await digest?.finish().catch(() => undefined);
      digest = undefined;
      if (writer !== undefined) await rm(path, { force: true });
    },
  };
}

function explain(error: unknown): never {
  throw explainWriteError(error);
}
