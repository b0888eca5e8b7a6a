import { constants } from "node:fs";
import { access, copyFile, link, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, readNames, readText, removeAll, syncDirectory, writeWhole } from "./disk.ts";
import { appendEvents, type NewEvent } from "./event-log.ts";
import { isJobId } from "./ids.ts";
import { type JobRecord, parseRecord } from "./job-record.ts";
import type { JobDescription } from "./protocol.ts";
import type { TemporaryDirectory } from "./temporary.ts";

/** Where the parts of one job are. */
export interface JobPaths {
  readonly directory: string;
  readonly record: string;
  readonly events: string;
  readonly description: string;
  readonly output: string;
  readonly errors: string;
  readonly results: string;
  readonly trainingFile: string;
  readonly validationFile: string;
}

/**
 * Jobs on disk: a directory a job, and a directory `unfinished` with an empty file for each job that
 * is not over or whose trainer may still run, so that a start need not read all jobs of all time.
 */
export class JobStore {
  readonly #jobs: string;
  readonly #unfinished: string;
  readonly #temporary: TemporaryDirectory;

  constructor(directory: string, temporary: TemporaryDirectory) {
    this.#jobs = join(directory, "jobs");
    this.#unfinished = join(directory, "unfinished");
    this.#temporary = temporary;
  }

  /** Where the parts of a job are; `id` must have the form of a job's. */
  paths(id: string): JobPaths {
    return listPaths(join(this.#jobs, id));
  }

  /**
   * Stores a new job, whole or not at all. The job gets its own links to the bytes of its files:
   * what was there at its creation is what it trains on. Throws ENOENT if one is gone.
   */
  async create(
    record: JobRecord,
    events: readonly NewEvent[],
    trainingFile: string,
    validationFile: string | null,
  ): Promise<JobRecord> {
    const draft = await this.#temporary.create(record.id);
    try {
      const paths = listPaths(draft);
      await linkFile(trainingFile, paths.trainingFile);
      if (validationFile !== null) await linkFile(validationFile, paths.validationFile);
      const stored = await writeRecord(paths, record, events);
      for (const directory of [this.#jobs, this.#unfinished]) {
        await mkdir(directory, { recursive: true, mode: 0o700 });
      }
      // First the mark: one without a job is harmless, a job without one would never be started.
      await writeWhole(join(this.#unfinished, record.id), "");
      await rename(draft, join(this.#jobs, record.id));
      await syncDirectory(this.#jobs);
      return stored;
    } catch (error) {
      for (const path of [draft, join(this.#jobs, record.id)]) await removeAll(path);
      await rm(join(this.#unfinished, record.id), { force: true });
      throw error;
    }
  }

  /**
   * Stores a new state of a job with the events that led to it, both or none: events count only as
   * far as the record says. Returns the record with its new count.
   */
  async commit(record: JobRecord, events: readonly NewEvent[]): Promise<JobRecord> {
    return await writeRecord(this.paths(record.id), record, events);
  }

  /** A job; undefined where there is none. Throws for a record that is damaged. */
  async read(id: string): Promise<JobRecord | undefined> {
    if (!isJobId(id)) return undefined;
    const text = await readText(this.paths(id).record);
    if (text === undefined) return undefined;
    const record = parseRecord(text);
    // A file system that does not tell capital letters from small ones finds a wrong id, too.
    return record.id === id ? record : undefined;
  }

  /** Whether a job has a directory; one that cannot be looked at counts as there. */
  async exists(id: string): Promise<boolean> {
    try {
      await access(this.paths(id).directory);
      return true;
    } catch (error) {
      return !hasCode(error, "ENOENT");
    }
  }

  /** The ids of all jobs, newest first. */
  async listIds(): Promise<string[]> {
    return (await readNames(this.#jobs)).filter(isJobId).sort().reverse();
  }

  /** The ids of the jobs that are marked as unfinished, oldest first. */
  async listUnfinishedIds(): Promise<string[]> {
    return (await readNames(this.#unfinished)).filter(isJobId).sort();
  }

  /**
   * Makes all ready for a trainer's start: what an earlier attempt printed is gone. Throws ENOENT
   * where the job's directory is gone.
   */
  async prepare(description: JobDescription): Promise<void> {
    const paths = this.paths(description.job_id);
    await makeDirectory(paths.results);
    await writeWhole(paths.description, JSON.stringify(description, null, 2));
    for (const path of [paths.output, paths.errors]) await (await open(path, "w", 0o600)).close();
  }

  /** Lets go of what only an unfinished job needs. */
  async retire(id: string): Promise<void> {
    const paths = this.paths(id);
    await rm(paths.trainingFile, { force: true });
    await rm(paths.validationFile, { force: true });
    await rm(join(this.#unfinished, id), { force: true });
  }
}

function listPaths(directory: string): JobPaths {
  return {
    directory,
    record: join(directory, "job.json"),
    events: join(directory, "events.jsonl"),
    description: join(directory, "trainer.json"),
    output: join(directory, "stdout.log"),
    errors: join(directory, "stderr.log"),
    results: join(directory, "output"),
    trainingFile: join(directory, "training.jsonl"),
    validationFile: join(directory, "validation.jsonl"),
  };
}

async function writeRecord(
  paths: JobPaths,
  record: JobRecord,
  events: readonly NewEvent[],
): Promise<JobRecord> {
  let next = record;
  if (events.length > 0) {
    const bytes = await appendEvents(paths.events, record.id, record.events.bytes, events);
    next = { ...record, events: { ...record.events, bytes } };
  }
  await writeWhole(paths.record, JSON.stringify(next));
  return next;
}

// Not its parents: a job that was removed does not come back.
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

async function linkFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Some file systems have no links, and some no more than so many to one file.
    if (hasCode(error, "ENOENT")) throw error;
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}
