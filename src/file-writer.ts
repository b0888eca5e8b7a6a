import { type FileHandle, open } from "node:fs/promises";
import { ApiError } from "./errors.ts";
import { createPieces, type Pieces, type TakePiece } from "./pieces.ts";

/**
 * Writes a new file, readable by its owner alone; `end` and `abandon` close it. `Bun.FileSink` is not
 * used, because it loses the error of a full disk.
 */
export type FileWriter = Pieces;

/** Creates the file at `path`; throws where there is one. `inspect` is given each piece too. */
export async function createFileWriter(path: string, inspect?: TakePiece): Promise<FileWriter> {
  const handle = await open(path, "wx", 0o600);
  let end = 0;
  const pieces = createPieces(async (piece) => {
    const start = end;
    end += piece.length;
    const results = await Promise.allSettled([writeWhole(handle, piece, start), inspect?.(piece)]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
  return {
    write: pieces.write,
    settle: pieces.settle,
    async end() {
      try {
        await pieces.end();
      } finally {
        // Where one write has failed, others may still be under way.
        await pieces.abandon();
        await handle.close();
      }
    },
    async abandon() {
      await pieces.abandon();
      await handle.close();
    },
  };
}

/** Creates a file of what `fill` writes; on failure the file is closed, and left. Throws a 507. */
export async function writeFile(
  path: string,
  fill: (writer: FileWriter) => Promise<void>,
  inspect?: TakePiece,
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
async function writeWhole(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
