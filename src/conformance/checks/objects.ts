import assert from "node:assert/strict";
import type { CheckpointFields, EventFields, FileFields, JobFields } from "../../provider.ts";

const statuses = [
  ...["validating_files", "queued", "running", "pausing", "paused"],
  ...["succeeded", "failed", "cancelled"],
];

/** Checks an id: a path of a URL can hold it as it is. */
export function checkId(id: unknown): void {
  assert.ok(typeof id === "string", `the id ${JSON.stringify(id)} is no string`);
  assert.match(id, /^[\w.:-]+$/, "the id is not safe in a path");
  assert.ok(!/^\.{1,2}$/.test(id), `the id "${id}" is not safe in a path`);
}

/** Checks a time: whole Unix seconds of this century, which milliseconds are not. */
function checkTime(time: unknown, what: string): void {
  const fits = typeof time === "number" && Number.isInteger(time) && time > 1e9 && time < 1e10;
  assert.ok(fits, `${what} is ${JSON.stringify(time)}, not Unix seconds`);
}

/** Checks what the contract says of a file. */
export function checkFile(file: FileFields): void {
  checkId(file.id);
  checkTime(file.created_at, "created_at");
  assert.ok(Number.isInteger(file.bytes) && file.bytes >= 0, `bytes is ${file.bytes}`);
  assert.equal(typeof file.filename, "string");
  assert.equal(typeof file.purpose, "string");
  // Absent stands for `processed`.
  assert.match(file.status ?? "processed", /^(uploaded|processed|error)$/);
}

/** Checks what the contract says of a job. */
export function checkJob(job: JobFields): void {
  checkId(job.id);
  checkTime(job.created_at, "created_at");
  assert.ok(statuses.includes(job.status), `status is "${job.status}"`);
  for (const name of ["model", "training_file"] as const) assert.equal(typeof job[name], "string");
  for (const name of ["finished_at", "estimated_finish"] as const) {
    const time = job[name];
    if (time !== undefined && time !== null) checkTime(time, name);
  }
  const { result_files = [] } = job;
  assert.ok(Array.isArray(result_files), "result_files is no list");
  result_files.forEach(checkId);
}

/** Checks what the contract says of an event. */
export function checkEvent(event: EventFields): void {
  checkId(event.id);
  checkTime(event.created_at, "created_at");
  assert.match(event.level, /^(info|warn|error)$/);
  assert.ok(event.message.length > 0, "the message is empty");
}

/** Checks what the contract says of a checkpoint. */
export function checkCheckpoint(checkpoint: CheckpointFields): void {
  checkId(checkpoint.id);
  checkTime(checkpoint.created_at, "created_at");
  assert.ok(checkpoint.fine_tuned_model_checkpoint.length > 0, "it names no model");
  assert.ok(Number.isInteger(checkpoint.step_number), `step_number is ${checkpoint.step_number}`);
  assert.equal(typeof checkpoint.metrics, "object");
}

/** What must be the same in every answer that shows an object. */
export function pickLasting<Item extends { readonly id: string; readonly created_at: number }>(
  item: Item,
) {
  const { id, created_at } = item;
  return { id, created_at };
}
