import type { LongLine } from "../report.ts";
import type { ExampleTokens } from "./example.ts";

/** The tokens of the examples of a file, or of a part of it. */
export class Figures {
  readonly #limit: number;
  examples = 0;
  total = 0;
  billable = 0;
  overLimit = 0;
  media = 0;
  /** The longest first; of those of one length the first lines. */
  longest: LongLine[] = [];

  /** `limit` is what is taken of one sequence of an example; null for all. */
  constructor(limit: number | null) {
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
  }

  addExample(line: number, { tokens, sequences, media }: ExampleTokens): void {
    this.examples += 1;
    this.total += tokens;
    this.media += media;
    for (const sequence of sequences) this.billable += Math.min(this.#limit, sequence);
    if (sequences.some((sequence) => sequence > this.#limit)) this.overLimit += 1;
    this.#addLine({ line, tokens });
  }

  /** Adds the figures of lines that come after `lineOffset` others. */
  addFigures(figures: FigureFields, lineOffset: number): void {
    this.examples += figures.examples;
    this.total += figures.total;
    this.billable += figures.billable;
    this.overLimit += figures.overLimit;
    this.media += figures.media;
    for (const { line, tokens } of figures.longest) {
      this.#addLine({ line: line + lineOffset, tokens });
    }
  }

  #addLine(added: LongLine): void {
    const last = this.longest.at(-1);
    if (this.longest.length === longestCount && last !== undefined && compare(last, added) < 0) {
      return;
    }
    this.longest = [...this.longest, added].sort(compare).slice(0, longestCount);
  }
}

/** What is sent between threads of `Figures`. */
export type FigureFields = Pick<
  Figures,
  "examples" | "total" | "billable" | "overLimit" | "media" | "longest"
>;

const longestCount = 10;

function compare(one: LongLine, other: LongLine): number {
  return other.tokens - one.tokens || one.line - other.line;
}
