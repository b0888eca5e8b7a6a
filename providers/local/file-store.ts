import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { Runtime } from "../../src/provider.ts";
import { readNames, readText, removeAll, syncDirectory, writeWhole } from "./disk.ts";
import { isFileId, readCreatedAt } from "./ids.ts";
import type { TemporaryDirectory } from "./temporary.ts";

const storedFileSchema = v.object({
  id: v.string(),
  bytes: v.number(),
  filename: v.string(),
  purpose: v.string(),
  expires_at: v.nullable(v.number()),
});

/** What is known of a file; times are Unix seconds. */
export interface StoredFile extends v.InferOutput<typeof storedFileSchema> {
  readonly created_at: number;
}

/** A file on its way to the disk; `id` is one of `createId`. */
export interface NewFile {
  readonly id: string;
  readonly filename: string;
  readonly purpose: string;
  readonly expires_at: number | null;
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * Files on disk: a directory a file, named by its id, with `file.json` and `content` in it. It gets
 * its place by one rename when all is written, so a crash leaves no half file.
 */
export class FileStore {
  readonly #directory: string;
  readonly #temporary: TemporaryDirectory;

  readonly #log: Runtime["log"];

  constructor(directory: string, temporary: TemporaryDirectory, log: Runtime["log"]) {
    this.#directory = join(directory, "files");
    this.#temporary = temporary;
    this.#log = log;
  }

  /** Resolves once all of the file is on the disk; on failure nothing of it is left. */
  async add(file: NewFile, signal: AbortSignal): Promise<StoredFile> {
    const { id, filename, purpose, expires_at } = file;
    const draft = await this.#temporary.create(id);
    try {
      const bytes = await writeContent(join(draft, "content"), file.content, signal);
      const fields = { id, bytes, filename, purpose, expires_at };
      await writeWhole(join(draft, "file.json"), JSON.stringify(fields));
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      signal.throwIfAborted();
      await rename(draft, join(this.#directory, id));
      await syncDirectory(this.#directory);
      return { ...fields, created_at: readCreatedAt(id) };
    } catch (error) {
      await removeAll(draft);
      throw error;
    }
  }

  /**
   * A file that is there and has not expired; an expired one is removed. One whose `file.json` is
   * damaged is undefined, and logged.
   */
  async get(id: string): Promise<StoredFile | undefined> {
    if (!isFileId(id)) return undefined;
    const text = await readText(join(this.#directory, id, "file.json"));
    if (text === undefined) return undefined;
    const file = this.#parse(id, text);
    if (file === undefined) return undefined;
    // A file system that does not tell capital letters from small ones finds a wrong id, too.
    if (file.id !== id) return undefined;
    if (file.expires_at !== null && file.expires_at * 1000 <= Date.now()) {
      await this.remove(id);
      return undefined;
    }
    return { ...file, created_at: readCreatedAt(id) };
  }

  /** All files by their time, after the one of id `after` if given; read as they are asked for. */
  async *list(order: "asc" | "desc", after?: string): AsyncGenerator<StoredFile> {
    const ids = (await readNames(this.#directory)).filter(isFileId).sort();
    if (order === "desc") ids.reverse();
    for (const id of ids) {
      if (after !== undefined && (order === "desc" ? id >= after : id <= after)) continue;
      const file = await this.get(id);
      if (file !== undefined) yield file;
    }
  }

  /** Removes a file for good; false if it was not there. */
  async remove(id: string): Promise<boolean> {
    return await this.#temporary.discard(join(this.#directory, id), id);
  }

  /** Removes for good what `get` does not know but the disk does; false if nothing was there. */
  async removeDamaged(id: string): Promise<boolean> {
    // A file system that does not tell capital letters from small ones finds a wrong id, too.
    const names = isFileId(id) ? await readNames(this.#directory) : [];
    return names.includes(id) && (await this.remove(id));
  }

  /** The path of the bytes of a file; `id` must be one that `get` knows. */
  contentPath(id: string): string {
    return join(this.#directory, id, "content");
  }

  // One damaged record is no reason to hide all the other files.
  #parse(id: string, text: string): v.InferOutput<typeof storedFileSchema> | undefined {
    try {
      return v.parse(storedFileSchema, JSON.parse(text));
    } catch (error) {
      this.#log("error", `Cannot read file "${id}": its record is damaged; delete it`, {
        error: String(error),
      });
      return undefined;
    }
  }
}

async function writeContent(
  path: string,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  // Trainers read the very same bytes: nobody changes a file once it is stored.
  const handle = await open(path, "wx", 0o400);
  try {
    let bytes = 0;
    for await (const chunk of content) {
      signal.throwIfAborted();
      await handle.writeFile(chunk);
      bytes += chunk.byteLength;
    }
    await handle.sync();
    return bytes;
  } finally {
    await handle.close();
  }
}
