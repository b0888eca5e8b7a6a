import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JobFields } from "../../../src/provider.ts";
import type { WholeBackend } from "../backends.ts";
import {
  type BackendSetup,
  collect,
  createJob,
  endlessTrainer,
  isAlive,
  makePlace,
  never,
  type Place,
  parentTrainer,
  quickTrainer,
  readEvents,
  readMessages,
  readState,
  readWorker,
  refusal,
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

async function startWith(body: string, setup: BackendSetup = {}) {
  const trainer = await writeTrainer(place, body);
  return place.start({ ...setup, options: { trainer, ...setup.options } });
}

async function waitForFailure(backend: WholeBackend, id: string): Promise<JobFields> {
  await waitFor(async () => (await backend.getJob(id, never)).status === "failed");
  return await backend.getJob(id, never);
}

async function waitForSteps(backend: WholeBackend, id: string): Promise<void> {
  await waitFor(async () => (await readMessages(backend, id)).some((text) => /^Step/.test(text)));
}

const jobPath = (job: JobFields, name: string) => join(place.path, "jobs", job.id, name);

describe("a trainer that fails", () => {
  test("fails its job with the last lines of its standard error", async () => {
    const backend = await startWith(`
      for (let line = 1; line <= 100; line += 1) console.error("line " + line);
      metrics(1, 2);
      result();
      process.exit(3);`);
    const job = await waitForFailure(backend, (await createJob(backend)).id);
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index + 81}`).join("\n");
    expect(job).toMatchObject({
      error: {
        code: "trainer_failed",
        param: null,
        message: `The trainer ended with exit code 3:\n${lines}`,
      },
      fine_tuned_model: null,
      trained_tokens: null,
      result_files: [],
      finished_at: expect.any(Number),
    });
    const [last] = await readEvents(backend, job.id);
    expect(last).toMatchObject({ level: "error", message: expect.stringContaining("line 100") });
  });

  test("is quoted within bounds, whatever it wrote", async () => {
    const backend = await startWith(
      `appendFileSync("stderr.log", Buffer.alloc(3_000_000, "é")); process.exit(1);`,
    );
    const job = await waitForFailure(backend, (await createJob(backend)).id);
    const message = String((job.error as { message: unknown }).message);
    expect(message.length).toBeLessThan(2100);
    expect(message).toEndWith("éé");
  });

  test.each([
    ["dies by a signal", 'process.kill(process.pid, "SIGKILL"); await Bun.sleep(1e6);', "SIGKILL"],
    ["ends without a result", "metrics(1, 1);", "The trainer ended without a result"],
    ["prints nothing", "", "The trainer ended without a result"],
    ["throws", 'throw new Error("no GPU");', "no GPU"],
    ["breaks off its result", `writeSync(1, '{"type":"result","trained_t')`, "without a result"],
    [
      "lies about its tokens",
      'say({ type: "result", trained_tokens: -1, model: "m" });',
      "without a result",
    ],
  ])("fails its job when it %s", async (_, body, message) => {
    const backend = await startWith(body);
    const job = await waitForFailure(backend, (await createJob(backend)).id);
    expect(job.error).toMatchObject({ message: expect.stringContaining(message) });
  });

  test("fails its job when there is no such command", async () => {
    const backend = place.start({ options: { trainer: ["/nonexistent/trainer", "x"] } });
    const job = await waitForFailure(backend, (await createJob(backend)).id);
    expect(job.error).toMatchObject({ message: expect.stringContaining("/nonexistent/trainer") });
    expect(await readMessages(backend, job.id)).not.toContain("Fine-tuning job started");
  });
});

describe("what a trainer prints", () => {
  test("is passed over where it is not of the protocol", async () => {
    const backend = await startWith(`
      for (const line of ["Loading...", "", "{", "[]", "null", "7", '"text"', '{"type":"other"}',
        '{"step":1}', "{'loss': 0.5}", '{"type":7}', '{"data":{"type":"metrics"}}', "\\u0000\\u0001"])
        writeSync(1, line + "\\n");
      writeSync(1, Buffer.from([0xff, 0xfe, 0x0a, 0x0d, 0x0a]));
      metrics(1, 1);
      writeSync(1, " " + JSON.stringify({ type: "result", trained_tokens: 0, model: "m" }) + "\\r\\n");`);
    const { id } = await createJob(backend);
    const job = await waitForStatus(backend, id, "succeeded");
    expect(job.trained_tokens).toBe(0);
    expect((await readMessages(backend, id)).slice(4)).toEqual([
      "Step 1/1: training loss=1.00",
      "New fine-tuned model created",
      "The job has successfully completed",
    ]);
    expect(readFileSync(jobPath(job, "stdout.log"), "utf8")).toContain("Loading...");
  });

  test("becomes a warning where it means to be of the protocol and is not", async () => {
    const lines = [
      '{"type":"metrics","step":1,"total_steps":2,"train_mean_token_accuracy":1}',
      '{"type":"metrics","step":1.5,"total_steps":2,"train_loss":1,"train_mean_token_accuracy":1}',
      '{"type":"metrics","step":1,"total_steps":2,"train_loss":"1","train_mean_token_accuracy":1}',
      '{"type":"metrics","step":1,"total_steps":2,"train_loss":NaN,"train_mean_token_accuracy":1}',
      '{"type":"metrics","step":1,"total_steps":2,"train_loss":1e999,"train_mean_token_accuracy":1}',
      '{"type":"message","level":"loud","message":"x"}',
      '{"type":"message","level":"info"}',
      '{"type":"checkpoint","step":1,"path":"p","metrics":{"train_loss":"x"}}',
      '{"type":"checkpoint","step":1,"metrics":{}}',
      '{"type":"result","trained_tokens":1.5,"model":"m"}',
    ];
    const backend = await startWith(`
      for (const line of ${JSON.stringify(lines)}) writeSync(1, line + "\\n");
      ${quickTrainer}`);
    const { id } = await createJob(backend);
    await waitForStatus(backend, id, "succeeded");
    const warnings = (await readEvents(backend, id))
      .filter(({ level }) => level === "warn")
      .map(({ message }) => message)
      .reverse();
    expect(warnings).toHaveLength(lines.length);
    expect(warnings[0]).toBe(
      'Cannot read the line at byte 0 of what the trainer printed: "train_loss" is missing',
    );
    const named = ["train_loss", "step", "train_loss", "JSON", "train_loss", "level", "message"];
    const all = [...named, "metrics.train_loss", "path", "trained_tokens"];
    all.forEach((name, index) => {
      expect(warnings[index]).toContain(name);
    });
    expect(await collect(backend.listJobCheckpoints(id, { limit: 10 }, never))).toEqual([]);
  });

  test("may hold Python's None where a figure is optional", async () => {
    const backend = await startWith(`
      const none = { valid_loss: null, valid_mean_token_accuracy: null,
        full_valid_loss: null, full_valid_mean_token_accuracy: null };
      say({ type: "metrics", step: 1, total_steps: 1, train_loss: 1 / 3,
        train_mean_token_accuracy: 0.5, ...none });
      say({ type: "checkpoint", step: 1, path: "p", metrics: { train_loss: 0.25, ...none } });
      say({ type: "metrics", step: 2, total_steps: 2, train_loss: null,
        train_mean_token_accuracy: 0.5 });
      result();`);
    const { id } = await createJob(backend);
    const job = await waitForStatus(backend, id, "succeeded");
    const events = await readEvents(backend, id);
    expect(events.find(({ type }) => type === "metrics")).toMatchObject({
      message: "Step 1/1: training loss=0.33",
      data: { step: 1, total_steps: 1, train_loss: 1 / 3, train_mean_token_accuracy: 0.5 },
    });
    expect(JSON.stringify(events)).not.toContain("null");
    expect(events.filter(({ level }) => level === "warn")).toHaveLength(1);
    const [checkpoint] = await collect(backend.listJobCheckpoints(id, { limit: 10 }, never));
    expect(checkpoint?.metrics).toEqual({ step: 1, train_loss: 0.25 });
    const [results] = job.result_files as string[];
    const content = await backend.readFile(results ?? "", undefined, never);
    expect(await new Response(content.body).text()).toEndWith("\n1,0.33333,0.5,,\n");
  });

  test("holds no half characters where it is shown", async () => {
    const backend = await startWith(
      `say({ type: "message", level: "info", message: "half \\ud83d" }); result();`,
    );
    const { id } = await createJob(backend);
    await waitForStatus(backend, id, "succeeded");
    expect(await readMessages(backend, id)).toContain("half \ufffd");
  });

  test("may come in pieces, and its last line without an end", async () => {
    const backend = await startWith(`
      const line = '{"type":"message","level":"info","message":"é in pieces"}\\n';
      for (const byte of Buffer.from(line)) { writeSync(1, new Uint8Array([byte])); await Bun.sleep(4); }
      writeSync(1, '{"type":"result","trained_tokens":5,"model":"m"}');`);
    const { id } = await createJob(backend);
    expect(await waitForStatus(backend, id, "succeeded")).toMatchObject({ trained_tokens: 5 });
    expect(await readMessages(backend, id)).toContain("é in pieces");
  });

  test("is left out and warned of where a line is longer than 1 MiB, and read on behind it", async () => {
    const backend = await startWith(`
      metrics(1, 2);
      const long = JSON.stringify({ type: "message", level: "info", message: "x".repeat(3_500_000) });
      for (let at = 0; at < long.length; at += 100_000) writeSync(1, long.slice(at, at + 100_000));
      writeSync(1, "\\n");
      metrics(2, 2);
      result();
      writeSync(1, "y".repeat(1_100_000));`);
    const { id } = await createJob(backend);
    await waitForStatus(backend, id, "succeeded");
    const messages = (await readMessages(backend, id)).slice(4);
    expect(messages).toHaveLength(6);
    expect(messages[0]).toStartWith("Step 1/2");
    expect(messages[1]).toContain("longer than 1 MiB");
    expect(messages[2]).toStartWith("Step 2/2");
    expect(messages[3]).toContain("longer than 1 MiB");
  });

  test("makes events up to a bound, and results of all of it", async () => {
    const backend = await startWith(`
      const message = "x".repeat(900_000);
      for (let index = 0; index < 30; index += 1) say({ type: "message", level: "info", message });
      metrics(1, 1);
      result();`);
    const { id } = await createJob(backend);
    const job = await waitForStatus(backend, id, "succeeded");
    expect(statSync(jobPath(job, "events.jsonl")).size).toBeLessThan(18 * 1024 * 1024);
    const messages = await readMessages(backend, id);
    expect(messages.filter((text) => text.includes("more events than are kept"))).toHaveLength(1);
    expect(messages.at(-1)).toBe("The job has successfully completed");
    const [results] = job.result_files as string[];
    const content = await backend.readFile(results ?? "", undefined, never);
    expect(await new Response(content.body).text()).toEndWith("\n1,1,0.5,,\n");
  });
});

describe("the gateway's secrets", () => {
  const secrets = ["key-of-the-gateway", "key-of-the-gateway-and-more", "short"];

  test("are not handed to a trainer, whatever the name of their variable", async () => {
    const variables = {
      TUNEGATE_MASTER_KEY: "a",
      LITELLM_MASTER_KEY: "b",
      TEST_SOME_KEY: "key-of-the-gateway",
      TEST_SHORT_KEY: "short",
      TEST_HARMLESS: "key-of-somebody-else",
    };
    const before = { ...process.env };
    try {
      Object.assign(process.env, variables);
      const backend = await startWith(
        `const names = Object.keys(process.env).filter((name) => /KEY|HARMLESS/.test(name));
         say({ type: "message", level: "info", message: "has " + names.join() });
         result();`,
        { secrets },
      );
      const { id } = await createJob(backend);
      await waitForStatus(backend, id, "succeeded");
      const text = (await readMessages(backend, id)).find((one) => one.startsWith("has "));
      expect(text).toContain("TEST_HARMLESS");
      for (const name of Object.keys(variables).slice(0, 4)) expect(text).not.toContain(name);
    } finally {
      for (const name of Object.keys(variables)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });

  test("are masked in a trainer's messages and errors", async () => {
    const backend = await startWith(
      `say({ type: "message", level: "info", message: "with key-of-the-gateway-and-more, in short" });
       console.error("401 for key-of-the-gateway" + "x".repeat(1990));
       process.exit(1);`,
      { secrets },
    );
    const { id } = await createJob(backend);
    const job = await waitForFailure(backend, id);
    expect(await readMessages(backend, id)).toContain("with [secret], in short");
    expect(JSON.stringify(job)).not.toContain("gateway");
    expect(JSON.stringify(await readEvents(backend, id))).not.toContain("gateway");
  });
});

describe("cancelJob()", () => {
  test("ends a running job and its trainer", async () => {
    const backend = await startWith(endlessTrainer);
    const job = await createJob(backend);
    await waitForSteps(backend, job.id);
    expect(place.trainers()).toHaveLength(1);
    const cancelled = await backend.cancelJob(job.id, never);
    expect(cancelled).toMatchObject({
      status: "cancelled",
      error: null,
      fine_tuned_model: null,
      finished_at: expect.any(Number),
    });
    await waitFor(() => place.trainers().length === 0);
    expect(await backend.getJob(job.id, never)).toEqual(cancelled);
    expect((await readMessages(backend, job.id)).at(-1)).toBe("Fine-tuning job cancelled");
  });

  test("kills a trainer that ignores SIGTERM, and only then starts the next", async () => {
    const backend = await startWith(
      `process.on("SIGTERM", () => {}); metrics(1, 2);
       while (!existsSync("enough")) await Bun.sleep(5); result();`,
      { grace: 300 },
    );
    const job = await createJob(backend);
    const next = await createJob(backend);
    await waitForSteps(backend, job.id);
    const [pid] = place.trainers();
    expect(await backend.cancelJob(job.id, never)).toMatchObject({ status: "cancelled" });
    expect(place.trainers()).toEqual([pid ?? 0]);
    await waitForStatus(backend, next.id, "running");
    expect(place.trainers()).not.toContain(pid ?? 0);
    writeFileSync(jobPath(next, "enough"), "");
    await waitForStatus(backend, next.id, "succeeded");
  });

  test("ends what the trainer started, too", async () => {
    const backend = await startWith(parentTrainer);
    const job = await createJob(backend);
    const worker = await readWorker(backend, job.id);
    await backend.cancelJob(job.id, never);
    await waitFor(() => !isAlive(worker));
  });

  test("ends a queued job at once, without a trainer", async () => {
    const backend = await startWith(endlessTrainer);
    const first = await createJob(backend);
    const second = await createJob(backend);
    await waitForStatus(backend, first.id, "running");
    await waitForStatus(backend, second.id, "queued");
    expect(await backend.cancelJob(second.id, never)).toMatchObject({ status: "cancelled" });
    expect(place.trainers()).toHaveLength(1);
    await backend.cancelJob(first.id, never);
  });

  test("ends a job whose files are being validated", async () => {
    const backend = await startWith(quickTrainer);
    const job = await createJob(backend);
    expect(await backend.cancelJob(job.id, never)).toMatchObject({ status: "cancelled" });
    const after = await createJob(backend);
    await waitForStatus(backend, after.id, "succeeded");
    expect(await backend.getJob(job.id, never)).toMatchObject({ status: "cancelled" });
    expect(await readMessages(backend, job.id)).not.toContain("Fine-tuning job started");
  });

  test("ends a paused job, whose trainer hears of it", async () => {
    const backend = await startWith(
      `process.on("SIGTERM", () => { appendFileSync("heard", "x"); process.exit(0); });
       ${endlessTrainer}`,
    );
    const job = await createJob(backend);
    await waitForSteps(backend, job.id);
    await backend.pauseJob(job.id, never);
    expect(await backend.cancelJob(job.id, never)).toMatchObject({ status: "cancelled" });
    await waitFor(() => place.trainers().length === 0);
    expect(readFileSync(jobPath(job, "heard"), "utf8")).toBe("x");
  });

  test("refuses a job that is over, and an unknown one", async () => {
    const backend = await startWith(quickTrainer);
    const { id } = await createJob(backend);
    await waitForStatus(backend, id, "succeeded");
    expect(await refusal(backend.cancelJob(id, never))).toMatchObject({
      status: 400,
      message: expect.stringContaining("succeeded"),
    });
    const unknown = `ftjob-${"0".repeat(24)}`;
    expect(await refusal(backend.cancelJob(unknown, never))).toMatchObject({
      status: 404,
      message: `Could not find fine tune: ${unknown}`,
    });
  });

  test("of many at once succeeds once", async () => {
    const backend = await startWith(endlessTrainer);
    const { id } = await createJob(backend);
    await waitForSteps(backend, id);
    const calls = Array.from({ length: 5 }, () => backend.cancelJob(id, never));
    const ends = await Promise.allSettled(calls);
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const messages = await readMessages(backend, id);
    expect(messages.filter((text) => text === "Fine-tuning job cancelled")).toHaveLength(1);
  });
});

describe("pauseJob() and resumeJob()", () => {
  test("stop the trainer where it stands and let it go on", async () => {
    const backend = await startWith(endlessTrainer);
    const job = await createJob(backend);
    await waitForSteps(backend, job.id);
    expect(await backend.pauseJob(job.id, never)).toMatchObject({
      status: "paused",
      estimated_finish: null,
    });
    const size = () => statSync(jobPath(job, "stdout.log")).size;
    const [pid = 0] = place.trainers();
    await waitFor(() => isStopped(pid));
    const stopped = size();
    // Sixty steps' worth of time.
    await Bun.sleep(300);
    expect(size()).toBe(stopped);
    expect(await backend.getJob(job.id, never)).toMatchObject({ status: "paused" });

    expect(await backend.resumeJob(job.id, never)).toMatchObject({ status: "running" });
    await waitFor(() => size() > stopped);
    writeFileSync(jobPath(job, "enough"), "");
    await waitForStatus(backend, job.id, "succeeded");
    const messages = await readMessages(backend, job.id);
    expect(messages).toContain("Fine-tuning job paused");
    expect(messages).toContain("Fine-tuning job resumed");
  });

  test("keep the slot of a paused job", async () => {
    const backend = await startWith(endlessTrainer);
    const first = await createJob(backend);
    await waitForSteps(backend, first.id);
    await backend.pauseJob(first.id, never);
    const second = await createJob(backend);
    await waitForStatus(backend, second.id, "queued");
    await Bun.sleep(300);
    expect(await backend.getJob(second.id, never)).toMatchObject({ status: "queued" });
    await backend.cancelJob(first.id, never);
    await waitForStatus(backend, second.id, "running");
    await backend.cancelJob(second.id, never);
  });

  test("refuse a job that is in another state", async () => {
    const backend = await startWith(endlessTrainer);
    const running = await createJob(backend);
    const queued = await createJob(backend);
    await waitForStatus(backend, running.id, "running");
    await waitForStatus(backend, queued.id, "queued");
    const refused = { status: 400 };
    expect(await refusal(backend.resumeJob(running.id, never))).toMatchObject(refused);
    expect(await refusal(backend.pauseJob(queued.id, never))).toMatchObject({
      ...refused,
      message: `Cannot pause job "${queued.id}": its status is "queued"; only a running job can be paused`,
    });
    expect(await refusal(backend.resumeJob(queued.id, never))).toMatchObject(refused);
    await backend.pauseJob(running.id, never);
    expect(await refusal(backend.pauseJob(running.id, never))).toMatchObject(refused);
    await backend.cancelJob(running.id, never);
    await backend.cancelJob(queued.id, never);
    expect(await refusal(backend.pauseJob(queued.id, never))).toMatchObject(refused);
    expect(await refusal(backend.resumeJob("ftjob-x", never))).toMatchObject({ status: 404 });
  });

  test("see a paused trainer that is killed from outside", async () => {
    const backend = await startWith(endlessTrainer);
    const job = await createJob(backend);
    await waitForSteps(backend, job.id);
    await backend.pauseJob(job.id, never);
    process.kill(place.trainers()[0] ?? 0, "SIGKILL");
    const failed = await waitForFailure(backend, job.id);
    expect(failed.error).toMatchObject({ message: expect.stringContaining("SIGKILL") });
  });
});

describe("max_concurrent_jobs", () => {
  test.each([1, 2])("lets %d run at once, the others in the order of creation", async (slots) => {
    const log = `${place.path}-order`;
    const backend = await startWith(
      `appendFileSync(${JSON.stringify(log)}, job.job_id + "\\n");
       while (!existsSync("enough")) await Bun.sleep(5); result();`,
      { options: { max_concurrent_jobs: slots } },
    );
    const jobs: JobFields[] = [];
    for (let index = 0; index < 4; index += 1) jobs.push(await createJob(backend));
    for (const [index, job] of jobs.entries()) {
      await waitForStatus(backend, job.id, "running");
      const statuses: string[] = [];
      for (const { id } of jobs) statuses.push((await backend.getJob(id, never)).status);
      expect(statuses.filter((status) => status === "running").length).toBeLessThanOrEqual(slots);
      expect(place.trainers().length).toBeLessThanOrEqual(slots);
      expect(statuses.slice(index + slots)).not.toContain("running");
      writeFileSync(jobPath(job, "enough"), "");
      await waitForStatus(backend, job.id, "succeeded");
    }
    const order = readFileSync(log, "utf8").trim().split("\n");
    if (slots === 1) expect(order).toEqual(jobs.map(({ id }) => id));
    expect(order.toSorted()).toEqual(jobs.map(({ id }) => id).toSorted());
  });
});

function isStopped(pid: number): boolean {
  return readState(pid) === "T";
}
