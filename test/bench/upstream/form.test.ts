import { expect, test } from "bun:test";
import { hashContent, readContent } from "../content.ts";
import { createFormMeter } from "./form.ts";

const type = "multipart/form-data; boundary=b";
const purpose = '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n';
const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="verify.jsonl"\r\n\r\n';

function makeContent(size: number): Buffer {
  const next = readContent({ size, seed: 3 });
  const pieces: Buffer[] = [];
  for (let piece = next(); piece !== undefined; piece = next()) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("createFormMeter() measures and hashes the file alone, in any order and any pieces", () => {
  for (const size of [0, 1, 4095, 4096, 4097, 20_000]) {
    const content = makeContent(size);
    const sha256 = hashContent({ size, seed: 3 });
    for (const [before, after] of [
      [purpose + head, "\r\n--b--\r\n"],
      [head, `\r\n${purpose}--b--\r\n`],
    ] as const) {
      const form = Buffer.concat([Buffer.from(before), content, Buffer.from(after)]);
      for (const length of [1, 7, 4096, form.length]) {
        const meter = createFormMeter(type);
        for (let at = 0; at < form.length; at += length) meter.push(form.subarray(at, at + length));
        expect(meter.finish()).toEqual({ filename: "verify.jsonl", bytes: size, sha256 });
      }
    }
  }
});

test("createFormMeter() throws for a form that is cut off or has no purpose", () => {
  for (const form of [head, `${head}x\r\n--b--\r\n`, `${purpose}--b--\r\n`, `${purpose}${head}x`]) {
    const meter = createFormMeter(type);
    meter.push(Buffer.from(form));
    expect(() => meter.finish()).toThrow();
  }
});
