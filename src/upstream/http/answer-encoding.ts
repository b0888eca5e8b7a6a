import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { ConnectionError } from "./transport.ts";

const unpack = promisify(gunzip);
const decoder = new TextDecoder();

/** The text of bytes in UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/**
 * The text of bytes as they were before `encoding`, the `content-encoding` of an answer; throws a
 * `RangeError` for more than `maxBytes`.
 */
export async function decodeUnpacked(
  bytes: Uint8Array,
  encoding: string | null,
  maxBytes: number,
): Promise<string> {
  // Of nothing, such as the body of a 204, there is nothing to unpack.
  if (encoding === null || bytes.length === 0) return decodeText(bytes);
  requireKnown(encoding);
  try {
    return decodeText(await unpack(bytes, { maxOutputLength: maxBytes }));
  } catch (cause) {
    if (cause instanceof RangeError) throw new RangeError(`it has more than ${maxBytes} bytes`);
    throw new ConnectionError("InvalidEncoding", "The answer cannot be unpacked", { cause });
  }
}

/** A body as it was before `encoding`. */
export function unpackStream(
  packed: ReadableStream<Uint8Array>,
  encoding: string | null,
): ReadableStream<Uint8Array> {
  if (encoding === null) return packed;
  requireKnown(encoding);
  // Its type takes more than the type of a pipe has a word for.
  const { readable, writable } = new DecompressionStream("gzip");
  return packed.pipeThrough({ readable, writable: writable as WritableStream<Uint8Array> });
}

/** The only encoding that is ever asked for. */
function requireKnown(encoding: string): void {
  if (/^(?:x-)?gzip$/i.test(encoding)) return;
  throw new ConnectionError("InvalidEncoding", `The answer is encoded as "${encoding}"`);
}
