import { isObject } from "../values.ts";

/** Far above what a model could read; parsing more of it, hidden in a string, fills memory. */
const maximumLength = 1_000_000;
const maximumDepth = 32;
const halfPair = /\p{Surrogate}/gu;
const objectStart = /^[ \t\r\n]*\{/;
const lineEnds = /[\r\n]/g;

/**
 * The JSON object that `text` holds, as text to be put into a line; undefined where it holds none
 * or is longer than a million characters. The text is kept and not written anew, so that numbers
 * keep all their digits and keys their order.
 */
export function readObjectText(text: string): string | undefined {
  // Most texts are none, and an error of parsing costs more than the rest of a line.
  if (text.length > maximumLength || !objectStart.test(text)) return undefined;
  if (!isObject(parseJson(text))) return undefined;
  // Line ends can stand between tokens only, half a surrogate pair in strings only.
  const line = text.trim().replace(lineEnds, " ");
  return line.isWellFormed() ? line : line.replace(halfPair, escapeUnit);
}

/** False for a value with a number whose text may have had more digits, or that is nested deeply. */
export function isExact(value: unknown, depth = 0): boolean {
  if (typeof value === "number") {
    return Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  }
  if (typeof value !== "object" || value === null) return true;
  return depth < maximumDepth && Object.values(value).every((item) => isExact(item, depth + 1));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16)}`;
}
