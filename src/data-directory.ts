import { Database } from "bun:sqlite";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StartError } from "./errors.ts";

/** Where one gateway keeps what must outlive it; locked against a second one. */
export interface DataDirectory {
  readonly path: string;
  readonly ledgerFile: string;
  /** Emptied at start: what a crash has left of uploads. */
  readonly spoolDirectory: string;
  release(): void;
}

/** Makes (0700) and locks the directory. Throws a `StartError` where another gateway has it. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const spoolDirectory = join(path, "spool");
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const release = lock(path);
    await rm(spoolDirectory, { recursive: true, force: true });
    return { path, ledgerFile: join(path, "ledger.sqlite"), spoolDirectory, release };
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(
      `Cannot use the data directory "${path}": ${error instanceof Error ? error.message : String(error)}; name another with --data-dir`,
      { cause: error },
    );
  }
}

/** A SQLite lock, since the system takes it back however the process ends. */
function lock(path: string): () => void {
  const database = new Database(join(path, "lock.sqlite"));
  try {
    database.run("BEGIN EXCLUSIVE");
  } catch {
    database.close();
    throw new StartError(
      `Cannot use the data directory "${path}": another tunegate is using it; stop that one or name another directory with --data-dir`,
    );
  }
  return () => database.close();
}
