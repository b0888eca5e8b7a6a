import { afterEach, beforeEach, expect, test } from "bun:test";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { toFile } from "openai";
import { makeDirectory } from "../support/directory.ts";
import { readRecordedSha256 } from "../support/recorded.ts";
import { makeContent, sha256 } from "./content.ts";
import { type Place, startPlace } from "./support.ts";

let place: Place;
let directory: ReturnType<typeof makeDirectory>;
beforeEach(async () => {
  directory = makeDirectory();
  place = await startPlace();
});
afterEach(async () => {
  await place.stop();
  directory.remove();
});

const mebibyte = 1024 * 1024;
// On both sides of what stays in memory, of a piece of the spool and of what fetch takes at once.
const sizes = [
  mebibyte / 2,
  mebibyte,
  mebibyte + 1,
  2 * mebibyte - 1,
  5 * mebibyte,
  8 * mebibyte + 77,
  16 * mebibyte,
  40 * mebibyte,
];

async function makeUploadable(content: Buffer, name: string, kind: number) {
  if (kind === 0) return new File([new Uint8Array(content)], name);
  if (kind === 1) return await toFile(content, name);
  const path = join(directory.path, name);
  await Bun.write(path, content);
  return kind === 2 ? createReadStream(path) : Bun.file(path);
}

test("eight uploads at once from the SDK arrive byte for byte, in the cloud and on the disk", async () => {
  const { gateway, fake } = place;
  const contents = sizes.map((bytes, at) => makeContent(bytes, at + 1));
  for (const backend of ["fake", "local"]) {
    const files = await Promise.all(
      contents.map(async (content, at) =>
        gateway.client.files.create({
          file: await makeUploadable(content, `${at}.jsonl`, at % 4),
          purpose: "fine-tune",
          custom_llm_provider: backend,
        } as never),
      ),
    );
    for (const [at, content] of contents.entries()) {
      const { id = "", bytes, filename } = files[at] ?? {};
      expect({ bytes, filename }).toEqual({ bytes: content.length, filename: `${at}.jsonl` });
      const stored =
        backend === "fake"
          ? fake.state.files.get(id)?.content
          : await (await gateway.client.files.content(id)).bytes();
      expect(sha256(stored ?? Buffer.alloc(0))).toBe(sha256(content));
      expect(readRecordedSha256(gateway.dataDirectory, id)).toBe(sha256(content));
    }
  }
}, 60_000);
