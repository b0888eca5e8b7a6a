import type { Answer, Failure, Order } from "./messages.ts";

/** Threads that are started when there is work for them. */
export interface Pool {
  /**
   * Sends a task to a thread that is free, or lets it wait for one. Rejects with the signal's
   * reason at once, with the error of the task, or with one that says that its thread has ended.
   */
  run(task: string, input: unknown, options: RunOptions): Promise<unknown>;
}

/** How one task is run. */
export interface RunOptions {
  readonly signal: AbortSignal;
  /** Is given what the task says of how far it is, in a unit of its own. */
  readonly onProgress?: ((amount: number) => void) | undefined;
  /** Whether somebody waits: such tasks begin before all others. */
  readonly urgent?: boolean | undefined;
}

/** What a pool is made of. */
export interface PoolOptions {
  /** Most threads, and so most tasks that run at the same time. */
  readonly size: number;
  /** Starts a thread that calls `serveTasks`. */
  start(): Worker;
  /** After which time without work a thread ends and gives its memory back. */
  readonly idleMilliseconds: number;
  /** How long a task may go on after its signal before its thread is ended. */
  readonly patienceMilliseconds: number;
}

interface Job extends RunOptions {
  readonly task: string;
  readonly input: unknown;
  resolve(result: unknown): void;
  reject(reason: unknown): void;
}

interface Thread {
  work(job: Job): void;
}

/** Makes a pool without any thread. A thread keeps the process from ending while it has work. */
export function createPool(options: PoolOptions): Pool {
  const urgent: Job[] = [];
  const others: Job[] = [];
  const free: Thread[] = [];
  let threads = 0;

  function startThread(): Thread {
    threads += 1;
    const thread = createThread(options, {
      isFree() {
        free.push(thread);
        assign();
      },
      hasEnded() {
        threads -= 1;
        if (free.includes(thread)) free.splice(free.indexOf(thread), 1);
        assign();
      },
    });
    return thread;
  }

  function assign(): void {
    while (urgent.length + others.length > 0) {
      // The one that worked last has its tables at hand, and the others come to their end.
      const thread = free.pop() ?? (threads < options.size ? startThread() : undefined);
      if (thread === undefined) return;
      const job = urgent.shift() ?? others.shift();
      if (job !== undefined) thread.work(job);
    }
  }

  return {
    run(task, input, runOptions) {
      const { signal } = runOptions;
      if (signal.aborted) return Promise.reject(signal.reason);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const queue = runOptions.urgent === true ? urgent : others;
      const job: Job = { ...runOptions, task, input, resolve, reject };
      const abort = () => {
        if (queue.includes(job)) queue.splice(queue.indexOf(job), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      queue.push(job);
      assign();
      return promise.finally(() => signal.removeEventListener("abort", abort));
    },
  };
}

/** What a thread tells its pool. */
interface Reports {
  isFree(): void;
  hasEnded(): void;
}

function createThread(options: PoolOptions, reports: Reports): Thread {
  const worker = options.start();
  let job: Job | undefined;
  let ended = false;
  let timer: Timer | undefined;

  function send(order: Order): void {
    worker.postMessage(order);
  }

  function endAfter(milliseconds: number, reason: string): void {
    clearTimeout(timer);
    timer = setTimeout(end, milliseconds, reason);
    timer.unref();
  }

  function abort(): void {
    // Ending a thread from outside costs its tables, and has crashed Bun while one still loads.
    send({ abort: true });
    endAfter(options.patienceMilliseconds, "the thread did not end it");
  }

  function takeJob(): Job | undefined {
    clearTimeout(timer);
    job?.signal.removeEventListener("abort", abort);
    const taken = job;
    job = undefined;
    return taken;
  }

  function end(reason: string): void {
    if (ended) return;
    ended = true;
    const failed = takeJob();
    failed?.reject(new Error(`Cannot run "${failed.task}": ${reason}`));
    worker.terminate();
    reports.hasEnded();
  }

  function rest(): void {
    worker.unref();
    endAfter(options.idleMilliseconds, "the thread had no work");
    reports.isFree();
  }

  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if (ended) return;
    if ("progress" in data) {
      if (job?.signal.aborted === false) job.onProgress?.(data.progress);
      return;
    }
    const done = takeJob();
    if ("result" in data) done?.resolve(data.result);
    else done?.reject(makeError(data.failure));
    rest();
  };
  worker.onerror = ({ message }) => end(message);
  worker.addEventListener("close", () => end("the thread has ended"));

  return {
    work(next) {
      clearTimeout(timer);
      job = next;
      next.signal.addEventListener("abort", abort, { once: true });
      worker.ref();
      try {
        send({ task: next.task, input: next.input });
      } catch (error) {
        // The input holds what cannot be sent, such as a function.
        takeJob()?.reject(error);
        rest();
      }
    },
  };
}

function makeError({ message, stack }: Failure): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
