import { startDigest } from "../digest/digest.ts";
import { createPieces } from "../pieces.ts";
import type { FileSink } from "./form-parts.ts";

/** Computes the SHA-256 of a file that is not kept, beside the event loop. */
export interface DigestSink extends FileSink {
  /** Waits for the thread that computes. */
  settle(): Promise<void>;
  /** The SHA-256 in hexadecimal; to be called once, after the last `write`. */
  finish(): Promise<string>;
  /** Frees what the thread keeps; to be called on every way out. */
  discard(): Promise<void>;
}

/** Makes a sink for one file. */
export function createDigestSink(): DigestSink {
  const digest = startDigest();
  let isEnded = false;
  let isDiscarded = false;
  const pieces = createPieces(async (piece) => {
    // After its end the thread would begin another one.
    if (!isDiscarded) await digest.update(piece);
  });

  return {
    write: pieces.write,
    settle: pieces.settle,
    async finish() {
      isEnded = true;
      await pieces.end();
      return await digest.finish();
    },
    async discard() {
      if (isEnded) return;
      isEnded = true;
      isDiscarded = true;
      await pieces.abandon();
      await digest.finish().catch(() => undefined);
    },
  };
}
