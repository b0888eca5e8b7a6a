import { existsSync, readFileSync } from "node:fs";
import * as v from "valibot";
import type { PluginFile } from "./files.ts";

// What Bun throws for a file that it cannot parse.
const BuildFailure = v.object({
  message: v.string(),
  position: v.object({ file: v.string(), line: v.number(), column: v.number() }),
});

/** Where and why an import of a plugin failed, as `file:line:column: reason`. */
export function explainImportError(error: unknown, { path }: PluginFile): string {
  const failure = v.safeParse(BuildFailure, error);
  if (failure.success) {
    const { file, line, column } = failure.output.position;
    return `${file}:${line}:${column}: ${failure.output.message}`;
  }
  const message = error instanceof Error ? error.message : "";
  const unresolved = /^(Cannot find (?:module|package) '([^']*)') imported from (.+)$/.exec(
    message,
  );
  if (unresolved !== null) {
    const [, reason = "", specifier = "", importer = path] = unresolved;
    return `${locate(importer, specifier)}: ${reason}`;
  }
  const unnamed = /^Export named '([^']+)' not found in module '([^']+)'/.exec(message);
  if (unnamed !== null) {
    const [, name = "", module] = unnamed;
    return `${locate(path, name)}: "${module}" exports no "${name}"`;
  }
  return `${locateFrame(error, path)}: it threw ${messageOf(error)}`;
}

/** What an error says: an `Error` its message, anything else its text. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`.slice(0, 500);
  return inspectValue(error, 500);
}

/** How a value looks, in at most so many characters, whatever it is. */
export function inspectValue(value: unknown, length: number): string {
  try {
    return Bun.inspect(value, { depth: 3 }).slice(0, length).toWellFormed();
  } catch {
    return "a value that cannot be looked at";
  }
}

/** The first line of the stack that lies in the plugin's folder, or its file. */
export function locateFrame(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  for (const [, place = ""] of stack.matchAll(/^\s+at (?:.* \()?(.+:\d+:\d+)\)?$/gm)) {
    if (place.startsWith(folder) && !place.includes("/node_modules/")) return place;
  }
  return path;
}

/** `file:line` of the first line that holds `word` as a whole, or the file alone. */
export function locate(path: string, word: string): string {
  if (!existsSync(path)) return path;
  const lines = readFileSync(path, "utf8").split("\n");
  const pattern = new RegExp(`(?<![\\w$])${RegExp.escape(word)}(?![\\w$])`);
  const at = lines.findIndex((line) => pattern.test(line));
  return at < 0 ? path : `${path}:${at + 1}`;
}
