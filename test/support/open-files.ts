import { expect } from "bun:test";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * Waits until a gateway of this process keeps nothing of any upload: its spool directory is empty
 * and no file in `dataDirectory` is open but the databases. Only Linux tells of open files.
 */
export async function expectNoUploads(dataDirectory: string): Promise<void> {
  for (let wait = 0; wait < 400 && listUploads(dataDirectory).length > 0; wait += 1) {
    await Bun.sleep(5);
  }
  expect(listUploads(dataDirectory)).toEqual([]);
}

function listUploads(dataDirectory: string): readonly string[] {
  const spool = join(dataDirectory, "spool");
  const waiting = existsSync(spool) ? readdirSync(spool) : [];
  const open = listOpenFiles().filter(
    (path) => path.startsWith(`${dataDirectory}/`) && !/\.sqlite(?:-\w+)?$/.test(path),
  );
  return [...waiting, ...open];
}

/** Paths of this process's open files; that of a removed one ends in " (deleted)". */
function listOpenFiles(): readonly string[] {
  const directory = "/proc/self/fd";
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((name) => {
    try {
      return [readlinkSync(join(directory, name))];
    } catch {
      // Closed since, as the one of this very list.
      return [];
    }
  });
}
