import { open, readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ApiError } from "../../src/errors.ts";

/** Replaces the file at `path` by `text`: readers, a crash included, find the old or the new whole. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  const handle = await open(next, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, path);
  await syncDirectory(dirname(path));
}

/** Makes what was created, renamed or removed in a directory survive a loss of power. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The names in a directory; none where there is no such directory. */
export async function readNames(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** The text of a file; undefined where there is none. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** Removes a file or a whole directory, there or not. */
export async function removeAll(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Whether an error is one of the system's, by its name such as `ENOENT`. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    codes.includes(error.code)
  );
}

/**
 * What the client should read of a failure to write: 507 for a full disk, 500 where the gateway has
 * no permission; any other error is returned as it is. `action` is such as "upload file".
 */
export function explainWriteError(action: string, error: unknown): unknown {
  if (hasCode(error, "ENOSPC", "EDQUOT")) {
    return new ApiError(
      507,
      `Cannot ${action}: the gateway's disk is full; free space and repeat`,
      {
        code: "insufficient_storage",
        retry: false,
        cause: error,
      },
    );
  }
  if (hasCode(error, "EACCES", "EPERM", "EROFS")) {
    return new ApiError(500, `Cannot ${action}: the gateway may not write to its data directory`, {
      retry: false,
      cause: error,
    });
  }
  return error;
}
