import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { LineSplitter, parseLine, type RawLine } from "../lines.ts";
import type { DatasetFormat } from "../report.ts";
import { countExample, type ExampleTokens } from "./example.ts";
import { type FigureFields, Figures } from "./figures.ts";
import { type CountText, loadTokenizer, type TokenizerName } from "./tokenizer.ts";

/** Whole lines of a file, and how to count them. */
export interface RangeInput {
  readonly content: Blob;
  /** Whether the file starts here: only there a byte order mark is none of its text. */
  readonly isStart: boolean;
  readonly tokenizer: TokenizerName;
  readonly format: DatasetFormat;
  readonly limit: number | null;
}

/** The figures of some lines, the first of which is line 1. */
export interface RangeFigures extends FigureFields {
  readonly lineFeeds: number;
}

/** So much is counted in a few milliseconds; then the thread hears whether it is to end. */
const pieceBytes = 64 * 1024;
const lineFeed = 0x0a;

/** Counts the examples of some lines of a file; broken lines are left out. To be run in a thread. */
export async function countRange(input: RangeInput, signal: AbortSignal): Promise<RangeFigures> {
  // What the range before this one has left: else the heap grows to four times the tables.
  Bun.gc(true);
  const countText = await loadTokenizer(input.tokenizer);
  const figures = new Figures(input.limit);
  const splitter = new LineSplitter();
  // On no other line than the first the splitter takes a byte order mark away.
  const linesBefore = input.isStart ? 0 : 1;
  if (!input.isStart) splitter.push(Uint8Array.of(lineFeed));
  let lineFeeds = 0;
  const add = (lines: readonly RawLine[]) => {
    for (const raw of lines) {
      const tokens = countLine(raw, input.format, countText);
      if (tokens !== undefined) figures.addExample(raw.line - linesBefore, tokens);
    }
  };
  for await (const chunk of input.content.stream()) {
    for (let start = 0; start < chunk.length; start += pieceBytes) {
      await yieldToEventLoop();
      signal.throwIfAborted();
      const piece = chunk.subarray(start, start + pieceBytes);
      lineFeeds += countLineFeeds(piece);
      add(splitter.push(piece));
    }
  }
  add(splitter.finish());
  const { examples, total, billable, overLimit, media, longest } = figures;
  return { examples, total, billable, overLimit, media, longest, lineFeeds };
}

function countLine(
  raw: RawLine,
  format: DatasetFormat,
  countText: CountText,
): ExampleTokens | undefined {
  const parsed = parseLine(raw);
  return "broken" in parsed ? undefined : countExample(parsed.value, format, countText);
}

function countLineFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, at + 1)) {
    count += 1;
  }
  return count;
}
