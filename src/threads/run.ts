import { availableParallelism } from "node:os";
import { createPool, type RunOptions } from "./pool.ts";
import { startWorker } from "./start.ts";
import type { Tasks } from "./tasks.ts";

/** How many tasks run at the same time: one core is left to the gateway itself. */
export const threadCount = Math.min(4, Math.max(1, availableParallelism() - 1));

const pool = createPool({
  size: threadCount,
  start: () => startWorker("threads/worker"),
  idleMilliseconds: 30_000,
  patienceMilliseconds: 2_000,
});

/**
 * Runs a task beside the event loop. Rejects with the signal's reason, with the task's error, or with
 * one that says that the thread has ended; the next task gets a new thread.
 */
export async function runTask<Name extends keyof Tasks>(
  name: Name,
  input: Parameters<Tasks[Name]>[0],
  options: RunOptions,
): Promise<Awaited<ReturnType<Tasks[Name]>>> {
  // The thread runs the very function that the type is taken from.
  return (await pool.run(name, input, options)) as Awaited<ReturnType<Tasks[Name]>>;
}
