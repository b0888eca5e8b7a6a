import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { type RawLine, splitLines } from "../lines.ts";

/** How long lines are read before other work of the process goes on. */
const maximumTurnMilliseconds = 10;

/**
 * Calls `visit` for each line that is not blank, and `onBytes` with the number of bytes read so far;
 * other work of the process goes on every 10 ms. Rejects with the signal's reason.
 */
export async function visitLines(
  content: Blob,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
  visit: (raw: RawLine) => void,
): Promise<void> {
  for await (const batch of splitLines(content, signal, onBytes)) {
    let turnStart = performance.now();
    for (const raw of batch) {
      if (performance.now() - turnStart > maximumTurnMilliseconds) {
        await yieldToEventLoop();
        signal.throwIfAborted();
        turnStart = performance.now();
      }
      visit(raw);
    }
  }
}
