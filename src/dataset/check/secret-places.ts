import { isObject } from "../values.ts";
import type { ExampleReport } from "./findings.ts";
import {
  describeSecret,
  findSecrets,
  hintSecrets,
  maskSecrets,
  type SecretCode,
} from "./secrets.ts";

const plainKey = /^[A-Za-z_][A-Za-z0-9_-]{0,39}$/;
const kindCount = 5;

/** Warns about each kind of secret in an example once, where it comes first; never shows it. */
export function warnOfSecrets(text: string, example: unknown, report: ExampleReport): void {
  const hints = hintSecrets(text);
  // Nearly all lines end here.
  if (hints === 0) return;
  const found = new Set<SecretCode>();
  const search = (value: unknown): void => {
    if (found.size === kindCount) return;
    if (typeof value === "string") warnOfText(value, hints, found, report);
    else if (typeof value === "number") warnOfText(String(value), hints, found, report);
    else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) searchIn(index, item);
    } else if (isObject(value)) {
      for (const key in value) {
        warnOfText(key, hints, found, report);
        searchIn(nameKey(key), value[key]);
      }
    }
  };
  const searchIn = (step: string | number, value: unknown) => {
    report.enter(step);
    search(value);
    report.leave();
  };
  search(example);
}

function warnOfText(
  text: string,
  hints: number,
  found: Set<SecretCode>,
  report: ExampleReport,
): void {
  // What images hold is no text, and long.
  if (text.length < 6 || text.startsWith("data:")) return;
  for (const code of findSecrets(text, hints)) {
    found.add(code);
    report.warn(code, describeSecret(code));
  }
}

/** A key that is no plain word, or is itself a secret, is not shown. */
function nameKey(key: string): string {
  return plainKey.test(key) && maskSecrets(key) === key ? key : "[other]";
}
