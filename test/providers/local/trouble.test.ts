import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WholeBackend } from "../backends.ts";
import {
  collect,
  createJob,
  endlessTrainer,
  isAlive,
  makePlace,
  never,
  type Place,
  parentTrainer,
  quickTrainer,
  readMessages,
  readWorker,
  refusal,
  upload,
  waitFor,
  waitForStatus,
  writeTrainer,
} from "./support.ts";

// Nothing here is timed: what takes long on a busy machine is no failure.
setDefaultTimeout(120_000);

let place: Place;
beforeEach(() => {
  place = makePlace();
});
afterEach(() => place.remove());

const jobPath = (id: string, name: string) => join(place.path, "jobs", id, name);
const start = async (body: string) =>
  place.start({ options: { trainer: await writeTrainer(place, body) } });

async function createRunningJob(backend: WholeBackend): Promise<string> {
  const { id } = await createJob(backend);
  await waitFor(async () => (await readMessages(backend, id)).some((text) => /^Step/.test(text)));
  return id;
}

/** Makes each write of a job's record end as on a full disk. */
async function fillDisk(id: string): Promise<void> {
  // A write that is on its way has the name.
  await waitFor(() => {
    try {
      symlinkSync("/dev/full", jobPath(id, "job.json.next"));
      return true;
    } catch {
      return false;
    }
  });
}
const freeDisk = (id: string) => unlinkSync(jobPath(id, "job.json.next"));

async function showStatuses(backend: WholeBackend, id: string): Promise<string[]> {
  const [listed] = await collect(backend.listJobs({ limit: 10 }, never));
  return [(await backend.getJob(id, never)).status, listed?.status ?? ""];
}

describe("a job whose directory is removed", () => {
  const remove = (id: string) =>
    rmSync(join(place.path, "jobs", id), { recursive: true, force: true });

  test("ends with all of its processes and gives its slot to the next", async () => {
    const backend = await start(parentTrainer);
    const { id } = await createJob(backend);
    const worker = await readWorker(backend, id);
    const next = await createJob(backend);
    const [pid = 0] = place.trainers();
    remove(id);
    await waitForStatus(backend, next.id, "running");
    await waitFor(() => !isAlive(pid) && !isAlive(worker));
    expect(place.logged.join("\n")).toContain(`"${id}": its directory is gone`);
    expect(await refusal(backend.getJob(id, never))).toMatchObject({ status: 404 });
    expect(existsSync(join(place.path, "unfinished", id))).toBe(false);
    expect(existsSync(join(place.path, "jobs", id))).toBe(false);
  });

  test.each(["cancelJob", "pauseJob"] as const)("is not known to %s()", async (action) => {
    const backend = await start(endlessTrainer);
    const running = await createRunningJob(backend);
    const queued = await createJob(backend);
    await waitForStatus(backend, queued.id, "queued");
    remove(queued.id);
    remove(running);
    for (const id of [running, queued.id]) {
      expect(await refusal(backend[action](id, never))).toMatchObject({ status: 404 });
    }
    await waitFor(() => place.trainers().length === 0);
  });

  test("does not come back when its turn comes", async () => {
    const backend = await start(endlessTrainer);
    const running = await createRunningJob(backend);
    const queued = await createJob(backend);
    const last = await createJob(backend);
    await waitForStatus(backend, last.id, "queued");
    remove(queued.id);
    writeFileSync(jobPath(running, "enough"), "");
    await waitForStatus(backend, last.id, "running");
    expect(existsSync(join(place.path, "jobs", queued.id))).toBe(false);
  });

  test.each(["removed", "damaged"])("is killed at a start that finds it %s", async (state) => {
    const first = await start(parentTrainer);
    const { id } = await createJob(first);
    const worker = await readWorker(first, id);
    await first.close();
    if (state === "removed") remove(id);
    else writeFileSync(jobPath(id, "job.json"), "");
    const second = await start(quickTrainer);
    const next = await createJob(second);
    await waitForStatus(second, next.id, "succeeded");
    await waitFor(() => place.trainers().length === 0 && !isAlive(worker));
  });
});

describe("a full disk", () => {
  test("keeps no trainer from a cancel, which is noted when there is space", async () => {
    const backend = await start(endlessTrainer);
    const id = await createRunningJob(backend);
    await fillDisk(id);
    expect(await refusal(backend.cancelJob(id, never))).toMatchObject({ status: 507 });
    await waitForDeath(backend, id);
    expect(await showStatuses(backend, id)).toEqual(["cancelled", "cancelled"]);
    freeDisk(id);
    await waitFor(() => /"cancelled"/.test(readFileSync(jobPath(id, "job.json"), "utf8")));
    expect((await readMessages(backend, id)).at(-1)).toBe("Fine-tuning job cancelled");
    const next = await createJob(backend);
    await waitForStatus(backend, next.id, "running");
  });

  test("lets a cancelled trainer be killed that ignores SIGTERM", async () => {
    const trainer = await writeTrainer(place, `process.on("SIGTERM", () => {}); ${endlessTrainer}`);
    const backend = place.start({ options: { trainer }, grace: 100 });
    const id = await createRunningJob(backend);
    await fillDisk(id);
    expect(await refusal(backend.cancelJob(id, never))).toMatchObject({ status: 507 });
    await waitForDeath(backend, id);
    expect(await showStatuses(backend, id)).toEqual(["cancelled", "cancelled"]);
    freeDisk(id);
    expect(await refusal(cancelUntilRefused(backend, id))).toMatchObject({ status: 400 });
  });

  test("keeps a cancel of a queued job in mind", async () => {
    const backend = await start(endlessTrainer);
    const running = await createRunningJob(backend);
    const { id } = await createJob(backend);
    await waitForStatus(backend, id, "queued");
    await fillDisk(id);
    for (let call = 0; call < 2; call += 1) {
      expect(await refusal(backend.cancelJob(id, never))).toMatchObject({ status: 507 });
    }
    freeDisk(id);
    await waitFor(async () => (await backend.getJob(id, never)).status === "cancelled");
    expect(await backend.getJob(running, never)).toMatchObject({ status: "running" });
  });

  test("never shows a trainer as running that has died", async () => {
    const backend = await start(endlessTrainer);
    const id = await createRunningJob(backend);
    await fillDisk(id);
    for (const pid of place.trainers()) process.kill(pid, "SIGKILL");
    await waitForDeath(backend, id);
    expect(await showStatuses(backend, id)).toEqual(["failed", "failed"]);
    const shown = await backend.getJob(id, never);
    expect(shown.error).toMatchObject({ message: "The trainer was ended by signal SIGKILL" });
    freeDisk(id);
    await waitFor(() => /"failed"/.test(readFileSync(jobPath(id, "job.json"), "utf8")));
    expect(await backend.getJob(id, never)).toEqual(shown);
  });

  test("keeps no success from being shown, and its results follow", async () => {
    const backend = await start(endlessTrainer);
    const id = await createRunningJob(backend);
    await fillDisk(id);
    writeFileSync(jobPath(id, "enough"), "");
    const shown = await waitForStatus(backend, id, "succeeded");
    expect(shown).toMatchObject({ trained_tokens: 1234, result_files: [] });
    freeDisk(id);
    await waitFor(() => /"succeeded"/.test(readFileSync(jobPath(id, "job.json"), "utf8")));
    const { finished_at, result_files } = await backend.getJob(id, never);
    expect(finished_at).toBe(shown.finished_at);
    expect(result_files).toHaveLength(1);
  });
});

describe("a damaged file", () => {
  const filePath = (id: string, name: string) => join(place.path, "files", id, name);
  const list = (backend: WholeBackend) =>
    collect(backend.listFiles({ limit: 10, order: "desc" }, never));

  test.each(["", "{", "{}", "null"])("hides no others and can be deleted: %j", async (text) => {
    const backend = place.start();
    const { id } = await upload(backend);
    const other = await upload(backend);
    writeFileSync(filePath(id, "file.json"), text);
    expect((await list(backend)).map((file) => file.id)).toEqual([other.id]);
    expect(place.logged.join("\n")).toContain(`Cannot read file "${id}": its record is damaged`);
    expect(await refusal(backend.getFile(id, never))).toMatchObject({ status: 404 });
    expect(await refusal(backend.readFile(id, undefined, never))).toMatchObject({ status: 404 });
    await backend.deleteFile(id, never);
    expect(existsSync(join(place.path, "files", id))).toBe(false);
    expect(await refusal(backend.deleteFile(id, never))).toMatchObject({ status: 404 });
    expect((await list(backend)).map((file) => file.id)).toEqual([other.id]);
  });

  test("without content is not found when it is read, and can be deleted", async () => {
    const backend = place.start();
    const { id } = await upload(backend);
    rmSync(filePath(id, "content"), { force: true });
    for (const range of [undefined, "bytes=0-3"]) {
      expect(await refusal(backend.readFile(id, range, never))).toMatchObject({ status: 404 });
    }
    expect(place.logged.join("\n")).toContain(`Cannot read file "${id}": its content is gone`);
    await backend.deleteFile(id, never);
    expect(await list(backend)).toEqual([]);
  });
});

describe("a damaged job", () => {
  test("keeps no other file from being deleted", async () => {
    const backend = await start(endlessTrainer);
    const damaged = await createRunningJob(backend);
    const { id } = await upload(backend);
    await backend.close();
    writeFileSync(jobPath(damaged, "job.json"), "{");
    const filesOnly = place.start({ serves: { files: true, jobs: false } });
    await filesOnly.deleteFile(id, never);
    expect(await refusal(filesOnly.getFile(id, never))).toMatchObject({ status: 404 });
  });
});

// A trainer is dead a moment before the one who started it hears of it.
async function waitForDeath(backend: WholeBackend, id: string): Promise<void> {
  await waitFor(() => place.trainers().length === 0);
  await waitFor(async () => (await backend.getJob(id, never)).status !== "running");
}

async function cancelUntilRefused(backend: WholeBackend, id: string): Promise<void> {
  for (;;) await backend.cancelJob(id, never);
}
