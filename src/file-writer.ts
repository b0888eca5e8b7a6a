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

/** Creates the file at `path`; throws where there is one. */
export async function createFileWriter(path: string): Promise<FileWriter> {
  const handle = await open(path, "wx", 0o600);
  const spare: Uint8Array<ArrayBuffer>[] = [];
  const full: Uint8Array<ArrayBuffer>[] = [];
  let piece = new Uint8Array(pieceBytes);
  let filled = 0;
  let pending: Promise<void> = Promise.resolve();

  async function flush(buffer: Uint8Array<ArrayBuffer>, length: number): Promise<void> {
    await writeWhole(handle, buffer.subarray(0, length));
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
        piece = spare.pop() ?? new Uint8Array(pieceBytes);
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
): Promise<void> {
  let writer: FileWriter | undefined;
  try {
    writer = await createFileWriter(path);
    await fill(writer);
    const ending = writer;
    writer = undefined;
    await ending.end();
  } catch (error) {
    await writer?.abandon();
    throw explainWriteError(error);
  }
}

/** What the client should read of a failure of the gateway's disk; other errors as they are. */
export function explainWriteError(error: unknown): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  const full = "code" in error && error.code === "ENOSPC";
  return new ApiError(
    full ? 507 : 500,
    full
      ? "Cannot take the file: the gateway's disk is full"
      : "Cannot take the file: the gateway cannot write to its data directory",
    { code: full ? "insufficient_storage" : null, retry: false, cause: error },
  );
}

/** The system may take less than it is given; the rest is given again. */
async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.length; ) {
    start += (await handle.write(bytes, start, bytes.length - start)).bytesWritten;
  }
}
