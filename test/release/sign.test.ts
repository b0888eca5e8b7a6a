import { describe, expect, test } from "bun:test";
import { signExecutable } from "../../.ci/release/sign.ts";

const codeEnd = 10_000;

/** A Mach-O file of a header, three load commands, some code and a signature of 64 bytes. */
function makeExecutable(): Buffer {
  const file = Buffer.alloc(codeEnd + 64, 7);
  file.fill(0, 0, 32 + 72 * 2 + 16);
  file.writeUInt32LE(0xfeedfacf, 0);
  file.writeUInt32LE(3, 16);
  for (const [offset, name, start, size] of [
    [32, "__TEXT", 0n, 4096n],
    [104, "__LINKEDIT", 8192n, BigInt(codeEnd + 64 - 8192)],
  ] as const) {
    file.writeUInt32LE(0x19, offset);
    file.writeUInt32LE(72, offset + 4);
    file.write(name, offset + 8);
    file.writeBigUInt64LE(start, offset + 40);
    file.writeBigUInt64LE(size, offset + 48);
  }
  for (const [index, word] of [0x1d, 16, codeEnd, 64].entries()) {
    file.writeUInt32LE(word, 176 + index * 4);
  }
  return file;
}

describe("the signature of an executable for Intel Macs", () => {
  test("has the hash of every page, the last one as long as it is", () => {
    const signed = signExecutable(makeExecutable(), "tunegate");
    const size = signed.readUInt32LE(176 + 12);
    expect(signed.length).toBe(codeEnd + size);
    expect(signed.readBigUInt64LE(104 + 48)).toBe(BigInt(signed.length - 8192));
    const blob = signed.subarray(codeEnd);
    expect([blob.readUInt32BE(0), blob.readUInt32BE(8)]).toEqual([0xfade0cc0, 1]);
    const directory = blob.subarray(blob.readUInt32BE(16));
    expect(directory.readUInt32BE(0)).toBe(0xfade0c02);
    expect(directory.toString("latin1", 88, 97)).toBe("tunegate\0");
    expect([directory.readUInt32BE(28), directory.readUInt32BE(32)]).toEqual([3, codeEnd]);
    const hashes = directory.readUInt32BE(16);
    for (const [slot, end] of [4096, 8192, codeEnd].entries()) {
      const page = signed.subarray(slot * 4096, end);
      const hash = directory.subarray(hashes + slot * 32, hashes + slot * 32 + 32);
      expect(hash.toString("hex")).toBe(new Bun.CryptoHasher("sha256").update(page).digest("hex"));
    }
    expect(directory.readUInt32BE(4)).toBe(hashes + 3 * 32);
  });

  test("comes out the same when it is made again", () => {
    const signed = signExecutable(makeExecutable(), "tunegate");
    expect(signExecutable(signed, "tunegate").equals(signed)).toBe(true);
  });

  test("is refused for what is no such executable, or has no signature at its end", () => {
    const sign = (file: Buffer) => () => signExecutable(file, "tunegate");
    expect(sign(Buffer.from("#!/bin/sh"))).toThrow("it is not a 64-bit Mach-O executable");
    expect(sign(Buffer.alloc(64))).toThrow("it is not a 64-bit Mach-O executable");
    const bare = makeExecutable();
    bare.writeUInt32LE(2, 16);
    expect(sign(bare)).toThrow("there is no room for a signature in it");
    expect(sign(Buffer.concat([makeExecutable(), Buffer.from("more")]))).toThrow(
      "its signature is not at its end",
    );
  });
});
