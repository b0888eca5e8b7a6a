import { parseLine, splitLines } from "./dataset/lines.ts";

export { type CheckOptions, checkDataset } from "./dataset/check/check.ts";
export { type DatasetMethod, datasetFormats, readItemFields } from "./dataset/check/file-format.ts";
export { findOverlap, type OverlapReport, type SharedExample } from "./dataset/check/overlap.ts";

/** One line that is not blank. */
export interface DatasetLine {
  /** 1-based; blank lines count. */
  readonly line: number;
  readonly text: string;
  /** The text parsed as JSON. */
  readonly value: unknown;
}

/** Thrown by `readLines` for a line that is not valid UTF-8 or JSON; the message names the line. */
export class DatasetLineError extends Error {
  override readonly name = "DatasetLineError";
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** The lines of a file that are not blank, read as they are asked for. */
export async function* readLines(content: Blob): AsyncGenerator<DatasetLine> {
  for await (const batch of splitLines(content)) {
    for (const raw of batch) {
      const parsed = parseLine(raw);
      if ("broken" in parsed) throw new DatasetLineError(raw.line, parsed.broken);
      yield { line: raw.line, ...parsed };
    }
  }
}
