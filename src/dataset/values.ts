/** Takes one finding: where in the example (`messages[0].role`, empty for the whole) and what. */
export type Report = (path: string, sentence: string) => void;

const quotedLength = 40;

/** True for what JSON writes in braces. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** False for what is absent, which many clients write as null. */
export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Names a wrong value in a sentence without showing more than 40 characters of it. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(
    value.length > quotedLength ? `${value.slice(0, quotedLength - 1)}…` : value,
  );
}

/** Reports unless `value` is a string. */
export function checkString(value: unknown, path: string, report: Report): value is string {
  if (typeof value === "string") return true;
  report(
    path,
    value === undefined ? "is missing" : `must be a string, not ${describeValue(value)}`,
  );
  return false;
}
