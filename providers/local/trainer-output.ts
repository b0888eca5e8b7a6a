import { open } from "node:fs/promises";
import { createMessage, type NewEvent } from "./event-log.ts";
import type { JobRecord } from "./job-record.ts";
import { type MetricsLine, parseTrainerLine, type TrainerLine } from "./protocol.ts";
import type { Mask } from "./secrets.ts";

const chunkBytes = 1024 * 1024;
/** Beyond this the steps are in the results only: about 60,000 events. */
const maximumEventBytes = 16 * 1024 * 1024;

/** How far an output has been read; `skipping` is within a line that is too long. */
export type OutputPosition = JobRecord["output"];

/** Whole lines of an output and the position behind them. */
export interface OutputLines {
  readonly lines: readonly { readonly offset: number; readonly text: string }[];
  readonly position: OutputPosition;
  /** Where a line began that is longer than 1 MiB and therefore left out. */
  readonly oversized?: number;
}

/**
 * Reads up to 1 MiB of the output at `path`; undefined where there is no further whole line. Once
 * its writer has `ended`, what stands without a line end counts as a line.
 */
export async function readOutput(
  path: string,
  position: OutputPosition,
  ended: boolean,
): Promise<OutputLines | undefined> {
  const buffer = await readChunk(path, position.offset);
  if (buffer.byteLength === 0) return undefined;
  if (position.skipping) {
    const end = buffer.indexOf(10) + 1;
    const offset = position.offset + (end === 0 ? buffer.byteLength : end);
    return { lines: [], position: { offset, skipping: end === 0 } };
  }
  const end = buffer.lastIndexOf(10) + 1;
  if (end === 0 && buffer.byteLength === chunkBytes) {
    return {
      lines: [],
      position: { offset: position.offset + chunkBytes, skipping: true },
      oversized: position.offset,
    };
  }
  if (end === 0 && !ended) return undefined;
  const whole = end === 0 ? buffer : buffer.subarray(0, end);
  return {
    lines: splitLines(whole, position.offset),
    position: { offset: position.offset + whole.byteLength, skipping: false },
  };
}

/** What some lines of output mean for a job: its record from then on, and its events. */
export function applyOutput(
  record: JobRecord,
  output: OutputLines,
  mask: Mask,
): { readonly record: JobRecord; readonly events: readonly NewEvent[] } {
  // All lines that were read together are of one time: only from the next ones on is there a pace.
  const time = Date.now();
  let next: JobRecord = { ...record, output: output.position };
  const events: NewEvent[] = [];
  if (output.oversized !== undefined) {
    events.push(explainProblem(output.oversized, "it is longer than 1 MiB"));
  }
  for (const { offset, text } of output.lines) {
    const parsed = parseTrainerLine(text);
    if (parsed === undefined) continue;
    if ("problem" in parsed) {
      events.push(explainProblem(offset, parsed.problem));
    } else {
      next = applyLine(next, parsed.line, offset, time);
      events.push(...describeLine(parsed.line, mask));
    }
  }
  return limitEvents(next, events);
}

async function readChunk(path: string, offset: number): Promise<Buffer> {
  const handle = await open(path, "r");
  try {
    const size = Math.max(0, Math.min(chunkBytes, (await handle.stat()).size - offset));
    const buffer = Buffer.allocUnsafe(size);
    const { bytesRead } = await handle.read(buffer, 0, size, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function splitLines(buffer: Buffer, start: number) {
  const lines: { offset: number; text: string }[] = [];
  for (let begin = 0; begin < buffer.byteLength; ) {
    const found = buffer.indexOf(10, begin);
    const end = found === -1 ? buffer.byteLength : found;
    lines.push({ offset: start + begin, text: buffer.toString("utf8", begin, end) });
    begin = end + 1;
  }
  return lines;
}

function applyLine(record: JobRecord, line: TrainerLine, offset: number, time: number): JobRecord {
  switch (line.type) {
    case "metrics": {
      const { step, total_steps } = line;
      const last = record.progress;
      const { first_step, first_time } =
        last === null || last.first_time === time ? { first_step: step, first_time: time } : last;
      return { ...record, progress: { step, total_steps, time, first_step, first_time } };
    }
    case "message":
      return record;
    case "checkpoint": {
      const { step, path, metrics } = line;
      const checkpoint = { offset, created_at: Math.floor(time / 1000), step, path, metrics };
      return { ...record, checkpoints: [...record.checkpoints, checkpoint].slice(-3) };
    }
    case "result": {
      const { trained_tokens, model } = line;
      return { ...record, result: { trained_tokens, model } };
    }
  }
}

function describeLine(line: TrainerLine, mask: Mask): NewEvent[] {
  switch (line.type) {
    case "metrics": {
      const { type, ...data } = line;
      return [{ level: "info", message: describeStep(line), type, data }];
    }
    case "message":
      return [createMessage(line.level, mask(line.message))];
    case "checkpoint":
      return [createMessage("info", `Checkpoint created at step ${line.step}`)];
    case "result":
      return [];
  }
}

function describeStep(line: MetricsLine): string {
  const figures = [
    `training loss=${line.train_loss.toFixed(2)}`,
    ...(line.valid_loss === undefined ? [] : [`validation loss=${line.valid_loss.toFixed(2)}`]),
    ...(line.full_valid_loss === undefined
      ? []
      : [`full validation loss=${line.full_valid_loss.toFixed(2)}`]),
  ];
  return `Step ${line.step}/${line.total_steps}: ${figures.join(", ")}`;
}

function explainProblem(offset: number, problem: string): NewEvent {
  return createMessage(
    "warn",
    `Cannot read the line at byte ${offset} of what the trainer printed: ${problem}`,
  );
}

function limitEvents(record: JobRecord, events: readonly NewEvent[]) {
  if (record.events.full) return { record, events: [] };
  if (record.events.bytes < maximumEventBytes) return { record, events };
  const last = "This job has more events than are kept: its next steps are in its results only";
  return {
    record: { ...record, events: { ...record.events, full: true } },
    events: [createMessage("warn", last)],
  };
}
