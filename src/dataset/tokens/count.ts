import { runTask, threadCount } from "../../threads/run.ts";
import type { DatasetFormat, TokenReport } from "../report.ts";
import { Figures } from "./figures.ts";
import type { RangeFigures } from "./range.ts";
import type { TokenizerName } from "./tokenizer.ts";

/** How the tokens of a dataset are counted. */
export interface CountOptions {
  readonly tokenizer: TokenizerName;
  /** What the service takes of one example; null where it is not known. */
  readonly limit: number | null;
  readonly format: DatasetFormat;
  /** Whether the model's own tokenizer is another one; it is for Gemini's formats. */
  readonly estimated?: boolean;
  /** Whether somebody waits for it: then it goes before other counts. */
  readonly urgent?: boolean;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Counted in a quarter of a second: so long a more urgent task waits for a thread. */
const rangeBytes = 4 * 1024 * 1024;
const searchBytes = 64 * 1024;
const lineFeed = 0x0a;

/**
 * Counts the tokens of a dataset in threads, 4 MiB at a time. An example is a conversation, or a
 * prompt with two outputs, which is trained on and billed as the prompt with each of them: Google
 * says so of its own prices (2 × prompt + completions), for others it is an estimate. `onProgress`
 * is given the bytes that are done. Rejects with the signal's reason or the error of reading.
 */
export async function countTokens(
  content: Blob,
  options: CountOptions,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<TokenReport> {
  const { tokenizer, limit, format, urgent } = options;
  const results: Promise<RangeFigures>[] = [];
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let done = 0;
  const count = async ({ start, end }: Range): Promise<RangeFigures> => {
    const lines = content.slice(start, end);
    const input = { content: lines, isStart: start === 0, tokenizer, limit, format };
    const figures = await runTask("tokens", input, { signal: either, urgent });
    done += end - start;
    onProgress(done);
    return figures;
  };
  try {
    signal.throwIfAborted();
    for await (const range of cutRanges(content, rangeBytes)) {
      const result = count(range);
      // A failure is heard of below, perhaps later than it happens.
      result.catch(() => undefined);
      results.push(result);
      await results.at(-threadCount);
    }
    return makeReport(await Promise.all(results), options);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(results);
    throw error;
  }
}

/** Cuts a file after line feeds into ranges of at least `bytes`, but for the last. */
export async function* cutRanges(content: Blob, bytes: number): AsyncGenerator<Range> {
  // The size of a file that is missing is 0; reading it fails.
  await content.slice(0, 1).bytes();
  for (let start = 0; start < content.size; ) {
    const end = await findLineEnd(content, start + bytes);
    yield { start, end };
    start = end;
  }
}

async function findLineEnd(content: Blob, from: number): Promise<number> {
  for (let start = from; start < content.size; start += searchBytes) {
    const piece = await content.slice(start, start + searchBytes).bytes();
    const found = piece.indexOf(lineFeed);
    if (found !== -1) return start + found + 1;
  }
  return content.size;
}

function makeReport(ranges: readonly RangeFigures[], options: CountOptions): TokenReport {
  const figures = new Figures(options.limit);
  let lines = 0;
  for (const range of ranges) {
    figures.addFigures(range, lines);
    lines += range.lineFeeds;
  }
  const { examples, total, billable, overLimit, media, longest } = figures;
  return {
    status: "done",
    tokenizer: options.tokenizer,
    estimated: options.estimated === true || options.format.startsWith("gemini"),
    limit: options.limit,
    total,
    billable,
    max: longest[0]?.tokens ?? 0,
    mean: examples === 0 ? 0 : total / examples,
    over_limit: overLimit,
    longest,
    media_not_counted: media,
  };
}
