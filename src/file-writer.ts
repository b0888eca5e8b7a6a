import { type FileHandle, open } from "node:fs/promises";
import { ApiError } from "./errors.ts";

/**
 * Writes a new file, readable by its owner alone, in large pieces: one is on its way to the disk
 * while the next one fills. `Bun.FileSink` is not used, because it loses the error of a full disk.
 */
export interface FileWriter {
  /** Takes bytes and copies them; nothing is waited for. */
  write(chunk: Uint8Array): void;
  /** Waits until no more than two pieces are in memory; throws what the disk has refused. */
  settle(): Promise<void>;
  /** Writes the rest and closes the file; throws what the disk has refused. */
  end(): Promise<void>;
  /** Closes the file as it is. */
  abandon(): Promise<void>;
}

const pieceBytes = 1024 * 1024;

/** Is given each piece of a file while it is on its way to the disk. */
export type Inspect = (piece: Uint8Array<SharedArrayBuffer>) => Promise<void>;

/** Creates the file at `path`; throws where there is one. */
export async function createFileWriter(path: string, inspect?: Inspect): Promise<FileWriter> {
  const handle = await open(path, "wx", 0o600);
  // Shared, so that another thread can inspect them without a copy.
  const makePiece = () => new Uint8Array(new SharedArrayBuffer(pieceBytes));
  const spare: Uint8Array<SharedArrayBuffer>[] = [];
  const full: Uint8Array<SharedArrayBuffer>[] = [];
  let piece = makePiece();
  let filled = 0;
  let pending: Promise<void> = Promise.resolve();

  async function flush(buffer: Uint8Array<SharedArrayBuffer>, length: number): Promise<void> {
    const bytes = buffer.subarray(0, length);
    const results = await Promise.allSettled([writeWhole(handle, bytes), inspect?.(bytes)]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    spare.push(buffer);
  }

  async function settle(): Promise<void> {
    for (let buffer = full.shift(); buffer !== undefined; buffer = full.shift()) {
      await pending;
      pending = flush(buffer, pieceBytes);
      // Whoever settles next hears of a failure.
      pending.catch(() => undefined);
    }
  }

  return {
    write(chunk) {
      for (let start = 0; start < chunk.length; ) {
        const count = Math.min(pieceBytes - filled, chunk.length - start);
        piece.set(chunk.subarray(start, start + count), filled);
        filled += count;
        start += count;
        if (filled < pieceBytes) return;
        full.push(piece);
        piece = spare.pop() ?? makePiece();
        filled = 0;
      }
    },
    settle,
    async end() {
      try {
        await settle();
        await pending;
        await flush(piece, filled);
      } finally {
        await handle.close();
      }
    },
    async abandon() {
      await pending.catch(() => undefined);
      await handle.close();
    },
  };
}

/** Creates a file of what `fill` writes; on failure the file is closed, and left. Throws a 507. */
export async function writeFile(
  path: string,
  fill: (writer: FileWriter) => Promise<void>,
  inspect?: Inspect,
): Promise<void> {
  let writer: FileWriter | undefined;
  try {
    writer = await createFileWriter(path, inspect);
    await fill(writer);
    const ending = writer;
    writer = undefined;
    await ending.end();
  } catch (error) {
    await writer?.abandon();
    throw explainWriteError(error);
  }
}

const missingSpace = new Map([
  ["ENOSPC", "the gateway's disk is full"],
  ["EDQUOT", "the gateway's share of its disk is used up"],
  ["EFBIG", "the gateway's disk takes no file of this size"],
]);

/** What the client should read of a failure of the gateway's disk; other errors as they are. */
export function explainWriteError(error: unknown): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  const reason = missingSpace.get("code" in error ? String(error.code) : "");
  return new ApiError(
    reason === undefined ? 500 : 507,
    `Cannot take the file: ${reason ?? "the gateway cannot write to its data directory"}`,
    { code: reason === undefined ? null : "insufficient_storage", retry: false, cause: error },
  );
}

/** The system may take less than it is given; the rest is given again. */
async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.length; ) {
    start += (await handle.write(bytes, start, bytes.length - start)).bytesWritten;
  }
}
