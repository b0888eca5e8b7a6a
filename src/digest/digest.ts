import { startWorker } from "../threads/start.ts";

/** The SHA-256 of bytes that come in pieces, computed beside the event loop; fails with its thread. */
export interface Digest {
  /** Adds bytes of shared memory, which must not change until this resolves. */
  update(bytes: Uint8Array<SharedArrayBuffer>): Promise<void>;
  /** The digest in hexadecimal; to be called once, at the end or when there is no more use for it. */
  finish(): Promise<string>;
}

/** Computes the SHA-256 of a few bytes at once, in hexadecimal. */
export function digestBytes(chunks: readonly Uint8Array[]): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

let thread: ReturnType<typeof startThread> | undefined;
let lastId = 0;

/** Starts a digest; the first one starts the thread that computes them all. */
export function startDigest(): Digest {
  thread ??= startThread();
  const { ask } = thread;
  lastId += 1;
  const id = lastId;
  return {
    update: async (bytes) => void (await ask([id, bytes])),
    finish: () => ask([id]),
  };
}

function startThread() {
  const worker = startWorker("digest/worker");
  // It never keeps the process from ending.
  worker.unref();
  const waiting: PromiseWithResolvers<string>[] = [];
  let failure: Error | undefined;
  worker.onmessage = ({ data }: MessageEvent<string>) => waiting.shift()?.resolve(data);
  const fail = (reason: string) => {
    if (failure !== undefined) return;
    failure = new Error(`Cannot compute: ${reason}`);
    thread = undefined;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  worker.onerror = ({ message }) => fail(message);
  worker.addEventListener("close", () => fail("the thread has ended"));
  return {
    ask(message: readonly [id: number, bytes?: Uint8Array]): Promise<string> {
      // Nobody would answer: what a digest has had so far is lost with its thread.
      if (failure !== undefined) return Promise.reject(failure);
      const answer = Promise.withResolvers<string>();
      waiting.push(answer);
      worker.postMessage(message);
      return answer.promise;
    },
  };
}
