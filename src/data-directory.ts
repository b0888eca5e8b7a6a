import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StartError } from "./errors.ts";

/** Where one gateway keeps what must outlive it; locked against a second one. */
export interface DataDirectory {
  readonly path: string;
  readonly ledgerFile: string;
  /** Where uploads wait; what a crash has left there is removed at start. */
  readonly spoolDirectory: string;
  /** Removes what is left of uploads, and lets another gateway have the directory. */
  release(): Promise<void>;
}

/** Makes (0700) and locks the directory. Throws a `StartError` where another gateway has it. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const spoolDirectory = join(path, "spool");
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const release = lock(path);
    await sweepSpool(spoolDirectory);
    return {
      path,
      ledgerFile: join(path, "ledger.sqlite"),
      spoolDirectory,
      async release() {
        // Uploads whose tokens were still being counted.
        await sweepSpool(spoolDirectory).finally(release);
      },
    };
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(
      `Cannot use the data directory "${path}": ${error instanceof Error ? error.message : String(error)}; name another with --data-dir`,
      { cause: error },
    );
  }
}

/** Removes what a crash has left of uploads, and nothing that was not made here. */
async function sweepSpool(directory: string): Promise<void> {
  const names = existsSync(directory) ? await readdir(directory) : [];
  const ours = names.filter((name) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name));
  await Promise.all(ours.map((name) => rm(join(directory, name), { force: true })));
}

/** A SQLite lock, since the system takes it back however the process ends. */
function lock(path: string): () => void {
  const database = new Database(join(path, "lock.sqlite"));
  try {
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!(error instanceof Error && "code" in error && error.code === "SQLITE_BUSY")) throw error;
    throw new StartError(
      `Cannot use the data directory "${path}": another tunegate is using it; stop that one or name another directory with --data-dir`,
    );
  }
  return () => database.close();
}
