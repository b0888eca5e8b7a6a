import { open } from "node:fs/promises";
import type { JobError, JobRecord } from "./job-record.ts";
import type { JobPaths } from "./job-store.ts";
import type { Mask } from "./secrets.ts";
import type { TrainerEnd } from "./trainer-process.ts";

const tailBytes = 8 * 1024;
const tailLines = 20;
const tailCharacters = 2000;

/** Why the job of a trainer that has ended so has failed; undefined where it has succeeded. */
export async function judgeEnd(
  record: JobRecord,
  paths: JobPaths,
  end: TrainerEnd,
  mask: Mask,
): Promise<JobError | undefined> {
  const ended = end.kind === "unknown" || (end.kind === "exit" && end.code === 0);
  if (ended && record.result !== null) return undefined;
  const errors = await readTail(paths.errors, mask);
  const message = errors === "" ? describeEnd(end) : `${describeEnd(end)}:\n${errors}`;
  return { code: "trainer_failed", message, param: null };
}

function describeEnd(end: TrainerEnd): string {
  switch (end.kind) {
    case "unknown":
      return end.reason;
    case "signal":
      return `The trainer was ended by signal ${end.signal}`;
    case "exit":
      return end.code === 0
        ? "The trainer ended without a result"
        : `The trainer ended with exit code ${end.code}`;
  }
}

// The last lines of what a trainer printed as errors, masked before a cut can halve a secret.
async function readTail(path: string, mask: Mask): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, tailBytes);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const lines = mask(buffer.toString("utf8")).trimEnd().split("\n").slice(-tailLines);
    return lines.join("\n").trim().slice(-tailCharacters).toWellFormed();
  } finally {
    await handle.close();
  }
}
