import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { checkExample, type DatasetMethod } from "./dataset/formats.ts";
import { parseLine, quoteStart, splitLines } from "./dataset/lines.ts";
import { isObject, Report } from "./dataset/values.ts";

export type { DatasetMethod } from "./dataset/formats.ts";

/** One thing that is wrong with one line. */
export interface DatasetProblem {
  /** 1-based; blank lines count. */
  readonly line: number;
  /** OpenAI's code of a job's error, such as `invalid_file_format`. */
  readonly code: string;
  readonly message: string;
}

/** What a whole file holds. */
export interface DatasetCheck {
  /** The number of lines that are not blank, valid or not. */
  readonly examples: number;
  /** The first 50 problems in the order of the file. */
  readonly problems: readonly DatasetProblem[];
  /**
   * Of all lines; of one example at most 21, the last of which says that there are more than 20 and
   * that the rest of the example was not checked.
   */
  readonly problemCount: number;
}

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

const maximumProblems = 50;
/** How long lines are checked before other work of the process goes on. */
const maximumTurnMilliseconds = 10;
const code = "invalid_file_format";
const jsonlRule =
  "Expected file to have JSONL format, where every line is a valid JSON dictionary.";

/**
 * Checks every line of a training file in one pass, holding one line at a time. The number of
 * examples is reported only: how few are too few is the caller's rule. Rejects with the signal's
 * reason, or with the error of reading.
 */
export async function checkDataset(
  content: Blob,
  method: DatasetMethod,
  signal: AbortSignal,
): Promise<DatasetCheck> {
  const problems: DatasetProblem[] = [];
  let problemCount = 0;
  let examples = 0;
  const add = (line: number, message: string) => {
    problemCount += 1;
    if (problems.length < maximumProblems) problems.push({ line, code, message });
  };
  for await (const batch of splitLines(content, signal)) {
    let turnStart = performance.now();
    for (const raw of batch) {
      if (performance.now() - turnStart > maximumTurnMilliseconds) {
        await yieldToEventLoop();
        signal.throwIfAborted();
        turnStart = performance.now();
      }
      const parsed = parseLine(raw);
      examples += 1;
      if ("broken" in parsed) {
        add(raw.line, `${jsonlRule} ${parsed.broken}.`);
      } else if (!isObject(parsed.value)) {
        add(
          raw.line,
          `${jsonlRule} Line ${raw.line} is not a dictionary ${quoteStart(parsed.text)}.`,
        );
      } else {
        const number = examples;
        const report = new Report((path, sentence) => {
          const place = path === "" ? `${number}` : `${number}, ${path}:`;
          add(raw.line, `Invalid file format. Example ${place} ${sentence}`);
        });
        checkExample(parsed.value, method, report);
      }
    }
  }
  return { examples, problems, problemCount };
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
