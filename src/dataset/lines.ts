import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { hintSecrets, maskSecrets } from "./check/secrets.ts";
import { cutText } from "./values.ts";

/** One line of a file that is not blank as its bytes, without the line feed. */
export interface RawLine {
  /** 1-based; blank lines count. */
  readonly line: number;
  /** Null for a line that was longer than the limit and was not kept. */
  readonly bytes: Uint8Array | null;
}

/** A line whose text is JSON. */
export interface JsonLine {
  readonly text: string;
  readonly value: unknown;
}

/** A line that is no JSON text, and why, as a sentence that starts with "Line". */
export interface BrokenLine {
  readonly broken: string;
}

const lineFeed = 0x0a;
const blanks: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);
const quote = 0x22;
const backslash = 0x5c;
/** Each of these may start a value. */
const separators: ReadonlySet<number | undefined> = new Set([0x2c, 0x5b, 0x7b]);
const byteOrderMark = [0xef, 0xbb, 0xbf];
const excerptLength = 20;
const mebibyte = 1024 * 1024;

/** A line is held whole, as its bytes, its text and its value: a longer one would fill memory. */
const maximumLineBytes = 64 * mebibyte;

/** Of a line outside of its strings: parsing 16 million times `{}` takes a second and 1.4 GB. */
const maximumSeparators = 1_000_000;

/** A piece of a file of this size is soon cut into lines. */
const pieceBytes = mebibyte / 4;

/** `ignoreBOM` keeps a mark that does not start the file: there it is a mistake, not a signature. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Cuts bytes that arrive in any pieces into lines; holds no more than one line. */
export class LineSplitter {
  readonly #limit: number;
  #pieces: Uint8Array[] = [];
  #length = 0;
  #line = 1;

  /** `limit` is the number of bytes above which a line is dropped and reported as too long. */
  constructor(limit = maximumLineBytes) {
    this.#limit = limit;
  }

  /** The lines that end within `chunk`, whose bytes are referred to and not copied. */
  push(chunk: Uint8Array): RawLine[] {
    const lines: RawLine[] = [];
    for (let start = this.#skipBlanks(chunk, 0); start < chunk.length; ) {
      const end = chunk.indexOf(lineFeed, start);
      this.#keep(chunk.subarray(start, end === -1 ? chunk.length : end));
      if (end === -1) break;
      lines.push(...this.#take());
      start = this.#skipBlanks(chunk, end + 1);
    }
    return lines;
  }

  /** The last line where no line feed ends it. */
  finish(): RawLine[] {
    return this.#length === 0 ? [] : this.#take();
  }

  /** Where the next line that is not blank starts; of millions of blank ones none is made. */
  #skipBlanks(chunk: Uint8Array, from: number): number {
    if (this.#length > 0) return from;
    let start = from;
    for (; start < chunk.length; start += 1) {
      if (chunk[start] === lineFeed) this.#line += 1;
      else if (!blanks.has(chunk[start])) break;
    }
    return start;
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    if (this.#length > this.#limit) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  /** The line that was kept; none where there is only a byte order mark. */
  #take(): RawLine[] {
    const line = this.#line;
    const joined = this.#length > this.#limit ? null : joinPieces(this.#pieces, this.#length);
    this.#pieces = [];
    this.#length = 0;
    this.#line += 1;
    if (joined === null) return [{ line, bytes: null }];
    const bytes = line === 1 ? withoutByteOrderMark(joined) : joined;
    return bytes.every((byte) => blanks.has(byte)) ? [] : [{ line, bytes }];
  }
}

/**
 * The lines of `content` that are not blank in the order of the file, one array for each piece of
 * at most 256 KiB; other work of the process goes on between the pieces. `onBytes` is told the
 * number of bytes so far after each piece.
 */
export async function* splitLines(
  content: Blob,
  signal?: AbortSignal,
  onBytes?: (bytes: number) => void,
): AsyncGenerator<RawLine[]> {
  const splitter = new LineSplitter();
  let bytes = 0;
  for await (const chunk of content.stream()) {
    // A blob in memory is one chunk, and is read without ever leaving the microtask queue.
    for (let start = 0; start < chunk.length; start += pieceBytes) {
      signal?.throwIfAborted();
      const piece = chunk.subarray(start, start + pieceBytes);
      yield splitter.push(piece);
      bytes += piece.length;
      onBytes?.(bytes);
      await yieldToEventLoop();
    }
  }
  signal?.throwIfAborted();
  yield splitter.finish();
}

/** Decodes and parses one line. */
export function parseLine(raw: RawLine): JsonLine | BrokenLine {
  if (raw.bytes === null) {
    return { broken: `Line ${raw.line} is longer than ${maximumLineBytes / mebibyte} MiB` };
  }
  if (hasTooManyValues(raw.bytes)) {
    const found = `more than ${maximumSeparators} commas and opening brackets outside of strings`;
    return { broken: `Line ${raw.line} has ${found}` };
  }
  let text: string;
  try {
    text = decoder.decode(raw.bytes);
  } catch {
    return { broken: `Line ${raw.line} is not valid UTF-8` };
  }
  try {
    return { text, value: JSON.parse(text) };
  } catch (error) {
    if (text.startsWith("\ufeff")) {
      return { broken: `Line ${raw.line} has a byte order mark, which may only start a file` };
    }
    const reason = error instanceof Error ? error.message.replace("JSON Parse error: ", "") : "";
    const excerpt = cutText(hintSecrets(text) === 0 ? reason : maskWords(reason), 60);
    return { broken: `Line ${raw.line} is not valid JSON: ${excerpt} ${quoteStart(text)}` };
  }
}

/** What the parser quotes may be a part of a secret, which no pattern tells. */
function maskWords(reason: string): string {
  return reason.replace(/"[^"]*"?/g, '"[masked]"');
}

/** Whether a line that does not start the file has a byte order mark and nothing else. */
export function isOnlyByteOrderMark({ bytes }: RawLine): boolean {
  if (bytes === null || bytes[0] !== byteOrderMark[0] || withoutByteOrderMark(bytes) === bytes) {
    return false;
  }
  return withoutByteOrderMark(bytes).every((byte) => blanks.has(byte));
}

/** The start of a line in the words of OpenAI's API: `(starts with: "…")`. */
export function quoteStart(text: string): string {
  return `(starts with: "${cutText(maskSecrets(text.trimStart()), excerptLength)}")`;
}

/** Tells from the bytes, as parsing such a line would make its values first. */
function hasTooManyValues(bytes: Uint8Array): boolean {
  if (bytes.length <= maximumSeparators) return false;
  let count = 0;
  for (let index = 0; index < bytes.length && count <= maximumSeparators; index += 1) {
    if (bytes[index] === quote) index = findStringEnd(bytes, index + 1);
    else if (separators.has(bytes[index])) count += 1;
  }
  return count > maximumSeparators;
}

/** Where the quote stands that ends a string of JSON, or the end of the bytes. */
function findStringEnd(bytes: Uint8Array, start: number): number {
  let index = start;
  for (; index < bytes.length && bytes[index] !== quote; index += 1) {
    if (bytes[index] === backslash) index += 1;
  }
  return index;
}

function joinPieces(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}

function withoutByteOrderMark(bytes: Uint8Array): Uint8Array {
  const marked = byteOrderMark.every((byte, index) => bytes[index] === byte);
  return marked ? bytes.subarray(byteOrderMark.length) : bytes;
}
