import { join } from "node:path";
import { isCompiled } from "../executable.ts";

/** The SHA-256 of bytes that come in pieces, computed beside the event loop. */
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
  // In a compiled executable every file that it was built from lies below one directory.
  const name = isCompiled() ? "digest/worker.js" : "worker.ts";
  const worker = new Worker(join(import.meta.dir, name));
  // It never keeps the process from ending.
  worker.unref();
  const waiting: PromiseWithResolvers<string>[] = [];
  worker.onmessage = ({ data }: MessageEvent<string>) => waiting.shift()?.resolve(data);
  const fail = (reason: string) => {
    thread = undefined;
    for (const { reject } of waiting.splice(0)) reject(new Error(`Cannot compute: ${reason}`));
  };
  worker.onerror = ({ message }) => fail(message);
  worker.addEventListener("close", () => fail("the thread has ended"));
  return {
    ask(message: readonly [id: number, bytes?: Uint8Array]): Promise<string> {
      const answer = Promise.withResolvers<string>();
      waiting.push(answer);
      worker.postMessage(message);
      return answer.promise;
    },
  };
}
