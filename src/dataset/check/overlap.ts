import { parseLine, type RawLine } from "../lines.ts";
import { isObject } from "../values.ts";
import { ContentHash, SeenExamples } from "./duplicates.ts";
import { visitLines } from "./visit-lines.ts";

const maximumKept = 100;

/** An example of the validation file that the training file has too. */
export interface SharedExample {
  /** In the validation file. */
  readonly line: number;
  /** The first in the training file that has it. */
  readonly training_line: number;
}

/** What a training and a validation file have in common. */
export interface OverlapReport {
  /** Examples of the validation file, repetitions too, that are in the training file. */
  readonly count: number;
  /** The first 100, in the order of the validation file. */
  readonly first: readonly SharedExample[];
  /** False where the training file has more than three million different examples. */
  readonly complete: boolean;
}

/**
 * Finds the examples that are in both files, whatever the order of their keys and their spaces.
 * Holds one line at a time besides 75 MB at most; lines that are no JSON objects are left out.
 */
export async function findOverlap(
  training: Blob,
  validation: Blob,
  signal: AbortSignal,
): Promise<OverlapReport> {
  const hash = new ContentHash();
  const seen = new SeenExamples();
  await visitLines(training, signal, ignore, (raw) => {
    if (hashLine(raw, hash)) seen.add(hash, raw.line);
  });
  const first: SharedExample[] = [];
  let count = 0;
  await visitLines(validation, signal, ignore, (raw) => {
    if (!hashLine(raw, hash)) return;
    const trainingLine = seen.find(hash);
    if (trainingLine === 0) return;
    count += 1;
    if (first.length < maximumKept) first.push({ line: raw.line, training_line: trainingLine });
  });
  return { count, first, complete: !seen.isCut };
}

function hashLine(raw: RawLine, hash: ContentHash): boolean {
  const parsed = parseLine(raw);
  return "value" in parsed && isObject(parsed.value) && hash.compute(parsed.value);
}

function ignore(): void {
  // Nobody asks how far it is.
}
