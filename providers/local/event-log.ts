import { constants } from "node:fs";
import { open } from "node:fs/promises";
import * as v from "valibot";
import type { EventFields, Fields } from "../../src/provider.ts";
import { formatNumber, parseNumber } from "./ids.ts";

/** An event before it has its id and time. */
export interface NewEvent {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly type: "message" | "metrics";
  readonly data: Fields;
}

const eventSchema = v.looseObject({
  id: v.string(),
  created_at: v.number(),
  level: v.picklist(["info", "warn", "error"]),
  message: v.string(),
});

const chunkBytes = 64 * 1024;
const offsetDigits = 6;

/** An event that is a sentence for people. */
export function createMessage(level: NewEvent["level"], message: string): NewEvent {
  // What was cut or comes from outside may hold half a character, which many JSON readers refuse.
  return { level, message: message.toWellFormed(), type: "message", data: {} };
}

/**
 * Writes events behind the first `bytes` bytes of a log and cuts off what was there: it was never
 * accounted for. Returns the new length. Ids come from the place in the log.
 */
export async function appendEvents(
  path: string,
  jobId: string,
  bytes: number,
  events: readonly NewEvent[],
): Promise<number> {
  const created_at = Math.floor(Date.now() / 1000);
  const lines: Buffer[] = [];
  let end = bytes;
  for (const event of events) {
    const line = Buffer.from(
      `${JSON.stringify({ id: createEventId(jobId, end), created_at, ...event })}\n`,
    );
    lines.push(line);
    end += line.byteLength;
  }
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    await handle.truncate(bytes);
    const content = Buffer.concat(lines);
    for (let done = 0; done < content.byteLength; ) {
      const rest = content.byteLength - done;
      done += (await handle.write(content, done, rest, bytes + done)).bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return end;
}

/** The events in the first `bytes` bytes of a log, newest first, read as they are asked for. */
export async function* readEvents(path: string, bytes: number): AsyncGenerator<EventFields> {
  for await (const line of readLinesBackwards(path, bytes)) {
    yield v.parse(eventSchema, JSON.parse(line.toString()));
  }
}

/**
 * Where the event of this id begins in a log of which `bytes` bytes count; undefined where there is
 * no such event. `readEvents` up to there are the ones after it.
 */
export async function findEvent(
  path: string,
  jobId: string,
  bytes: number,
  id: string,
): Promise<number | undefined> {
  const offset = parseNumber(id.slice(-offsetDigits));
  if (!/^ftevent-[0-9A-Za-z]+$/.test(id) || createEventId(jobId, offset) !== id) return undefined;
  const start = Buffer.from(`{"id":"${id}"`);
  if (offset + start.byteLength > bytes) return undefined;
  const found = await Bun.file(path)
    .slice(offset, offset + start.byteLength)
    .bytes();
  return start.equals(found) ? offset : undefined;
}

function createEventId(jobId: string, offset: number): string {
  return `ftevent-${jobId.slice("ftjob-".length)}${formatNumber(offset, offsetDigits)}`;
}

async function* readLinesBackwards(path: string, end: number): AsyncGenerator<Buffer> {
  if (end === 0) return;
  const handle = await open(path, "r");
  try {
    let rest = Buffer.alloc(0);
    for (let position = end; position > 0; ) {
      const size = Math.min(chunkBytes, position);
      position -= size;
      const chunk = Buffer.alloc(size);
      await handle.read(chunk, 0, size, position);
      const buffer = Buffer.concat([chunk, rest]);
      // What stands before the first line end belongs to a line that begins further ahead.
      const complete = position === 0 ? 0 : buffer.indexOf(10) + 1;
      rest = buffer.subarray(0, complete);
      yield* splitBackwards(buffer.subarray(complete));
    }
  } finally {
    await handle.close();
  }
}

function* splitBackwards(lines: Buffer): Generator<Buffer> {
  let end = lines.byteLength - 1;
  while (end > 0) {
    const start = lines.lastIndexOf(10, end - 1) + 1;
    yield lines.subarray(start, end);
    end = start - 1;
  }
}
