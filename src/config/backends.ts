import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import type { BackendConfig } from "../backends.ts";
import type { Provider } from "../provider.ts";
import type { Path } from "./mistakes.ts";
import { formatPath } from "./mistakes.ts";
import { findNearName, joinWords, suggestName } from "./names.ts";
import type { Settings } from "./settings.ts";
import { isMapping, type Mapping, validateMapping } from "./validation.ts";

/** LiteLLM's lists of backends: for files, and for jobs. */
export const backendLists = ["finetune_settings", "files_settings"] as const;

type BackendList = (typeof backendLists)[number];

/** The providers that an entry may name. */
export type Providers = Readonly<Record<string, Provider>>;

/** The keys of an entry that are not its provider's options. */
export const entryKeys = ["custom_llm_provider", "name"];

/** Names that a request's path could not be told from: the first segments of the routes. */
export const reservedNames = [
  ".",
  "..",
  "v1",
  "files",
  "fine_tuning",
  "uploads",
  "models",
  "health",
  "providers",
];

const nameSchema = v.strictObject({
  name: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^[A-Za-z0-9._-]{1,64}$/,
        "must be 1 to 64 letters, digits, dots, dashes or underscores, because it stands in paths",
      ),
      v.check(
        (name) => !reservedNames.includes(name.toLowerCase()),
        `must not be ${joinWords(reservedNames)}, which mean something else in paths`,
      ),
    ),
  ),
});

/** An entry of one of the lists; `options` is undefined where they have a mistake. */
interface Entry {
  readonly list: BackendList;
  readonly path: Path;
  readonly provider: string;
  readonly name: string;
  /** Where its name is written: the key `name`, or else the provider's. */
  readonly namePath: Path;
  readonly options: unknown;
}

/** The entries of all lists; `complete` is false where some could not be read. */
export interface Entries {
  readonly entries: readonly Entry[];
  readonly complete: boolean;
}

/** Reads the values of the lists that the file has, in its order. */
export function readEntries(
  lists: ReadonlyMap<BackendList, unknown>,
  providers: Providers,
  settings: Settings,
): Entries {
  const entries: Entry[] = [];
  let complete = true;
  for (const [list, value] of lists) {
    const items: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
    if (items === undefined) {
      complete = false;
      refuseList(list, value, settings);
    }
    for (const [index, item] of items?.entries() ?? []) {
      const entry = readEntry(item, list, [list, index], providers, settings);
      if (entry === undefined) complete = false;
      else entries.push(entry);
    }
  }
  return { entries, complete };
}

function refuseList(list: BackendList, value: unknown, settings: Settings): void {
  if (settings.isUnreadable([list])) return;
  const message =
    value === null
      ? "has no value; add an entry, or remove the line"
      : "must be a list; start each entry with -";
  settings.addMistake([list], message);
}

function readEntry(
  item: unknown,
  list: BackendList,
  path: Path,
  providers: Providers,
  settings: Settings,
): Entry | undefined {
  if (settings.isUnreadable(path)) return undefined;
  if (!isMapping(item)) {
    settings.addMistake(path, "must be a mapping that starts with custom_llm_provider");
    return undefined;
  }
  const { custom_llm_provider: _kind, name: _name, ...options } = item;
  const kindPart = pickKey(item, "custom_llm_provider");
  if (kindPart === undefined && suggestProviderKey(options, path, settings)) return undefined;
  const kindSchema = v.strictObject({ custom_llm_provider: v.picklist(Object.keys(providers)) });
  const kind = validateMapping(kindSchema, kindPart ?? {}, path, settings)?.custom_llm_provider;
  const namePart = pickKey(item, "name");
  const named = validateMapping(nameSchema, namePart ?? {}, path, settings);
  const provider = kind === undefined ? undefined : providers[kind];
  if (kind === undefined || provider === undefined) return undefined;
  const read = validateMapping(provider.options, options, path, settings, entryKeys);
  if (named === undefined) return undefined;
  const namePath = [...path, namePart === undefined ? "custom_llm_provider" : "name"];
  return { list, path, provider: kind, name: named.name ?? kind, namePath, options: read };
}

function pickKey(mapping: Mapping, key: string): Mapping | undefined {
  return key in mapping ? { [key]: mapping[key] } : undefined;
}

/** Names a key that was meant to be `custom_llm_provider`, rather than say that it is missing. */
function suggestProviderKey(options: Mapping, path: Path, settings: Settings): boolean {
  const meant = Object.keys(options).find(
    (key) => key === "provider" || findNearName(key, ["custom_llm_provider"]) !== undefined,
  );
  if (meant === undefined) return false;
  const message = 'unknown key; did you mean "custom_llm_provider"?';
  settings.addMistake([...path, meant], message, "key");
  return true;
}

/** Makes the backends, in the order of the entries; notes the names that could mean two of them. */
export function combineEntries(
  entries: readonly Entry[],
  settings: Settings,
): readonly BackendConfig[] {
  for (const [index, entry] of entries.entries()) {
    const message = findNameConflict(entry, entries.slice(0, index), entries);
    if (message !== undefined) settings.addMistake(entry.namePath, message);
  }
  return [...new Set(entries.map(({ name }) => name))].flatMap((name) => {
    const jobs = entries.find((entry) => entry.name === name && entry.list === "finetune_settings");
    const files = entries.find((entry) => entry.name === name && entry.list === "files_settings");
    const first = jobs ?? files;
    if (first === undefined) return [];
    const filesOptions = (files ?? first).options;
    // Equal options are one object, so that one instance serves both.
    const jobsOptions = isDeepStrictEqual(filesOptions, first.options)
      ? filesOptions
      : first.options;
    return [{ name, provider: first.provider, files: filesOptions, jobs: jobsOptions }];
  });
}

function findNameConflict(
  entry: Entry,
  earlier: readonly Entry[],
  all: readonly Entry[],
): string | undefined {
  const same = earlier.find(({ name }) => name.toLowerCase() === entry.name.toLowerCase());
  if (same !== undefined) {
    const other = formatPath(same.path);
    if (same.name !== entry.name) {
      // Each backend has a directory, and some file systems do not tell the two apart.
      return `gives the name of ${other} in another case; choose another name`;
    }
    if (same.list === entry.list) {
      return `gives the same name as ${other}; add "name" to tell them apart`;
    }
    if (same.provider === entry.provider) return undefined;
    return `gives the name of ${other}, which has another provider; choose another name`;
  }
  // A request's hint may be a name or a provider: here it could mean either.
  const meant = all.find(({ provider }) => provider === entry.name && provider !== entry.provider);
  if (meant === undefined) return undefined;
  return `gives a name that is the provider of ${formatPath(meant.path)}; choose another name`;
}

/** Notes a `default_provider` that is neither a backend nor a provider with one. */
export function checkDefaultProvider(
  wanted: string | undefined,
  backends: readonly { readonly name: string; readonly provider: string }[],
  settings: Settings,
): void {
  const path = ["general_settings", "default_provider"];
  if (wanted === undefined || settings.isUnreadable(path)) return;
  const names = [...new Set(backends.flatMap(({ name, provider }) => [name, provider]))];
  if (names.includes(wanted)) return;
  const suggestion = suggestName(wanted, names);
  settings.addMistake(path, `names no backend and no provider that has one; ${suggestion}`);
}
