import { join } from "node:path";
import packageFile from "../package.json";
import { readCommit } from "./commit.ts" with { type: "macro" };

/** This release's version, as in package.json. */
export const version: string = packageFile.version;

/** What `--version` prints: the release, the commit that it was built from, and Bun's version. */
export function describeVersion(): string {
  return `tunegate ${version} (commit ${readCommit()}, Bun ${Bun.version})`;
}

/** The words that start this very program: the compiled executable, or Bun with the sources. */
export const ownCommand: readonly string[] = isCompiled()
  ? [process.execPath]
  : [process.execPath, join(import.meta.dir, "main.ts")];

/** Whether this is what `bun build --compile` makes: it puts the sources into a virtual file system. */
export function isCompiled(): boolean {
  return import.meta.dir.startsWith("/$bunfs") || import.meta.dir.includes("~BUN");
}
