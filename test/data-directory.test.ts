import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { openDataDirectory } from "../src/data-directory.ts";
import { makeDirectory } from "./support/directory.ts";

test("release() removes the uploads that were still being read, and unlocks the directory", async () => {
  const directory = makeDirectory();
  try {
    const { spoolDirectory, release } = await openDataDirectory(directory.path);
    mkdirSync(spoolDirectory, { recursive: true });
    const upload = join(spoolDirectory, crypto.randomUUID());
    const other = join(spoolDirectory, "notes.txt");
    await Promise.all([Bun.write(upload, "{}"), Bun.write(other, "not ours")]);
    await release();
    expect([existsSync(upload), existsSync(other)]).toEqual([false, true]);
    await (await openDataDirectory(directory.path)).release();
  } finally {
    directory.remove();
  }
});
