import { describeValue } from "../values.ts";
import type { ErrorCode } from "./codes.ts";
import type { ExampleReport } from "./findings.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** What is counted over all examples of a file. */
export class Tally {
  readonly #messages = new Map<string, number>();
  images = 0;
  toolExamples = 0;

  /** `role` is one of those that a format defines. */
  countMessage(role: string): void {
    this.#messages.set(role, (this.#messages.get(role) ?? 0) + 1);
  }

  get messages(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#messages);
  }
}

/** What the service takes of images. */
export interface ImageLimits {
  readonly maxImagesPerExample?: number | undefined;
  readonly maxImageBytes?: number | undefined;
}

/** What the checks of one example write to. */
export interface Context {
  readonly report: ExampleReport;
  readonly tally: Tally;
  readonly limits: ImageLimits;
}

/** The string at `key`; reports where it is another value, and by the code `missing` where none is. */
export function checkString(
  fields: Fields,
  key: string,
  missing: ErrorCode,
  report: ExampleReport,
): string | undefined {
  const value = fields[key];
  if (typeof value === "string") return value;
  if (value === undefined) report.error(missing, "is missing", key);
  else report.error("data_type", `must be a string, not ${describeValue(value)}`, key);
  return undefined;
}

/** Reports at `key` unless `value` is an array. */
export function checkArray(
  value: unknown,
  key: string,
  report: ExampleReport,
): value is readonly unknown[] {
  if (Array.isArray(value)) return true;
  report.error("data_type", `must be an array, not ${describeValue(value)}`, key);
  return false;
}

/** Warns about the first key that is not in `known`. */
export function warnOtherKeys(
  fields: Fields,
  known: ReadonlySet<string>,
  code: "unrecognized_key" | "message_unrecognized_key",
  report: ExampleReport,
): void {
  for (const key in fields) {
    if (known.has(key)) continue;
    report.warn(code, `has the key ${describeValue(key)}, which is not in the published format`);
    return;
  }
}
