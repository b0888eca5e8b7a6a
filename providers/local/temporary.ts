import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, readNames, removeAll } from "./disk.ts";
import { createRandomText } from "./ids.ts";

// One for all instances in this process: whatever bears another name is a crash's.
const ownName = createRandomText(12);

/**
 * Where this process builds what is then renamed into its place whole, and where it takes what is to
 * be removed.
 */
export class TemporaryDirectory {
  readonly #all: string;
  readonly #own: string;

  constructor(directory: string) {
    this.#all = join(directory, "temporary");
    this.#own = join(this.#all, ownName);
  }

  /** A new, empty directory; the name must not be in use. */
  async create(name: string): Promise<string> {
    const path = join(this.#own, name);
    await mkdir(this.#own, { recursive: true, mode: 0o700 });
    await mkdir(path, { mode: 0o700 });
    return path;
  }

  /** Removes a directory so that it is gone at once or not at all; false if it was not there. */
  async discard(path: string, name: string): Promise<boolean> {
    const grave = join(this.#own, `${name}-removed`);
    await mkdir(this.#own, { recursive: true, mode: 0o700 });
    try {
      await rename(path, grave);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return false;
      throw error;
    }
    await removeAll(grave);
    return true;
  }

  /** Removes what earlier processes have left. */
  async removeLeftovers(): Promise<void> {
    for (const name of await readNames(this.#all)) {
      if (name !== ownName) await removeAll(join(this.#all, name));
    }
  }
}
