import { type ApiError, badRequest } from "../../errors.ts";
import type { FileReport, FileWarning } from "../../provider.ts";

const maximumWarnings = 100;
/** An error names this many lines; the others are counted. */
const maximumNamedLines = 10;
const unsupportedCode = "unsupported_dataset_feature";

/** Takes what is found about the lines of one file, and says what follows from it. */
export class Findings {
  readonly #onUnsupported: "refuse" | "warn";
  readonly #warnings: FileWarning[] = [];
  readonly #refusals: string[] = [];
  #warningCount = 0;
  #refusedLines = 0;
  #lastRefusedLine = 0;
  #hasInvalidLine = false;
  #isLineInvalid = false;
  #line = 0;
  #examples = 0;
  #carried = 0;
  #isLeftOut = false;

  constructor(onUnsupported: "refuse" | "warn") {
    this.#onUnsupported = onUnsupported;
  }

  /** What follows is about `line`, 1-based, which is not blank. */
  startLine(line: number): void {
    this.#line = line;
    this.#examples += 1;
    this.#isLeftOut = false;
  }

  /** Whether nothing of the file is to be written any more. */
  get isRefused(): boolean {
    return this.#refusedLines > 0;
  }

  /** Notes what is no example of its format: the file is refused whatever the request allows. */
  refuse(sentence: string): void {
    this.#hasInvalidLine = true;
    this.#addRefusal(sentence, true);
  }

  /** Notes what Gemini's format has no place for; `done` says what is done where it is allowed. */
  report(code: string, sentence: string, done: string): void {
    if (this.#onUnsupported === "refuse") {
      this.#addRefusal(sentence, false);
      return;
    }
    // What else there is about an example that is not carried over changes nothing.
    if (this.#isLeftOut) return;
    this.#warningCount += 1;
    if (this.#warnings.length >= maximumWarnings) return;
    this.#warnings.push({ line: this.#line, code, message: `${sentence}; ${done}` });
  }

  /** Notes that the example of this line cannot be carried over at all. */
  leaveOut(code: string, sentence: string): void {
    this.report(code, sentence, "the example is left out");
    this.#isLeftOut = true;
  }

  /** Ends the line; true where its example is to be written. */
  finishLine(): boolean {
    if (this.isRefused || this.#isLeftOut) return false;
    this.#carried += 1;
    return true;
  }

  /** Throws a 400 that names the first 10 lines at fault, or where nothing at all is left. */
  throwIfRefused(): void {
    if (this.isRefused) throw this.#makeRefusal();
    if (this.#examples === 0) throw refuseFile("it has no example");
    if (this.#carried > 0) return;
    const [first] = this.#warnings;
    const reason = first === undefined ? "" : `; line ${first.line}: ${first.message}`;
    throw refuseFile(`none of its examples can be carried over${reason}`, unsupportedCode);
  }

  toReport(): FileReport {
    return {
      examples: this.#examples,
      warnings: this.#warnings,
      warningCount: this.#warningCount,
    };
  }

  /** Keeps one reason for each line, rather what is invalid than what is not supported. */
  #addRefusal(sentence: string, isInvalid: boolean): void {
    const isFirst = this.#lastRefusedLine !== this.#line;
    if (!isFirst && (this.#isLineInvalid || !isInvalid)) return;
    if (isFirst) this.#refusedLines += 1;
    this.#lastRefusedLine = this.#line;
    this.#isLineInvalid = isInvalid;
    if (this.#refusedLines > maximumNamedLines) return;
    this.#refusals[this.#refusedLines - 1] = `line ${this.#line}: ${sentence}`;
  }

  #makeRefusal(): ApiError {
    const count = this.#refusedLines;
    const more = count - this.#refusals.length;
    const message = [
      ...(count > 1 ? [`${count} lines have problems`] : []),
      ...this.#refusals,
      ...(more > 0 ? [`and ${more} more`] : []),
    ].join("; ");
    if (this.#hasInvalidLine) return refuseFile(message);
    const advice = `with "on_unsupported": "warn" the file is carried over as far as that format goes`;
    return refuseFile(`${message}; ${advice}`, unsupportedCode);
  }
}

/** A 400 about the file as a whole; `reason` continues the sentence. */
export function refuseFile(reason: string, code = "invalid_file_format"): ApiError {
  return badRequest(`Cannot store the file in Gemini's format: ${reason}`, "file", code);
}
