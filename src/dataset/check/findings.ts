import type { Finding, Findings } from "../report.ts";
import type { ErrorCode, WarningCode } from "./codes.ts";

const maximumKept = 100;
/** One example is not gone through for more, which could be millions. */
const maximumProblems = 20;

/** Counts findings and keeps the first 100 by their lines; those of the whole file come first. */
export class FindingList {
  readonly #first: Finding[] = [];
  #count = 0;

  /** Takes them in any order; of one line they stay in the order they came. */
  add(finding: Finding): void {
    this.#count += 1;
    const line = finding.line ?? 0;
    if (!this.keeps(line)) return;
    let index = this.#first.length;
    while (index > 0 && (this.#first[index - 1]?.line ?? 0) > line) index -= 1;
    this.#first.splice(index, 0, finding);
    if (this.#first.length > maximumKept) this.#first.pop();
  }

  /** Whether a finding on this line would be kept. */
  keeps(line: number): boolean {
    const last = this.#first[maximumKept - 1];
    return last === undefined || (last.line ?? 0) > line;
  }

  /** Counts findings that are not kept. */
  addCount(count: number): void {
    this.#count += count;
  }

  toFindings(): Findings {
    return { count: this.#count, first: this.#first };
  }
}

type Step = string | number;

/**
 * Takes what is found about one example after the other. The checks say where they are by `enter`
 * and `leave`, so that a path costs nothing where there is nothing to find.
 */
export class ExampleReport {
  readonly #errors: FindingList;
  readonly #warnings: FindingList;
  readonly #steps: Step[] = [];
  #warned: WarningCode[] = [];
  #line = 0;
  #number = 0;
  #count = 0;

  constructor(errors: FindingList, warnings: FindingList) {
    this.#errors = errors;
    this.#warnings = warnings;
  }

  /** What follows is about the example `number` of the file, 1-based, on `line`. */
  start(line: number, number: number): void {
    this.#line = line;
    this.#number = number;
    this.#count = 0;
    this.#steps.length = 0;
    if (this.#warned.length > 0) this.#warned = [];
  }

  enter(step: Step): void {
    this.#steps.push(step);
  }

  leave(): void {
    this.#steps.pop();
  }

  /** Whether nothing more is taken, so that the check of the example may end. */
  get isFull(): boolean {
    return this.#count > maximumProblems;
  }

  /**
   * Notes an error at the current place, or further in by `steps`. The 21st of an example is
   * replaced by one that says that there are more, and what comes after it is dropped.
   */
  error(code: ErrorCode, sentence: string, ...steps: readonly Step[]): void {
    if (this.isFull) return;
    this.#count += 1;
    if (this.isFull) {
      const rest = `has more than ${maximumProblems} problems; the rest of it was not checked`;
      this.#addError("too_many_problems", "", rest);
    } else if (this.#errors.keeps(this.#line)) {
      this.#addError(code, formatPath([...this.#steps, ...steps]), sentence);
    } else this.#errors.addCount(1);
  }

  /** Notes a warning; an example has one of each code, at the first place. */
  warn(code: WarningCode, sentence: string, ...steps: readonly Step[]): void {
    if (this.#warned.includes(code)) return;
    this.#warned.push(code);
    if (!this.#warnings.keeps(this.#line)) {
      this.#warnings.addCount(1);
      return;
    }
    const path = formatPath([...this.#steps, ...steps]);
    const message = `Example ${this.#number}${path === "" ? "" : `, ${path}:`} ${sentence}`;
    this.#warnings.add({ line: this.#line, path, code, message });
  }

  #addError(code: ErrorCode, path: string, sentence: string): void {
    const message = formatError(this.#number, path, sentence);
    this.#errors.add({ line: this.#line, path, code, message });
  }
}

/** A sentence about an example in the words of OpenAI's API. */
export function formatError(number: number, path: string, sentence: string): string {
  return `Invalid file format. Example ${number}${path === "" ? "" : `, ${path}:`} ${sentence}`;
}

/** Checks each item at its place, until the report is full. */
export function checkItems(
  items: readonly unknown[],
  report: ExampleReport,
  check: (item: unknown) => void,
): void {
  for (let index = 0; index < items.length && !report.isFull; index += 1) {
    report.enter(index);
    check(items[index]);
    report.leave();
  }
}

function formatPath(steps: readonly Step[]): string {
  let path = "";
  for (const step of steps) {
    if (typeof step === "number") path += `[${step}]`;
    else path += path === "" ? step : `.${step}`;
  }
  return path;
}
