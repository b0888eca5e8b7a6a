import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { digestBytes, startDigest } from "../src/digest/digest.ts";
import { createSpool } from "../src/http/spool.ts";
import { makeDirectory } from "./support/directory.ts";
import { catchError } from "./support/gateway.ts";

/** What the thread cannot compute ends it, as running out of memory would. */
async function breakThread(): Promise<void> {
  const broken = startDigest();
  const nonsense = {} as unknown as Uint8Array<SharedArrayBuffer>;
  expect(await catchError(() => broken.update(nonsense))).toBeInstanceOf(Error);
}

function share(text: string): Uint8Array<SharedArrayBuffer> {
  const bytes = new Uint8Array(new SharedArrayBuffer(text.length));
  bytes.set(Buffer.from(text));
  return bytes;
}

describe("a digest whose thread has ended", () => {
  test("fails whenever it is asked, and the next one has a new thread", async () => {
    const digest = startDigest();
    await digest.update(share("a"));
    await breakThread();
    for (let times = 0; times < 3; times++) {
      expect(await catchError(() => digest.update(share("b")))).toBeInstanceOf(Error);
      expect(await catchError(() => digest.finish())).toBeInstanceOf(Error);
    }
    const next = startDigest();
    await next.update(share("a"));
    expect(await next.finish()).toBe(digestBytes([Buffer.from("a")]));
  });

  test("fails the file that was being written, which leaves nothing", async () => {
    const directory = makeDirectory();
    const spool = createSpool(directory.path);
    spool.write(new Uint8Array(1024 * 1024 + 1));
    await spool.settle();
    expect(readdirSync(directory.path)).toHaveLength(1);
    await breakThread();
    spool.write(new Uint8Array(3 * 1024 * 1024));
    expect(await catchError(() => spool.settle())).toBeInstanceOf(Error);
    await spool.discard();
    expect(readdirSync(directory.path)).toEqual([]);
    directory.remove();
  });
});
