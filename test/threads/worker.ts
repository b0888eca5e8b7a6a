import { serveTasks } from "../../src/threads/serve.ts";

let runs = 0;

/** What the tests of the pool let its threads do. */
const tasks = {
  /** How many tasks this thread has run. */
  async runs() {
    return runs;
  },
  async echo(input: unknown) {
    return input;
  },
  async progress(amounts: readonly number[], onProgress: (amount: number) => void) {
    for (const amount of amounts) onProgress(amount);
  },
  async read(content: Blob) {
    return await content.text();
  },
  async fail(message: string) {
    throw new RangeError(message);
  },
  async answerFunction() {
    return () => 1;
  },
  async exit() {
    process.exit(3);
  },
  async crash() {
    setTimeout(() => {
      throw new Error("beside the task");
    }, 0);
    await new Promise(() => undefined);
  },
  async freeze() {
    for (;;);
  },
  /** Ends with its signal, after `shared` was set to 1. */
  async wait(shared: Int32Array, _: unknown, signal: AbortSignal) {
    Atomics.store(shared, 0, 1);
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  },
  /** Ends when `shared` becomes 1; counts itself meanwhile in the second element. */
  async hold(shared: Int32Array) {
    Atomics.add(shared, 1, 1);
    Atomics.notify(shared, 1);
    while (Atomics.load(shared, 0) === 0) await Bun.sleep(1);
    Atomics.sub(shared, 1, 1);
  },
};

serveTasks(
  new Map(
    Object.entries(tasks).map(([name, task]) => [
      name,
      (input: never, onProgress, signal) => {
        runs += 1;
        return task(input, onProgress, signal);
      },
    ]),
  ),
);
