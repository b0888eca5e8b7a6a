import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import type { FileReport } from "../../provider.ts";
import { parseLine, quoteStart, type RawLine, splitLines } from "../lines.ts";
import { isObject } from "../values.ts";
import { convertChat, convertPreference, type ExampleFormat, readFormat } from "./example.ts";
import { Findings, refuseFile } from "./findings.ts";
import { PieceWriter } from "./pieces.ts";
import { type ConvertedLine, StoreQueue } from "./stores.ts";

export type { ExampleFormat } from "./example.ts";

/** How a file is converted. */
export interface ConvertOptions {
  /**
   * What becomes of a file that holds what Gemini's format has no place for: it is refused, or what
   * can be carried over is, and the rest is listed in the report.
   */
  readonly onUnsupported: "refuse" | "warn";
  /**
   * Keeps an image or a document that came inline and returns its URI (`gs://…`). Called for those
   * of one line one after the other, and for up to eight lines at once.
   */
  readonly storeMedia: (bytes: Uint8Array, mimeType: string, line: number) => Promise<string>;
}

/** A file on its way to Gemini's format. */
export interface Conversion {
  /**
   * UTF-8 in pieces of 1 MiB, the last one shorter, to be read once. Throws an `ApiError` 400 that
   * names the lines at fault once the whole file was read, what `storeMedia` throws, or the
   * signal's reason.
   */
  readonly lines: AsyncIterable<Uint8Array>;
  /** What was found, complete once `lines` has ended. */
  readonly report: () => FileReport;
}

/** How long lines are converted before other work of the process goes on. */
const maximumTurnMilliseconds = 10;

/** Tells the format of a file by its first line; throws a 400 where it is of none. */
export async function detectFormat(content: Blob, signal: AbortSignal): Promise<ExampleFormat> {
  const findings = new Findings("refuse");
  for await (const batch of splitLines(content, signal)) {
    const [first] = batch;
    if (first === undefined) continue;
    const format = readExample(first, findings)?.format;
    if (format !== undefined) return format;
    break;
  }
  findings.throwIfRefused();
  throw refuseFile("it has no example");
}

/** Converts a file in OpenAI's chat or preference format while `lines` is read, with flat memory. */
export function convertToGemini(
  content: Blob,
  options: ConvertOptions,
  signal: AbortSignal,
): Conversion {
  const findings = new Findings(options.onUnsupported);
  return {
    lines: writeLines(content, options, findings, signal),
    report: () => findings.toReport(),
  };
}

/** Checks that each line of a file in Gemini's format is one of its examples; else throws a 400. */
export async function checkGemini(content: Blob, signal: AbortSignal): Promise<FileReport> {
  const findings = new Findings("refuse");
  const clock = new TurnClock(signal);
  for await (const batch of splitLines(content, signal)) {
    for (const raw of batch) {
      if (clock.isOver) await clock.yield();
      const example = readExample(raw, findings);
      if (example !== undefined) checkGeminiExample(example, findings);
    }
  }
  findings.throwIfRefused();
  return findings.toReport();
}

function checkGeminiExample({ format, value }: Example, findings: Findings): void {
  const { contents } = value;
  if (format !== "gemini") {
    findings.refuse(`it is in the ${format} format, and the file in Gemini's`);
  } else if (!Array.isArray(contents) || contents.length === 0 || !contents.every(isObject)) {
    findings.refuse("contents must be an array of at least one object");
  }
  findings.finishLine();
}

async function* writeLines(
  content: Blob,
  options: ConvertOptions,
  findings: Findings,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const writer = new PieceWriter();
  const queue = new StoreQueue(options.storeMedia);
  const converter = new LineConverter(findings);
  const clock = new TurnClock(signal);
  try {
    for await (const batch of splitLines(content, signal)) {
      for (const raw of batch) {
        if (clock.isOver) await clock.yield();
        const converted = converter.convert(raw);
        if (converted === undefined) continue;
        if (queue.isEmpty && converted.media.length === 0) writer.add(converted.text);
        else queue.add(converted);
        while (queue.isFull) writer.add(await queue.take());
      }
      yield* writer.take();
    }
    findings.throwIfRefused();
    while (!queue.isEmpty) {
      writer.add(await queue.take());
      yield* writer.take();
    }
    yield* writer.finish();
  } finally {
    await queue.settle();
  }
}

/** Converts the lines of one file, which are of one format. */
class LineConverter {
  readonly #findings: Findings;
  #first: { readonly line: number; readonly format: ExampleFormat } | undefined;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** The line in Gemini's format, or undefined where it is not to be written. */
  convert(raw: RawLine): ConvertedLine | undefined {
    const findings = this.#findings;
    const { line } = raw;
    const example = readExample(raw, findings);
    if (example === undefined) return undefined;
    const { format, value } = example;
    this.#first ??= { line, format };
    if (format === "gemini") {
      findings.refuse("it is in Gemini's format already");
    } else if (format !== this.#first.format) {
      const first = `line ${this.#first.line} in the ${this.#first.format} format`;
      findings.refuse(`it is in the ${format} format, and ${first}`);
    } else {
      const convertExample = format === "chat" ? convertChat : convertPreference;
      const { text, media } = convertExample(value, findings);
      if (findings.finishLine()) return { line, text, media };
    }
    return undefined;
  }
}

interface Example {
  readonly value: Readonly<Record<string, unknown>>;
  readonly format: ExampleFormat;
}

/** Begins a line; what is no example of any format is refused. */
function readExample(raw: RawLine, findings: Findings): Example | undefined {
  findings.startLine(raw.line);
  const parsed = parseLine(raw);
  if ("broken" in parsed) {
    findings.refuse(parsed.broken.replace(/^Line \d+ /, "it "));
    return undefined;
  }
  const { text, value } = parsed;
  if (!isObject(value)) {
    findings.refuse(`it is not a JSON object ${quoteStart(text)}`);
    return undefined;
  }
  const format = readFormat(value);
  if (format !== undefined) return { value, format };
  const keys = `"messages", "input" and "preferred_output", or "contents"`;
  findings.refuse(`it is no chat example: it has no ${keys} ${quoteStart(text)}`);
  return undefined;
}

/** Lets other work of the process go on every 10 ms, however slow single lines are. */
class TurnClock {
  readonly #signal: AbortSignal;
  #start = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get isOver(): boolean {
    return performance.now() - this.#start > maximumTurnMilliseconds;
  }

  /** Throws the signal's reason once it is aborted. */
  async yield(): Promise<void> {
    await yieldToEventLoop();
    this.#signal.throwIfAborted();
    this.#start = performance.now();
  }
}
