import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { FakeOpenAI } from "../fakes/openai.ts";
import { makeContent, sha256 } from "../transfers/content.ts";

/** Files of many sizes, which each client uploads all at once under their own names. */
export interface Transfers {
  readonly directory: string;
  /** The sha256 of each file by its name. */
  readonly hashes: ReadonlyMap<string, string>;
}

const mebibyte = 1024 * 1024;
const sizes = [0.5, 1, 1.5, 2, 5, 8, 16, 40];

/** Writes eight files into `directory`, which is made. */
export async function writeTransfers(directory: string): Promise<Transfers> {
  await mkdir(directory);
  const hashes = new Map<string, string>();
  for (const [at, size] of sizes.entries()) {
    // One byte more than the round number, whatever that is a boundary of.
    const content = makeContent(size * mebibyte + (at % 2), at + 1);
    const name = `transfer-${at}.bin`;
    await Bun.write(join(directory, name), content);
    hashes.set(name, sha256(content));
  }
  return { directory, hashes };
}

/** Checks that each file has arrived exactly `times` times, byte for byte; then forgets them. */
export function checkArrivals(fake: FakeOpenAI, { hashes }: Transfers, times: number): void {
  const { files } = fake.state;
  const arrived = [...files.values()].filter(({ object }) => hashes.has(String(object.filename)));
  for (const { object, content } of arrived) {
    files.delete(object.id);
    assert.equal(sha256(content), hashes.get(String(object.filename)));
  }
  assert.equal(arrived.length, hashes.size * times);
}
