import { maskSecrets } from "./check/secrets.ts";

const quotedLength = 40;

/** The first `length` UTF-16 units; half a surrogate pair, which breaks UTF-8, becomes U+FFFD. */
export function cutText(text: string, length: number): string {
  return text.slice(0, length).toWellFormed();
}

/** True for what JSON writes in braces. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** False for what is absent, which many clients write as null. */
export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Names a wrong value in a sentence: no more than 40 characters of it, and none of a secret. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  const text = maskSecrets(String(value));
  if (typeof value !== "string") return text;
  return JSON.stringify(text.length > quotedLength ? `${cutText(text, quotedLength - 1)}…` : text);
}
