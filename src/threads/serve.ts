import type { Answer, Order, Task } from "./messages.ts";

declare const self: Worker;

/** Makes this thread carry out `tasks`, one at a time, for the pool that has started it. */
export function serveTasks(tasks: ReadonlyMap<string, Task<never, unknown>>): void {
  let running: AbortController | undefined;

  async function answer({ task: name, input }: Extract<Order, { readonly task: string }>) {
    running = new AbortController();
    try {
      const task = tasks.get(name);
      if (task === undefined) throw new Error(`Cannot run "${name}": there is no such task`);
      const onProgress = (progress: number) => send({ progress });
      // The pool's own types say what each task takes.
      send({ result: await task(input as never, onProgress, running.signal) });
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      send({ failure: { message, stack } });
    } finally {
      running = undefined;
    }
  }

  self.onmessage = ({ data }: MessageEvent<Order>) => {
    if ("abort" in data) running?.abort();
    else void answer(data);
  };
}

function send(answer: Answer): void {
  self.postMessage(answer);
}
