import { join } from "node:path";
import packageFile from "../package.json";

/** This release's version, as in package.json. */
export const version: string = packageFile.version;

/** The words that start this very program: the compiled executable, or Bun with the sources. */
export const ownCommand: readonly string[] = isCompiled()
  ? [process.execPath]
  : [process.execPath, join(import.meta.dir, "main.ts")];

/** Whether this is what `bun build --compile` makes: it puts the sources into a virtual file system. */
export function isCompiled(): boolean {
  return import.meta.dir.startsWith("/$bunfs") || import.meta.dir.includes("~BUN");
}
