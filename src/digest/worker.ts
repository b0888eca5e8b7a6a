import { createHash, type Hash } from "node:crypto";

// A thread that computes digests for `digest.ts`: [id, bytes] adds bytes, [id] ends one and is
// answered with it. Every message is answered, in order.

declare const self: Worker;

const hashes = new Map<number, Hash>();

self.onmessage = ({ data }: MessageEvent<readonly [id: number, bytes?: Uint8Array]>) => {
  const [id, bytes] = data;
  const hash = hashes.get(id) ?? createHash("sha256");
  if (bytes === undefined) {
    hashes.delete(id);
    self.postMessage(hash.digest("hex"));
  } else {
    hashes.set(id, hash.update(bytes));
    self.postMessage("");
  }
};
