import * as v from "valibot";
import type { Path } from "./mistakes.ts";
import { findNearName, joinWords, suggestName } from "./names.ts";
import type { Settings } from "./settings.ts";

/** A mapping of the file. */
export type Mapping = Record<string, unknown>;

/** Whether a value of the file is a mapping. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads the mapping at `path` by `schema`; undefined, with each issue noted as a mistake, where it
 * does not fit. `siblings` are keys that belong to the mapping but were read before.
 */
export function validateMapping<const Schema extends v.GenericSchema>(
  schema: Schema,
  mapping: Mapping,
  path: Path,
  settings: Settings,
  siblings: readonly string[] = [],
): v.InferOutput<Schema> | undefined {
  refuseListsForMappings(schema, mapping, path, settings);
  const misspelt = new Set<string>();
  for (const seen = new Set<string>(); ; ) {
    const result = v.safeParse(schema, mapping, { message: describeIssue });
    const unknown = result.issues?.flatMap((issue) => findUnknownKey(issue) ?? []) ?? [];
    const fresh = unknown.filter(({ keys }) => !seen.has(JSON.stringify(keys)));
    // Valibot names one unknown key of an object at a time: without it, it names the next.
    for (const { keys, parent } of fresh) {
      seen.add(JSON.stringify(keys));
      const near = addUnknownKey(schema, keys, path, settings, siblings);
      misspelt.add(JSON.stringify([...keys.slice(0, -1), near]));
      Reflect.deleteProperty(parent, keys.at(-1) ?? "");
    }
    if (fresh.length > 0) continue;
    for (const issue of result.issues ?? []) {
      if (misspelt.has(JSON.stringify(listKeys(issue))) && isMissing(issue)) continue;
      addIssue(schema, issue, path, settings);
    }
    return result.success && seen.size === 0 ? result.output : undefined;
  }
}

/** Notes an unknown key; returns the one that it was likely meant to be. */
function addUnknownKey(
  schema: v.GenericSchema,
  keys: Path,
  base: Path,
  settings: Settings,
  siblings: readonly string[],
): string | undefined {
  const entries = Object.keys(findSchema(schema, keys.slice(0, -1))?.entries ?? {});
  const known = keys.length === 1 ? [...siblings, ...entries] : entries;
  const key = String(keys.at(-1));
  settings.addMistake([...base, ...keys], `unknown key; ${suggestName(key, known)}`, "key");
  return findNearName(key, known);
}

/** Whether a key is not there; the key of a `v.record` that does not fit is there, with its text. */
function isMissing({ path, input }: v.BaseIssue<unknown>): boolean {
  return path?.at(-1)?.origin === "key" && input === undefined;
}

function addIssue(
  schema: v.GenericSchema,
  issue: v.BaseIssue<unknown>,
  base: Path,
  settings: Settings,
): void {
  const keys = listKeys(issue);
  const path = [...base, ...keys];
  if (settings.isUnreadable(path)) return;
  if (isMissing(issue)) {
    const expected = findSchema(schema, keys)?.expects ?? null;
    settings.addMistake(path, `is missing; it must be ${describeExpected(expected)}`);
  } else if (settings.isFromEnvironment(path)) {
    settings.addMistake(
      path,
      issue.message.replace(/, is text.*$/, ", but os.environ/ gives text"),
    );
  } else settings.addMistake(path, issue.message, issue.path?.at(-1)?.origin);
}

function findUnknownKey(
  issue: v.BaseIssue<unknown>,
): { readonly keys: Path; readonly parent: object } | undefined {
  const last = issue.path?.at(-1);
  if (issue.expected !== "never" || last?.origin !== "key") return undefined;
  const parent: unknown = last.input;
  return isMapping(parent) ? { keys: listKeys(issue), parent } : undefined;
}

function listKeys(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** Valibot takes a list for a mapping with the keys 0, 1, 2: a `-` too many would go unseen. */
function refuseListsForMappings(
  schema: v.GenericSchema,
  mapping: Mapping,
  path: Path,
  settings: Settings,
): void {
  for (const [key, value] of Object.entries(mapping)) {
    if (!Array.isArray(value) || findSchema(schema, [key])?.expects !== "Object") continue;
    settings.addMistake([...path, key], "must be a mapping, is a list");
    settings.markUnreadable([...path, key]);
    mapping[key] = {};
  }
}

/** What is read of a valibot schema to explain an issue. */
const schemaShape = v.object({
  expects: v.nullable(v.string()),
  entries: v.optional(v.record(v.string(), v.unknown())),
  wrapped: v.optional(v.unknown()),
  item: v.optional(v.unknown()),
  value: v.optional(v.unknown()),
});

type SchemaShape = v.InferOutput<typeof schemaShape>;

/** The schema of what `keys` lead to, without its `v.optional` and the like. */
function findSchema(schema: unknown, keys: Path): SchemaShape | undefined {
  if (!v.is(schemaShape, schema)) return undefined;
  if (schema.wrapped !== undefined) return findSchema(schema.wrapped, keys);
  const [key, ...rest] = keys;
  if (key === undefined) return schema;
  return findSchema(schema.entries?.[key] ?? schema.item ?? schema.value, rest);
}

/** Said of an issue whose schema has no message of its own; quotes nothing of the file. */
function describeIssue(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== "schema") return describeRequirement(issue);
  const expected = describeExpected(issue.expected);
  if (issue.input === null) return `has no value; it must be ${expected}`;
  if (Number.isNaN(issue.input)) return "must be a finite number";
  const near =
    typeof issue.input === "string"
      ? findNearName(issue.input, listQuoted(issue.expected ?? ""))
      : undefined;
  if (near !== undefined) return `must be ${expected}; did you mean "${near}"?`;
  if (listQuoted(issue.expected ?? "").length > 0) return `must be ${expected}`;
  return `must be ${expected}, is ${describeKind(issue.input)}${adviseQuotes(issue.input, expected)}`;
}

function adviseQuotes(input: unknown, expected: string): string {
  if (expected === "text" && typeof input !== "object") return "; put it in quotes";
  const number = expected === "a number" && typeof input === "string" && input.trim() !== "";
  return number && Number.isFinite(Number(input)) ? "; remove the quotes" : "";
}

function describeRequirement(issue: v.BaseIssue<unknown>): string {
  const limit = String(issue.requirement);
  const unit = `${Array.isArray(issue.input) ? "item" : "character"}${limit === "1" ? "" : "s"}`;
  const known: Readonly<Record<string, string>> = {
    finite: "must be a finite number",
    gt_value: `must be more than ${limit}`,
    integer: "must be a whole number",
    lt_value: `must be less than ${limit}`,
    max_length: `must have at most ${limit} ${unit}`,
    max_value: `must be at most ${limit}`,
    min_length: `must have at least ${limit} ${unit}`,
    min_value: `must be at least ${limit}`,
    non_empty: "must not be empty",
    safe_integer: "must be a whole number",
    url: "must be a URL, such as https://example.com/v1",
  };
  return known[issue.type] ?? `must be ${issue.expected ?? "valid"}`;
}

const expectedWords: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Array: "a list",
  Object: "a mapping",
};

/** Turns valibot's `("a" | Array)` into words. */
function describeExpected(expected: string | null): string {
  const parts = (expected ?? "a value")
    .replace(/[()]/g, "")
    .split(" | ")
    .filter((part) => part !== "undefined" && part !== "null");
  return joinWords(parts.map((part) => expectedWords[part] ?? part));
}

function listQuoted(expected: string): readonly string[] {
  return [...expected.matchAll(/"([^"]*)"/g)].map(([, name = ""]) => name);
}

function describeKind(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return expectedWords[typeof value] ?? "something else";
}
