import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { identifyProcess, ownsGroup } from "../../../providers/local/process-identity.ts";
import type { WholeBackend } from "../backends.ts";
import {
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

function editRecord(id: string, fields: object): void {
  const path = jobPath(id, "job.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...fields }));
}

async function waitForSteps(backend: WholeBackend, id: string): Promise<void> {
  await waitFor(async () => (await readMessages(backend, id)).some((text) => /^Step/.test(text)));
}

async function waitForFailure(backend: WholeBackend, id: string): Promise<unknown> {
  await waitFor(async () => (await backend.getJob(id, never)).status === "failed");
  return (await backend.getJob(id, never)).error;
}

/** Starts a gateway in a process of its own; resolves once it has created a job, if it is to. */
async function spawnGateway(trainer: readonly string[], creates: boolean) {
  const ready = Promise.withResolvers<string>();
  const gateway = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "gateway-process.ts"),
      place.path,
      JSON.stringify(trainer),
      creates ? "create" : "",
    ],
    { ipc: (message) => ready.resolve(v.parse(v.object({ id: v.string() }), message).id) },
  );
  return { id: await ready.promise, gateway };
}

/** The numbers of the steps that became events, oldest first. */
async function readSteps(backend: WholeBackend, id: string): Promise<number[]> {
  return (await readMessages(backend, id))
    .filter((text) => text.startsWith("Step "))
    .map((text) => Number(/\d+/.exec(text)?.[0]));
}

describe("a restart", () => {
  test("takes up a running trainer, which went on meanwhile, and neither loses nor doubles events", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    const [pid = 0] = place.trainers();
    await first.close();
    expect(place.logged.join("\n")).toContain("1 trainer(s) go on");
    expect(place.trainers()).toEqual([pid]);

    const second = place.start({ options: { trainer } });
    expect(await second.getJob(job.id, never)).toMatchObject({ status: "running" });
    const before = (await readSteps(second, job.id)).length;
    await waitFor(async () => (await readSteps(second, job.id)).length > before);
    writeFileSync(jobPath(job.id, "enough"), "");
    await waitForStatus(second, job.id, "succeeded");
    const steps = await readSteps(second, job.id);
    expect(steps).toEqual(Array.from({ length: steps.length }, (_, index) => index + 1));
    const messages = await readMessages(second, job.id);
    expect(messages.filter((text) => text === "Fine-tuning job started")).toHaveLength(1);
  });

  test("finds out that a trainer has succeeded meanwhile", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    writeFileSync(jobPath(job.id, "enough"), "");
    await waitFor(() => place.trainers().length === 0);
    const second = place.start({ options: { trainer } });
    // Never "running" for a process that is not there.
    expect(await second.getJob(job.id, never)).toMatchObject({
      status: "succeeded",
      trained_tokens: 1234,
    });
  });

  test("fails a job whose trainer has died meanwhile", async () => {
    const trainer = await writeTrainer(place, `console.error("almost"); ${endlessTrainer}`);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    for (const pid of place.trainers()) process.kill(pid, "SIGKILL");
    await waitFor(() => place.trainers().length === 0);
    const second = place.start({ options: { trainer } });
    expect(await second.getJob(job.id, never)).toMatchObject({
      status: "failed",
      error: {
        code: "trainer_failed",
        message: "The trainer ended while the gateway was not running:\nalmost",
      },
    });
  });

  test("fails a job whose trainer dies after it was taken up", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    const second = place.start({ options: { trainer } });
    expect(await second.getJob(job.id, never)).toMatchObject({ status: "running" });
    for (const pid of place.trainers()) process.kill(pid, "SIGKILL");
    expect(await waitForFailure(second, job.id)).toMatchObject({
      message: expect.stringContaining("The trainer ended without a result"),
    });
  });

  test("mistakes no other process for the trainer", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    for (const pid of place.trainers()) process.kill(pid, "SIGKILL");
    await waitFor(() => place.trainers().length === 0);
    // The number of the trainer is now that of another process: this one.
    editRecord(job.id, { process: { pid: process.pid, started: "1t1" } });
    const second = place.start({ options: { trainer } });
    expect(await waitForFailure(second, job.id)).toMatchObject({ code: "trainer_failed" });
  });

  test("leaves a paused job paused, and it can be resumed", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.pauseJob(job.id, never);
    await first.close();
    const second = place.start({ options: { trainer } });
    expect(await second.getJob(job.id, never)).toMatchObject({ status: "paused" });
    expect(await second.resumeJob(job.id, never)).toMatchObject({ status: "running" });
    writeFileSync(jobPath(job.id, "enough"), "");
    await waitForStatus(second, job.id, "succeeded");
  });

  test("makes the trainer do what was noted of it before a crash", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    const [pid = 0] = place.trainers();
    editRecord(job.id, { status: "paused" });
    const second = place.start({ options: { trainer } });
    await second.getJob(job.id, never);
    await waitFor(() => /\) T /.test(readFileSync(`/proc/${pid}/stat`, "utf8")));
    await second.close();
    editRecord(job.id, { status: "cancelled", finished_at: 1 });
    place.start({ options: { trainer } });
    await waitFor(() => place.trainers().length === 0);
  });

  test("ends what a trainer started once it has ended by itself", async () => {
    const trainer = await writeTrainer(place, parentTrainer);
    const first = place.start({ options: { trainer } });
    const { id } = await createJob(first);
    const worker = await readWorker(first, id);
    await first.close();
    const second = place.start({ options: { trainer } });
    expect(await second.getJob(id, never)).toMatchObject({ status: "running" });
    expect(isAlive(worker)).toBe(true);
    writeFileSync(jobPath(id, "enough"), "");
    await waitForStatus(second, id, "succeeded");
    await waitFor(() => !isAlive(worker));
  });

  test("ends what a cancelled trainer started and SIGTERM did not end", async () => {
    const trainer = await writeTrainer(place, parentTrainer);
    const first = place.start({ options: { trainer } });
    const { id } = await createJob(first);
    const worker = await readWorker(first, id);
    await first.close();
    const second = place.start({ options: { trainer } });
    expect(await second.cancelJob(id, never)).toMatchObject({ status: "cancelled" });
    await waitFor(() => !isAlive(worker));
  });

  test("ends what a trainer has left that ended meanwhile", async () => {
    const trainer = await writeTrainer(place, parentTrainer);
    const first = place.start({ options: { trainer } });
    const { id } = await createJob(first);
    const worker = await readWorker(first, id);
    await first.close();
    writeFileSync(jobPath(id, "enough"), "");
    await waitFor(() => place.trainers().length === 0);
    expect(isAlive(worker)).toBe(true);
    const second = place.start({ options: { trainer } });
    expect(await second.getJob(id, never)).toMatchObject({ status: "succeeded" });
    await waitFor(() => !isAlive(worker));
  });

  test("ends no group of an earlier boot, nor of a process that has the number now", () => {
    const stranger = Bun.spawn(["sleep", "1000"], { detached: true });
    try {
      const started = identifyProcess(stranger.pid)?.started ?? "";
      expect(ownsGroup({ pid: stranger.pid, started })).toBe(true);
      expect(ownsGroup({ pid: stranger.pid, started: `${started}1` })).toBe(false);
    } finally {
      stranger.kill("SIGKILL");
    }
    const unused = 2 ** 22 + 1;
    const boot = identifyProcess(process.pid)?.started.split("t")[0] ?? "";
    expect(ownsGroup({ pid: unused, started: `${boot}t1` })).toBe(true);
    expect(ownsGroup({ pid: unused, started: "00000000t1" })).toBe(false);
  });

  test("begins again with jobs that were queued or validated, in their order", async () => {
    const trainer = await writeTrainer(
      place,
      `appendFileSync(${JSON.stringify(`${place.path}-order`)}, job.job_id + "\\n"); ${quickTrainer}`,
    );
    const slow = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer: slow } });
    const running = await createJob(first);
    const queued = await createJob(first);
    await waitForStatus(first, running.id, "running");
    await waitForStatus(first, queued.id, "queued");
    const validating = await createJob(first);
    await first.close();
    const second = place.start({ options: { trainer } });
    writeFileSync(jobPath(running.id, "enough"), "");
    await waitForStatus(second, validating.id, "succeeded");
    await waitForStatus(second, queued.id, "succeeded");
    expect(readFileSync(`${place.path}-order`, "utf8")).toBe(`${queued.id}\n${validating.id}\n`);
    const messages = await readMessages(second, validating.id);
    expect(messages.filter((text) => text.startsWith("Validating"))).toHaveLength(1);
    expect(messages.filter((text) => text.startsWith("Files validated"))).toHaveLength(1);
  });

  test("kills the trainer of a cancelled job that did not end in time", async () => {
    const trainer = await writeTrainer(place, `process.on("SIGTERM", () => {}); ${endlessTrainer}`);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.cancelJob(job.id, never);
    expect(place.trainers()).toHaveLength(1);
    await first.close();
    await waitFor(() => place.trainers().length === 0);
  });

  test("takes up a trainer that was started but not noted", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    const [pid] = place.trainers();
    const none = { progress: null, output: { offset: 0, skipping: false } };
    editRecord(job.id, { ...none, status: "queued", process: null });
    const second = place.start({ options: { trainer } });
    await waitForStatus(second, job.id, "running");
    expect(place.trainers()).toEqual([pid ?? 0]);
    writeFileSync(jobPath(job.id, "enough"), "");
    await waitForStatus(second, job.id, "succeeded");
  });

  test("does not count events that a crash kept from being noted", async () => {
    const first = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const job = await createJob(first);
    await waitForStatus(first, job.id, "succeeded");
    await first.close();
    const before = await readMessages(first, job.id);
    const path = jobPath(job.id, "events.jsonl");
    writeFileSync(path, `${readFileSync(path, "utf8")}{"id":"ftevent-half`);
    const second = place.start();
    expect(await readMessages(second, job.id)).toEqual(before);
  });

  test("removes half-made jobs and marks without a job, and passes over damaged ones", async () => {
    const id = `ftjob-${"0".repeat(24)}`;
    const damaged = `ftjob-${"1".repeat(24)}`;
    mkdirSync(join(place.path, "temporary", "earlier", id), { recursive: true });
    mkdirSync(join(place.path, "unfinished"), { recursive: true });
    mkdirSync(join(place.path, "jobs", damaged), { recursive: true });
    for (const mark of [id, damaged]) writeFileSync(join(place.path, "unfinished", mark), "");
    writeFileSync(jobPath(damaged, "job.json"), "{");
    const backend = place.start({ options: { trainer: await writeTrainer(place, quickTrainer) } });
    const job = await createJob(backend);
    await waitForStatus(backend, job.id, "succeeded");
    expect(place.logged.join("\n")).toContain(damaged);
    expect(() => readFileSync(join(place.path, "unfinished", id))).toThrow();
  });

  test("is left to the instance that serves jobs", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const first = place.start({ options: { trainer } });
    const job = await createJob(first);
    await waitForSteps(first, job.id);
    await first.close();
    const filesOnly = place.start({ serves: { files: true, jobs: false } });
    await upload(filesOnly);
    writeFileSync(jobPath(job.id, "enough"), "");
    await waitFor(() => place.trainers().length === 0);
    expect(await filesOnly.getJob(job.id, never)).toMatchObject({ status: "running" });
    const both = place.start({ options: { trainer }, serves: { files: false, jobs: true } });
    expect(await both.getJob(job.id, never)).toMatchObject({ status: "succeeded" });
  });
});

describe("a gateway that is killed", () => {
  test("leaves its trainers to the next one", async () => {
    const trainer = await writeTrainer(place, endlessTrainer);
    const { id, gateway } = await spawnGateway(trainer, true);
    await waitFor(() => place.trainers().length === 1);
    gateway.kill("SIGKILL");
    await gateway.exited;
    const backend = place.start({ options: { trainer } });
    await waitForStatus(backend, id, "running");
    await waitForSteps(backend, id);
    writeFileSync(jobPath(id, "enough"), "");
    await waitForStatus(backend, id, "succeeded");
  });

  test("at any moment, again and again, neither loses nor doubles anything", async () => {
    const total = 400;
    const trainer = await writeTrainer(
      place,
      `for (let step = 1; step <= ${total}; step += 1) {
        metrics(step, ${total});
        if (step % 100 === 0) say({ type: "checkpoint", step, path: "p", metrics: {} });
        await Bun.sleep(3);
      }
      result();`,
    );
    let { id, gateway } = await spawnGateway(trainer, true);
    for (const pause of [0, 15, 60, 140, 230, 310]) {
      await Bun.sleep(pause);
      gateway.kill("SIGKILL");
      await gateway.exited;
      ({ gateway } = await spawnGateway(trainer, false));
    }
    gateway.kill("SIGKILL");
    await gateway.exited;
    const backend = place.start({ options: { trainer } });
    const job = await waitForStatus(backend, id, "succeeded");
    const messages = await readMessages(backend, id);
    expect(await readSteps(backend, id)).toEqual(
      Array.from({ length: total }, (_, index) => index + 1),
    );
    expect(messages).toHaveLength(total + 10);
    expect(job.result_files).toHaveLength(1);
    const files = await Array.fromAsync(
      backend.listFiles({ limit: 10, order: "desc", purpose: "fine-tune-results" }, never),
    );
    expect(files).toHaveLength(1);
    expect(place.trainers()).toEqual([]);
  });
});
