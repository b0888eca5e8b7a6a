import { cutText, describeValue, isObject } from "../values.ts";
import type { Findings } from "./findings.ts";
import { isExact } from "./json-text.ts";
import { combineSchemas, inlineReferences, type Schema } from "./schema-references.ts";

const maximumDepth = 32;
const nameLength = 40;
const placeLength = 200;
/** Far above the schemas of real functions; branches and references can multiply without end. */
const maximumWork = 50_000;
const types: ReadonlySet<unknown> = new Set([
  "string",
  "number",
  "integer",
  "boolean",
  "array",
  "object",
  "null",
]);

/** What says nothing about the value. */
const meaningless: ReadonlySet<string> = new Set([
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "strict",
]);
/** Of an object without properties. */
const plainKeys: ReadonlySet<string> = new Set(["type", "properties", "required"]);
const convertedApart: ReadonlySet<string> = new Set(["type", "nullable", "enum", "const"]);

/**
 * Converts the JSON Schema of a function's parameters to the subset of OpenAPI's schemas that
 * Gemini reads; undefined where there are no parameters. References within the
 * schema are put in their places, null becomes `nullable`, a constant an `enum` of one. Dropped
 * without a word are `additionalProperties: false`, `strict`, and names such as `$schema`.
 */
export function convertParameters(
  parameters: unknown,
  place: string,
  findings: Findings,
): Schema | undefined {
  if (!isObject(parameters)) {
    findings.refuse(`${place} must be an object, not ${describeValue(parameters)}`);
    return undefined;
  }
  const { properties } = parameters;
  const isPlain = parameters.type === undefined || parameters.type === "object";
  const hasNone = properties === undefined || (isObject(properties) && isEmpty(properties));
  // Google refuses an object without properties in this place.
  if (isPlain && hasNone && hasOnlyPlainKeys(parameters)) return undefined;
  return new SchemaConverter(parameters, findings).convert(parameters, place, 0);
}

class SchemaConverter {
  readonly #root: Schema;
  readonly #findings: Findings;
  #work = 0;

  constructor(root: Schema, findings: Findings) {
    this.#root = root;
    this.#findings = findings;
  }

  convert(value: unknown, place: string, depth: number): Schema {
    if (!this.#spend(1, depth, place)) return {};
    if (!isObject(value)) {
      this.#report(place, `must be an object, not ${describeValue(value)}`);
      return {};
    }
    const node = inlineReferences(value, this.#root, (problem) => this.#report(place, problem));
    if (!this.#spend(Object.keys(node).length, depth, place)) return {};
    const branches = this.#listBranches(node, place);
    if (branches === undefined) return this.#convertPlain(node, place, depth);
    const { schemas, isNullable, name } = branches;
    const { [name]: _, ...siblings } = node;
    const [only] = schemas;
    const combine = (branch: Schema) => {
      if (this.#work > maximumWork) return {};
      const inlined = inlineReferences(branch, this.#root, (problem) =>
        this.#report(place, problem),
      );
      const combined = combineSchemas(siblings, inlined, (problem) => this.#report(place, problem));
      return isNullable ? { ...combined, nullable: true } : combined;
    };
    if (schemas.length === 1 && only !== undefined) {
      return this.convert(combine(only), place, depth + 1);
    }
    // Google takes nothing else beside anyOf, so each branch gets what stands beside it.
    const anyOf = schemas.map((branch, index) =>
      this.convert(combine(branch), `${place}.${name}[${index}]`, depth + 1),
    );
    return { anyOf };
  }

  /** Counts the schemas and keywords gone through; false, and reported once, beyond the limits. */
  #spend(work: number, depth: number, place: string): boolean {
    if (this.#work > maximumWork) return false;
    this.#work = depth > maximumDepth ? Number.POSITIVE_INFINITY : this.#work + work;
    if (this.#work <= maximumWork) return true;
    const limits = `${maximumWork} keywords or ${maximumDepth} levels`;
    this.#findings.leaveOut("unsupported_schema", `${shortenPlace(place)} goes beyond ${limits}`);
    return false;
  }

  /** The branches of `anyOf`, `oneOf` or several types, without the one that is null. */
  #listBranches(
    node: Schema,
    place: string,
  ): { schemas: Schema[]; isNullable: boolean; name: string } | undefined {
    const name = ["anyOf", "oneOf", "type"].find((key) => Array.isArray(node[key]));
    if (name === undefined) return undefined;
    const listed = node[name];
    if (!Array.isArray(listed)) return undefined;
    const all = listed.map((item: unknown) => (name === "type" ? { type: item } : item));
    const schemas = all.filter(isObject).filter((branch) => !isNull(branch));
    if (all.length === 0 || schemas.length === 0 || !all.every(isObject)) {
      this.#report(`${place}.${name}`, "has no branches that are schemas");
      const { [name]: _, ...rest } = node;
      return { schemas: [rest], isNullable: false, name };
    }
    if (name === "oneOf" && schemas.length > 1) {
      this.#report(`${place}.oneOf`, "is not in Gemini's schemas", "it becomes anyOf");
    }
    return { schemas, isNullable: schemas.length < all.length, name };
  }

  #convertPlain(node: Schema, place: string, depth: number): Schema {
    const type = this.#readType(node, place);
    const schema: Record<string, unknown> = {};
    if (type !== undefined) schema.type = type.toUpperCase();
    const enumeration = node.enum ?? (node.const === undefined ? undefined : [node.const]);
    const allowsNull = Array.isArray(enumeration) && enumeration.includes(null);
    if (node.nullable === true || allowsNull) schema.nullable = true;
    else if (node.nullable !== undefined && node.nullable !== false) {
      this.#report(
        `${place}.nullable`,
        `must be true or false, not ${describeValue(node.nullable)}`,
      );
    }
    for (const key in node) {
      if (isMeaningless(key, node[key]) || convertedApart.has(key)) continue;
      const value = this.#convertKey(key, node[key], place, depth);
      if (value !== undefined) {
        schema[key] = value;
      } else {
        this.#report(`${place}.${cutText(key, nameLength)}`, "cannot be said in Gemini's schemas");
      }
    }
    if (enumeration !== undefined) this.#addEnum(schema, enumeration, type, place);
    if (node.enum !== undefined && node.const !== undefined) {
      this.#report(`${place}.const`, "stands beside an enum");
    }
    return schema;
  }

  /** The type in JSON Schema's words, said or implied. */
  #readType(node: Schema, place: string): string | undefined {
    const { type } = node;
    if (typeof type === "string" && types.has(type)) return type;
    if (type === undefined) {
      if (node.properties !== undefined) return "object";
      if (node.items !== undefined) return "array";
      const values = node.enum ?? [node.const];
      if (Array.isArray(values) && values.some((value) => typeof value === "string")) {
        return "string";
      }
    }
    const sentence = `must be one of JSON Schema's types, not ${describeValue(type)}`;
    this.#report(`${place}.type`, sentence, "it stays open");
    return undefined;
  }

  /** Google writes integers in an enum as strings and gives them the format "enum". */
  #addEnum(
    schema: Record<string, unknown>,
    values: unknown,
    type: string | undefined,
    place: string,
  ): void {
    const listed = Array.isArray(values) ? values.filter((value) => value !== null) : [];
    const isText = listed.every((value) => typeof value === "string" && value !== "");
    const isWhole = type === "integer" && listed.every((value) => Number.isSafeInteger(value));
    if (listed.length === 0 || !((isText && type === "string") || isWhole)) {
      this.#report(`${place}.enum`, "must hold strings that are not empty, or integers");
      return;
    }
    schema.enum = listed.map(String);
    if (isWhole) schema.format = "enum";
  }

  /** One keyword's value; undefined where it cannot be carried over. */
  #convertKey(key: string, value: unknown, place: string, depth: number): unknown {
    switch (key) {
      case "title":
      case "description":
      case "pattern":
      case "format":
        return typeof value === "string" ? value : undefined;
      case "minimum":
      case "maximum":
        return typeof value === "number" && isExact(value) ? value : undefined;
      case "minLength":
      case "maxLength":
      case "minItems":
      case "maxItems":
      case "minProperties":
      case "maxProperties":
        return writeCount(value);
      case "required":
      case "propertyOrdering":
        return Array.isArray(value) && value.every((item) => typeof item === "string")
          ? value
          : undefined;
      case "default":
      case "example":
        return isExact(value) ? value : undefined;
      case "items":
        return isObject(value) ? this.convert(value, `${place}.items`, depth + 1) : undefined;
      case "properties":
        return isObject(value) ? this.#convertProperties(value, place, depth) : undefined;
      default:
        return undefined;
    }
  }

  #convertProperties(properties: Schema, place: string, depth: number): Schema {
    const entries = Object.entries(properties).map(([name, property]) => {
      const where = `${place}.properties.${cutText(name, nameLength)}`;
      return [name, this.convert(property, where, depth + 1)] as const;
    });
    return Object.fromEntries(entries);
  }

  #report(place: string, sentence: string, done = "it is left out"): void {
    this.#findings.report("unsupported_schema", `${shortenPlace(place)} ${sentence}`, done);
  }
}

/** Keeps both ends of where in deep schemas something is. */
function shortenPlace(place: string): string {
  if (place.length <= placeLength) return place;
  const end = place.slice(-placeLength / 2).toWellFormed();
  return `${cutText(place, placeLength / 2)}…${end}`;
}

/** Google's int64 is a string in JSON. */
function writeCount(value: unknown): string | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? `${value}`
    : undefined;
}

function isNull(schema: Schema): boolean {
  return schema.type === "null" && schema.enum === undefined;
}

function isEmpty(value: Schema): boolean {
  for (const _ in value) return false;
  return true;
}

function hasOnlyPlainKeys(schema: Schema): boolean {
  for (const key in schema) {
    if (plainKeys.has(key) || isMeaningless(key, schema[key])) continue;
    return false;
  }
  return true;
}

function isMeaningless(key: string, value: unknown): boolean {
  return meaningless.has(key) || (key === "additionalProperties" && value === false);
}
