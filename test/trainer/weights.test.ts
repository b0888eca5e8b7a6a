import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createNetwork } from "../../src/trainer/network.ts";
import { createRandom } from "../../src/trainer/random.ts";
import { loadNetwork, saveNetwork } from "../../src/trainer/weights.ts";
import { withDirectory } from "./support.ts";

const shape = { context: 3, embedding: 2, hidden: 4 };

test("loadNetwork() gives back what saveNetwork() wrote, and only the whole file is left", async () => {
  await withDirectory(async (directory) => {
    const network = createNetwork(shape, createRandom(3));
    const path = join(directory, "model.safetensors");
    await saveNetwork(path, network);
    expect(await loadNetwork(path)).toEqual(network);
    expect(await readdir(directory)).toEqual(["model.safetensors"]);
  });
});

test("the file is a safetensors file: length, JSON header, aligned tensors", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "model.safetensors");
    await saveNetwork(path, createNetwork(shape, createRandom(3)));
    const bytes = await Bun.file(path).bytes();
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    expect(header).toEqual({
      __metadata__: { format: "tiny-lm", context: "3", embedding: "2", hidden: "4" },
      "embedding.weight": { dtype: "F32", shape: [257, 2], data_offsets: [0, 2056] },
      "hidden.weight": { dtype: "F32", shape: [3, 2, 4], data_offsets: [2056, 2152] },
      "hidden.bias": { dtype: "F32", shape: [4], data_offsets: [2152, 2168] },
      "output.weight": { dtype: "F32", shape: [257, 4], data_offsets: [2168, 6280] },
      "output.bias": { dtype: "F32", shape: [257], data_offsets: [6280, 7308] },
    });
    expect(bytes.length).toBe(8 + length + 7308);
  });
});

test("loadNetwork() refuses a file that is empty, cut off, too long, foreign or changed", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "model.safetensors");
    await saveNetwork(path, createNetwork(shape, createRandom(3)));
    const good = await Bun.file(path).bytes();
    const text = new TextDecoder("latin1").decode(good);
    const cases: readonly (readonly [content: Uint8Array<ArrayBuffer>, message: string])[] = [
      [good.slice(0, 0), "it is cut off"],
      [good.slice(0, 100), "it is cut off or no safetensors file"],
      [good.slice(0, -1), "it is cut off or too long"],
      [Uint8Array.from([...good, 0]), "it is cut off or too long"],
      [
        new TextEncoder().encode("step,train_loss\n1,5.5\n"),
        "it is cut off or no safetensors file",
      ],
      [replaceText(text, '"hidden":"4"', '"hidden":"5"'), "its header does not describe"],
      [replaceText(text, '"hidden":"4"', '"hidden":"x"'), "must be a whole number in a string"],
      [replaceText(text, '"tiny-lm"', '"tiny-xx"'), "Expected"],
      [replaceText(text, '"F32"', '"F16"'), "its header does not describe"],
      [replaceText(text, '{"__meta', ' "__meta'), "JSON"],
    ];
    for (const [content, message] of cases) {
      await Bun.write(path, content);
      const error = await loadNetwork(path).catch((thrown: unknown) => thrown);
      expect(error).toHaveProperty("name", "StartError");
      expect(String(error)).toContain(`Cannot load the network "${path}": `);
      expect(String(error)).toContain(message);
    }
  });
});

function replaceText(text: string, from: string, to: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.replace(from, to), (character) => character.charCodeAt(0));
}
