import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createPool, type PoolOptions } from "../../src/threads/pool.ts";
import { makeDirectory } from "../support/directory.ts";

const { signal } = new AbortController();

function makePool(options: Partial<PoolOptions> = {}) {
  let started = 0;
  const pool = createPool({
    size: 1,
    start: () => {
      started += 1;
      return new Worker(join(import.meta.dir, "worker.ts"));
    },
    idleMilliseconds: 60_000,
    patienceMilliseconds: 60_000,
    ...options,
  });
  return { ...pool, started: () => started };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => "no failure",
    (error) => error,
  );
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(2);
}

function makeShared(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

describe("a pool of threads", () => {
  test("starts no thread before there is work, and one thread for one task after the other", async () => {
    const pool = makePool({ size: 3 });
    expect(pool.started()).toBe(0);
    expect(await pool.run("echo", { a: [1, "ü"] }, { signal })).toEqual({ a: [1, "ü"] });
    expect(await pool.run("runs", undefined, { signal })).toBe(2);
    expect(pool.started()).toBe(1);
  });

  test("passes on progress in order, before the result", async () => {
    const amounts: number[] = [];
    const onProgress = (amount: number) => amounts.push(amount);
    await makePool().run("progress", [1, 5, 9], { signal, onProgress });
    expect(amounts).toEqual([1, 5, 9]);
  });

  test("hands over files, parts of files, and bytes in memory under whatever name", async () => {
    const directory = makeDirectory();
    try {
      const pool = makePool();
      const path = join(directory.path, "file");
      await Bun.write(path, "0123456789");
      const read = (content: Blob) => pool.run("read", content, { signal });
      expect(await read(Bun.file(path))).toBe("0123456789");
      expect(await read(Bun.file(path).slice(2, 6).slice(1))).toBe("345");
      expect(await read(Bun.file(path).slice(4, 4))).toBe("");
      expect(await read(new Blob(["abc", "def"]).slice(2, 4))).toBe("cd");
      expect(await read(new File(["not the file"], path))).toBe("not the file");
      const missing = await failureOf(read(Bun.file(join(directory.path, "missing"))));
      expect(String(missing)).toContain("ENOENT");
    } finally {
      directory.remove();
    }
  });

  test("rejects with a task's error and its stack, and goes on with the same thread", async () => {
    const pool = makePool();
    const error = await failureOf(pool.run("fail", "too long", { signal }));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ message: "too long" });
    expect(String((error as Error).stack)).toContain("worker.ts");
    expect(await pool.run("runs", undefined, { signal })).toBe(2);
    const unknown = await failureOf(pool.run("nothing", undefined, { signal }));
    expect(String(unknown)).toContain('Cannot run "nothing": there is no such task');
  });

  test("rejects a task whose input or result cannot be sent, and goes on", async () => {
    const pool = makePool();
    const unsent = failureOf(pool.run("echo", { call: () => 1 }, { signal }));
    const next = pool.run("runs", undefined, { signal });
    expect(String(await unsent)).toContain("DataCloneError");
    expect(await next).toBe(1);
    const unanswered = await failureOf(pool.run("answerFunction", undefined, { signal }));
    expect(String(unanswered)).toContain("can not be cloned");
    expect(await pool.run("runs", undefined, { signal })).toBe(3);
    expect(pool.started()).toBe(1);
  });

  test("rejects the task of a thread that crashes, and gives the next one a new thread", async () => {
    const pool = makePool();
    for (const task of ["exit", "crash"]) {
      const crashed = failureOf(pool.run(task, undefined, { signal }));
      const next = pool.run("runs", undefined, { signal });
      expect(String(await crashed)).toStartWith(`Error: Cannot run "${task}": `);
      expect(await next).toBe(1);
    }
    expect(pool.started()).toBe(3);
  });

  test("rejects every task of threads that fail when they start", async () => {
    const start = () => new Worker(join(import.meta.dir, "broken-worker.ts"));
    const pool = makePool({ start });
    const failures = await Promise.all(
      [1, 2, 3].map(() => failureOf(pool.run("echo", 1, { signal }))),
    );
    for (const failure of failures) {
      expect(String(failure)).toContain('Cannot run "echo": ');
      expect(String(failure)).toContain("at import");
    }
  });

  test("rejects at once with the reason of its signal, and keeps a thread that ends its task", async () => {
    const pool = makePool();
    const aborting = new AbortController();
    const shared = makeShared();
    const task = failureOf(pool.run("wait", shared, { signal: aborting.signal }));
    await until(() => Atomics.load(shared, 0) === 1);
    const reason = new Error("gone");
    aborting.abort(reason);
    expect(await task).toBe(reason);
    expect(await pool.run("runs", undefined, { signal })).toBe(2);
    expect(pool.started()).toBe(1);
  });

  test("ends a thread whose task does not end with its signal", async () => {
    const pool = makePool({ patienceMilliseconds: 20 });
    const aborting = new AbortController();
    const frozen = failureOf(pool.run("freeze", undefined, { signal: aborting.signal }));
    const next = pool.run("runs", undefined, { signal });
    await Bun.sleep(20);
    aborting.abort("gone");
    expect(await frozen).toBe("gone");
    expect(await next).toBe(1);
    expect(pool.started()).toBe(2);
  });

  test("never begins a task whose signal is aborted before or while it waits", async () => {
    const pool = makePool();
    expect(await failureOf(pool.run("exit", 0, { signal: AbortSignal.abort("early") }))).toBe(
      "early",
    );
    const shared = makeShared();
    const holding = pool.run("hold", shared, { signal });
    const aborting = new AbortController();
    const waiting = failureOf(pool.run("exit", undefined, { signal: aborting.signal }));
    aborting.abort("late");
    expect(await waiting).toBe("late");
    Atomics.store(shared, 0, 1);
    await holding;
    expect(await pool.run("runs", undefined, { signal })).toBe(2);
  });

  test("runs no more tasks at a time than its size", async () => {
    const pool = makePool({ size: 2 });
    const shared = makeShared();
    const tasks = [1, 2, 3, 4].map(() => pool.run("hold", shared, { signal }));
    await until(() => Atomics.load(shared, 1) === 2);
    await Bun.sleep(20);
    expect(Atomics.load(shared, 1)).toBe(2);
    Atomics.store(shared, 0, 1);
    await Promise.all(tasks);
    expect(pool.started()).toBe(2);
  });

  test("begins urgent tasks before the others, each kind in its order", async () => {
    const pool = makePool();
    const shared = makeShared();
    const order: unknown[] = [];
    const holding = pool.run("hold", shared, { signal });
    const run = async (name: string, urgent: boolean) => {
      order.push(await pool.run("echo", name, { signal, urgent }));
    };
    const all = [run("a", false), run("b", false), run("c", true), run("d", true)];
    Atomics.store(shared, 0, 1);
    await Promise.all([holding, ...all]);
    expect(order).toEqual(["c", "d", "a", "b"]);
  });

  test("ends threads without work, and starts one when there is work again", async () => {
    const pool = makePool({ idleMilliseconds: 1 });
    await until(async () => {
      await Bun.sleep(20);
      await pool.run("runs", undefined, { signal });
      return pool.started() > 2;
    });
    expect(await pool.run("echo", "still here", { signal })).toBe("still here");
  });

  test("keeps a process until its tasks have ended, and no longer", async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "child.ts")], {
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(await child.stdout.text()).toBe("8");
    expect(await child.exited).toBe(0);
  }, 20_000);
});
