import { type ApiError, badRequest } from "../errors.ts";
import { type PartHeaders, parsePartHeaders } from "./part-headers.ts";

// RFC 7578 and RFC 2046, strictly: a part that cannot be understood is refused, for a part that is
// passed over is data that is lost. busboy and @fastify/busboy pass over parts without a name or
// with headers that they do not like.

/** What a parser tells of a form, in the order of its bytes. */
export interface FormListener {
  /** `start` is where the part's content begins, in bytes from the start of the form. */
  readonly onPart: (headers: PartHeaders, start: number) => void;
  /** A piece of the part's content; it stays as it is. */
  readonly onData: (chunk: Uint8Array) => void;
  readonly onPartEnd: () => void;
  /** A line of the content only begins as a boundary does. */
  readonly onLookalike: () => void;
}

/** Reads a form piece by piece. All throw a 400 for what is no form. */
export interface FormParser {
  push(chunk: Uint8Array): void;
  /** To be called after the last piece: throws where the form is cut off. */
  end(): void;
}

const maxHeaderBytes = 16 * 1024;
const maxPreambleBytes = 64 * 1024;
const maxEpilogueBytes = 64 * 1024;
const maxPaddingBytes = 128;
const carriageReturn = 13;
const dash = 45;
const headerEnd = Buffer.from("\r\n\r\n");
const lineEnd = Buffer.from("\r\n");

/** Makes a parser for the boundary of the request's content-type. */
export function createFormParser(boundary: string, listener: FormListener): FormParser {
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  let state: "preamble" | "headers" | "content" | "epilogue" = "preamble";
  // The first delimiter has no line before it, so one is put there.
  let rest = lineEnd;
  let preambleBytes = 0;
  let pushedBytes = 0;
  let epilogueBytes = 0;

  function emit(chunk: Buffer): void {
    if (state === "content") {
      if (chunk.length > 0) listener.onData(chunk);
      return;
    }
    preambleBytes += chunk.length;
    if (preambleBytes > maxPreambleBytes) throw malformed("its boundary does not come");
  }

  /** Reads up to the next delimiter; returns what is left, undefined when more is needed. */
  function readContent(data: Buffer): Buffer | undefined {
    for (let from = 0; ; ) {
      const found = data.indexOf(delimiter, from);
      if (found === -1) return keep(data, findPossibleStart(data, from));
      const after = readDelimiterEnd(data, found + delimiter.length);
      if (after === "more") return keep(data, found);
      // A line that only begins like the delimiter is content.
      if (after === "none") {
        listener.onLookalike();
        from = found + lineEnd.length;
        continue;
      }
      emit(data.subarray(0, found));
      if (state === "content") listener.onPartEnd();
      state = after.last ? "epilogue" : "headers";
      return data.subarray(after.end);
    }
  }

  /** Where a delimiter might begin that the next piece completes. */
  function findPossibleStart(data: Buffer, from: number): number {
    const earliest = Math.max(from, data.length - delimiter.length + 1);
    for (let at = data.indexOf(carriageReturn, earliest); at !== -1; ) {
      if (delimiter.subarray(0, data.length - at).equals(data.subarray(at))) return at;
      at = data.indexOf(carriageReturn, at + 1);
    }
    return data.length;
  }

  function keep(data: Buffer, start: number): undefined {
    emit(data.subarray(0, start));
    rest = Buffer.from(data.subarray(start));
  }

  function readHeaders(data: Buffer): Buffer | undefined {
    // The delimiter's line end is also the one before the headers, which may be none.
    const end = data.indexOf(headerEnd);
    if (end > maxHeaderBytes || (end === -1 && data.length > maxHeaderBytes)) {
      throw malformed(`the headers of a part have more than ${maxHeaderBytes} bytes`);
    }
    if (end === -1) {
      rest = Buffer.from(data);
      return undefined;
    }
    const content = data.subarray(end + headerEnd.length);
    const headers = parsePartHeaders(data.subarray(lineEnd.length, end));
    listener.onPart(headers, pushedBytes - content.length);
    state = "content";
    return content;
  }

  return {
    push(chunk) {
      const piece = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      pushedBytes += chunk.length;
      let data: Buffer | undefined = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      rest = Buffer.alloc(0);
      while (data !== undefined && data.length > 0 && state !== "epilogue") {
        data = state === "headers" ? readHeaders(data) : readContent(data);
      }
      if (state === "epilogue") epilogueBytes += data?.length ?? 0;
      if (epilogueBytes > maxEpilogueBytes) throw malformed("it goes on after its end");
    },
    end() {
      if (state !== "epilogue") throw malformed("it is cut off");
    },
  };
}

/**
 * What follows a delimiter: `--` for the last one, else padding and a line end, which is left to
 * the headers.
 */
function readDelimiterEnd(
  data: Buffer,
  start: number,
): "more" | "none" | { readonly last: boolean; readonly end: number } {
  if (data[start] === dash) {
    if (start + 1 >= data.length) return "more";
    return data[start + 1] === dash ? { last: true, end: start + 2 } : "none";
  }
  let end = start;
  while (data[end] === 0x20 || data[end] === 0x09) end += 1;
  if (end - start > maxPaddingBytes) return "none";
  if (end + 1 >= data.length)
    return end < data.length && data[end] !== carriageReturn ? "none" : "more";
  return data[end] === carriageReturn && data[end + 1] === 10 ? { last: false, end } : "none";
}

function malformed(reason: string): ApiError {
  return badRequest(`Cannot read the form: ${reason}`, null);
}
