/** One example is not gone through for more, which could be millions. */
const maximumProblems = 20;
const quotedLength = 40;

/**
 * Takes the findings about one example. The 21st is replaced by a sentence that says that there are
 * more, and what comes after it is dropped.
 */
export class Report {
  readonly #take: (path: string, sentence: string) => void;
  #count = 0;

  /** `take` is given where in the example (`messages[0].role`, empty for the whole) and what. */
  constructor(take: (path: string, sentence: string) => void) {
    this.#take = take;
  }

  /** Whether nothing more is taken, so that the check of the example may end. */
  get isFull(): boolean {
    return this.#count > maximumProblems;
  }

  add(path: string, sentence: string): void {
    if (this.isFull) return;
    this.#count += 1;
    if (!this.isFull) this.#take(path, sentence);
    else {
      this.#take("", `has more than ${maximumProblems} problems; the rest of it was not checked`);
    }
  }
}

/** Checks each item, at `path[0]` and so on, until the report is full. */
export function checkItems(
  items: readonly unknown[],
  path: string,
  report: Report,
  check: (item: unknown, path: string) => void,
): void {
  for (let index = 0; index < items.length && !report.isFull; index += 1) {
    check(items[index], `${path}[${index}]`);
  }
}

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

/** Names a wrong value in a sentence without showing more than 40 characters of it. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(
    value.length > quotedLength ? `${cutText(value, quotedLength - 1)}…` : value,
  );
}

/** Reports unless `value` is a string. */
export function checkString(value: unknown, path: string, report: Report): value is string {
  if (typeof value === "string") return true;
  report.add(
    path,
    value === undefined ? "is missing" : `must be a string, not ${describeValue(value)}`,
  );
  return false;
}
