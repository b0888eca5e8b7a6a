import assert from "node:assert/strict";
import { ApiError } from "../../errors.ts";
import type { ListName, PageQuery } from "../../provider.ts";
import {
  type Check,
  catchFailure,
  completeJob,
  never,
  startJob,
  type Trial,
  uploadSample,
} from "../trial.ts";
import { checkCheckpoint, checkEvent, checkFile, checkJob, pickLasting } from "./objects.ts";

interface Listed {
  readonly id: string;
  readonly created_at: number;
}

type Read<Item> = (query: PageQuery) => AsyncIterable<Item>;

const count = 5;
const mostPositions = 12;
const readAhead = 1000;

/**
 * Checks the order of a list, and that it is the same however it is read; where the backend itself
 * starts after an id, after every id of it. Returns all of the list.
 */
async function checkList<Item extends Listed>(
  { backend }: Trial,
  name: ListName,
  order: "asc" | "desc",
  read: Read<Item>,
): Promise<readonly Item[]> {
  const sign = order === "desc" ? 1 : -1;
  const whole = await Array.fromAsync(read({ limit: readAhead }));
  const ids = whole.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, "an item is listed twice");
  const sorted = whole.toSorted((one, other) => sign * (other.created_at - one.created_at));
  assert.deepEqual(
    ids,
    sorted.map(({ id }) => id),
  );
  for (const limit of [1, 2, 3, 100]) {
    assert.deepEqual(await readIds(read({ limit })), ids, `limit ${limit} changes the list`);
  }
  // A reader that has enough stops, and nothing must come of that.
  for await (const { id } of read({ limit: 1 })) {
    assert.equal(id, ids[0]);
    break;
  }
  if (!backend.cursors?.includes(name)) return whole;
  for (const [at, after] of ids.slice(0, mostPositions).entries()) {
    for (const limit of [1, readAhead]) {
      assert.deepEqual(await readIds(read({ limit, after })), ids.slice(at + 1), `after ${at + 1}`);
    }
  }
  return whole;
}

async function readIds(list: AsyncIterable<Listed>): Promise<readonly string[]> {
  return (await Array.fromAsync(list)).map(({ id }) => id);
}

async function makeMany<Item>(make: () => Promise<Item>): Promise<readonly Item[]> {
  const made: Item[] = [];
  for (let at = 0; at < count; at += 1) made.push(await make());
  return made;
}

/** Checks that a list has the very objects that were made, with the same ids and times. */
function checkMembers(whole: readonly Listed[], made: readonly Listed[]): void {
  const byId = (one: Listed, other: Listed) => (one.id < other.id ? -1 : 1);
  const expected = made.map(pickLasting).toSorted(byId);
  assert.deepEqual(whole.map(pickLasting).toSorted(byId), expected);
}

/** The four lists: their order, their pages and their items. */
export const listChecks: readonly Check[] = [
  {
    name: "listFiles() has every file once, in both orders, and starts exactly after any",
    needs: ["listFiles"],
    async run(trial) {
      const made = await makeMany(() => uploadSample(trial));
      for (const order of ["asc", "desc"] as const) {
        const read = (query: PageQuery) => trial.backend.listFiles({ ...query, order }, never);
        const whole = await checkList(trial, "files", order, read);
        whole.forEach(checkFile);
        checkMembers(whole, made);
      }
    },
  },
  {
    name: "listFiles() loses no file to its filter",
    needs: ["listFiles"],
    async run(trial) {
      const { id, purpose } = await uploadSample(trial);
      const query = { limit: 10, order: "desc", purpose } as const;
      assert.deepEqual(await readIds(trial.backend.listFiles(query, never)), [id]);
    },
  },
  {
    name: "listJobs() has every job once, the newest first, and starts exactly after any",
    async run(trial) {
      const file = await uploadSample(trial);
      const made = await makeMany(() => startJob(trial, file.id));
      const read = (query: PageQuery) => trial.backend.listJobs(query, never);
      const whole = await checkList(trial, "jobs", "desc", read);
      whole.forEach(checkJob);
      checkMembers(whole, made);
    },
  },
  {
    name: "listJobEvents() tells of the job, the newest first, and starts exactly after any",
    needs: ["listJobEvents", "getJob"],
    async run(trial) {
      const { id, created_at } = await completeJob(trial);
      const read = (query: PageQuery) => trial.backend.listJobEvents(id, query, never);
      const whole = await checkList(trial, "events", "desc", read);
      assert.ok(whole.length >= 2, `there are ${whole.length} events`);
      whole.forEach(checkEvent);
      for (const event of whole) assert.ok(event.created_at >= created_at, "it is before the job");
    },
  },
  {
    name: "listJobCheckpoints() has the checkpoints, the newest first, and starts exactly after any",
    needs: ["listJobCheckpoints", "getJob"],
    async run(trial) {
      const { id } = await completeJob(trial);
      const read = (query: PageQuery) => trial.backend.listJobCheckpoints(id, query, never);
      const whole = await checkList(trial, "checkpoints", "desc", read);
      assert.ok(whole.length >= 2, `there are ${whole.length} checkpoints`);
      whole.forEach(checkCheckpoint);
      const steps = whole.map(({ step_number }) => step_number);
      assert.deepEqual(
        steps,
        steps.toSorted((one, other) => other - one),
      );
    },
  },
  {
    name: "a list refuses to start after an id that it does not have",
    async run({ backend }) {
      const query = { limit: 2, after: "none-of-these" };
      const reads = {
        files: () => backend.listFiles({ ...query, order: "desc" }, never),
        jobs: () => backend.listJobs(query, never),
      };
      for (const [name, read] of Object.entries(reads)) {
        if (!backend.cursors?.some((cursor) => cursor === name)) continue;
        const error = await catchFailure(() => Array.fromAsync<Listed>(read()));
        assert.ok(error instanceof ApiError && [400, 404].includes(error.status), String(error));
      }
    },
  },
];
