import { setImmediate as yieldToEventLoop } from "node:timers/promises";

/** One line of a file as its bytes, without the line feed. */
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
const byteOrderMark = [0xef, 0xbb, 0xbf];
const blank = /^[ \t\r]*$/;
const excerptLength = 20;

/**
 * Ten images of 10 MB in base64 are OpenAI's largest example; a longer line must not fill the
 * memory of a gateway.
 */
const maximumLineBytes = 256 * 1024 * 1024;

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
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  /** The last line where no line feed ends it. */
  finish(): RawLine[] {
    return this.#length === 0 ? [] : [this.#take()];
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    if (this.#length > this.#limit) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  #take(): RawLine {
    const line = this.#line;
    const tooLong = this.#length > this.#limit;
    const [first = new Uint8Array(), ...others] = this.#pieces;
    const joined = others.length === 0 ? first : joinPieces(this.#pieces, this.#length);
    this.#pieces = [];
    this.#length = 0;
    this.#line += 1;
    if (tooLong) return { line, bytes: null };
    return { line, bytes: line === 1 ? withoutByteOrderMark(joined) : joined };
  }
}

/** The lines of `content` in the order of the file, one array for each piece that was read. */
export async function* splitLines(content: Blob, signal?: AbortSignal): AsyncGenerator<RawLine[]> {
  const splitter = new LineSplitter();
  for await (const chunk of content.stream()) {
    signal?.throwIfAborted();
    yield splitter.push(chunk);
    // A blob in memory is read without ever leaving the microtask queue.
    await yieldToEventLoop();
  }
  signal?.throwIfAborted();
  yield splitter.finish();
}

/** Decodes and parses one line; undefined for a blank one. */
export function parseLine(raw: RawLine): JsonLine | BrokenLine | undefined {
  if (raw.bytes === null) return { broken: `Line ${raw.line} is longer than 256 MiB` };
  let text: string;
  try {
    text = decoder.decode(raw.bytes);
  } catch {
    return { broken: `Line ${raw.line} is not valid UTF-8` };
  }
  if (blank.test(text)) return undefined;
  try {
    return { text, value: JSON.parse(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace("JSON Parse error: ", "") : "";
    return {
      broken: `Line ${raw.line} is not valid JSON: ${reason.slice(0, 60)} ${quoteStart(text)}`,
    };
  }
}

/** The start of a line in the words of OpenAI's API: `(starts with: "…")`. */
export function quoteStart(text: string): string {
  return `(starts with: "${text.trimStart().slice(0, excerptLength)}")`;
}

function joinPieces(pieces: readonly Uint8Array[], length: number): Uint8Array {
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
