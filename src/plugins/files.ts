import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { reservedNames } from "../config/backends.ts";
import { joinWords } from "../config/names.ts";
import { StartError } from "../errors.ts";

/** A file that should default-export a provider. */
export interface PluginFile {
  /** What `custom_llm_provider` says. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

const entries = ["index.ts", "index.js"];
// `index` names the folder that it is in, the others mean something else in paths.
const reserved = [...reservedNames, "index"];

/**
 * The plugins of a folder, by name: `NAME.ts`, `NAME.js` and `NAME/index.ts`. Names that begin with
 * `_` or have another dot, as `acme.test.ts`, are neighbours and no plugins. Throws a `StartError`
 * for a folder that cannot be read, and for names that cannot be used or are there twice.
 */
export function findPluginFiles(directory: string): readonly PluginFile[] {
  const found: PluginFile[] = [];
  for (const item of readNames(directory)) {
    const file = findEntry(resolve(directory, item));
    if (file === undefined) continue;
    checkName(file);
    const same = found.find(({ name }) => name.toLowerCase() === file.name.toLowerCase());
    if (same !== undefined) {
      throw new StartError(
        `Cannot load provider "${file.name}": both ${same.path} and ${file.path} are named so; remove one of them`,
      );
    }
    found.push(file);
  }
  return found;
}

/** The plugin that `path`, a file or a folder with an `index.ts`, is. Throws a `StartError`. */
export function findPluginFile(path: string): PluginFile {
  const whole = resolve(path);
  const file = findEntry(entries.includes(basename(whole)) ? dirname(whole) : whole);
  if (file === undefined || !existsSync(file.path)) {
    throw new StartError(
      `Cannot load provider from "${path}": name a file NAME.ts or NAME.js, or a folder with an index.ts`,
    );
  }
  checkName(file);
  return file;
}

/** The folder that holds plugins where none is named: `providers` beside the config file. */
export function findDefaultDirectory(configFile: string | undefined): string | undefined {
  if (configFile === undefined) return undefined;
  const parent = dirname(resolve(configFile));
  const directory = join(parent, "providers");
  if (!existsSync(directory) || isOwnSource(parent)) return undefined;
  return directory;
}

/** Whether this is tunegate's own source, where the folder `providers` holds what is built in. */
export function isOwnSource(directory: string): boolean {
  try {
    const { name }: { name?: unknown } = Object(
      JSON.parse(readFileSync(join(directory, "package.json"), "utf8")),
    );
    return name === "tunegate" && existsSync(join(directory, "src/main.ts"));
  } catch {
    // Without a package.json that can be read, it is anybody's folder.
    return false;
  }
}

function readNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const reason =
      code === "ENOENT"
        ? `there is no folder ${resolve(directory)}`
        : code === "ENOTDIR"
          ? "it is no folder"
          : String(error);
    throw new StartError(`Cannot load providers from "${directory}": ${reason}`, { cause: error });
  }
}

function findEntry(path: string): PluginFile | undefined {
  const item = basename(path);
  if (/^[._]/.test(item) || item === "node_modules") return undefined;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    const entry = entries.map((name) => join(path, name)).find((file) => existsSync(file));
    return entry === undefined ? undefined : { name: item, path: entry };
  }
  return /^[^.]+\.[tj]s$/.test(item) ? { name: basename(item, extname(item)), path } : undefined;
}

function checkName({ name, path }: PluginFile): void {
  const problem = findNameProblem(name);
  if (problem !== undefined) throw new StartError(`Cannot load provider from ${path}: ${problem}`);
}

/** Why a provider cannot have a name; undefined where it can. */
export function findNameProblem(name: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) {
    return "a provider's name has 1 to 64 letters, digits, dashes or underscores, because it stands in paths";
  }
  if (!reserved.includes(name.toLowerCase())) return undefined;
  return `a provider cannot be named ${joinWords(reserved)}`;
}
