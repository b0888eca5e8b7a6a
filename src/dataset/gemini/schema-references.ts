import { cutText, isObject } from "../values.ts";

/** A JSON Schema, or a part of one, that is no boolean. */
export type Schema = Readonly<Record<string, unknown>>;

/** A chain of references that is longer than this leads back to itself. */
const maximumChain = 32;
const pointer = /^#\/(\$defs|definitions)\/([^/]+)$/;

/**
 * Puts in its place what `node` itself refers to by `$ref` or by an `allOf` of one; a reference
 * that is nested in it stays. `report` is given the end of a sentence for what it cannot resolve.
 */
export function inlineReferences(
  node: Schema,
  root: Schema,
  report: (problem: string) => void,
): Schema {
  let schema = node;
  for (let count = 0; count < maximumChain; count += 1) {
    if (schema.$ref === undefined && schema.allOf === undefined) return schema;
    const { $ref: reference, allOf, ...siblings } = schema;
    if (reference !== undefined) {
      const target = findTarget(reference, root);
      if (target === undefined) {
        report("has a $ref to what is not in $defs or definitions");
        const { $ref: _, ...rest } = schema;
        return rest;
      }
      const rest = allOf === undefined ? siblings : { ...siblings, allOf };
      schema = combineSchemas(rest, target, report);
      continue;
    }
    const [only, ...others] = Array.isArray(allOf) ? allOf : [];
    if (!isObject(only) || others.length > 0) return schema;
    schema = combineSchemas(siblings, only, report);
  }
  report("has a $ref that leads back to itself");
  const { $ref: _, allOf: __, ...rest } = schema;
  return rest;
}

/** A schema that holds what both of them say; descriptions are joined. */
export function combineSchemas(
  outer: Schema,
  inner: Schema,
  report: (problem: string) => void,
): Schema {
  const combined = new Map<string, unknown>(Object.entries(inner));
  for (const [key, value] of Object.entries(outer)) {
    const other = combined.get(key);
    if (other === undefined || other === value) combined.set(key, value);
    else if (key === "description") combined.set(key, `${value}\n${other}`);
    else if (key === "required" && Array.isArray(value) && Array.isArray(other)) {
      combined.set(key, [...new Set([...value, ...other])]);
    } else report(`says "${cutText(key, 40)}" in two ways`);
  }
  // Unlike an assignment, this makes a field even of `__proto__`.
  return Object.fromEntries(combined);
}

function findTarget(reference: unknown, root: Schema): Schema | undefined {
  const match = typeof reference === "string" ? pointer.exec(reference) : null;
  const [, group = "", name = ""] = match ?? [];
  const definitions = root[group];
  const key = name.replaceAll("~1", "/").replaceAll("~0", "~");
  if (!isObject(definitions) || !Object.hasOwn(definitions, key)) return undefined;
  const target = definitions[key];
  return isObject(target) ? target : undefined;
}
