import { describe, expect, test } from "bun:test";
import type { DatasetFormat } from "../../../src/dataset/report.ts";
import { CutBlob, check, makers, makeSample } from "./samples.ts";

const encoder = new TextEncoder();

/** The same numbers in every run (mulberry32). */
function makeRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function join(parts: readonly (string | readonly number[])[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    parts.flatMap((part) => (typeof part === "string" ? [...encoder.encode(part)] : [...part])),
  );
}

/** Everything that a boundary of bytes could break. */
const odd = join([
  "\ufeff",
  `${JSON.stringify(makers.chat(0))}\r\n\r\n`,
  ` ${JSON.stringify({
    messages: [
      { role: "user", content: "🙂é漢👩‍👩‍👧" },
      { role: "assistant", content: "" },
    ],
  })}\n`,
  '{"messages":[{"role":"human","content":"漢"}]}\n \t\n',
  [0x22, 0xf0, 0x9f, 0x98, 0x0a],
  '{"messages"\n[]\n\ufeff\n',
  `${JSON.stringify(makers.chat(0))}\n`,
  `${JSON.stringify(makers.preference(0))}\n\n`,
  '{"a":"x@y.org"}\r',
  [0xf0, 0x9f],
]);

describe("the report is the same", () => {
  test("for every split of the bytes in two", async () => {
    const whole = await check(odd);
    expect(whole).toMatchObject({ examples: 9, duplicates: 1 });
    for (let cut = 0; cut <= odd.length; cut += 1) {
      expect(await check(new CutBlob(odd, [cut]))).toEqual(whole);
    }
  });

  test("for single bytes", async () => {
    const cuts = Array.from(odd, (_, index) => index);
    expect(await check(new CutBlob(odd, cuts))).toEqual(await check(odd));
  });

  test("for random pieces of files of every format", async () => {
    const random = makeRandom(7);
    for (const format of Object.keys(makers) as DatasetFormat[]) {
      const text = makeSample(format)
        .map((value) => JSON.stringify(value))
        .join("\n");
      const bytes = encoder.encode(text);
      const whole = await check(bytes);
      expect(whole).toMatchObject({ format, examples: 12, errors: { count: 0 } });
      for (let round = 0; round < 20; round += 1) {
        const cuts = Array.from({ length: random(30) }, () => random(bytes.length)).toSorted(
          (one, other) => one - other,
        );
        expect(await check(new CutBlob(bytes, cuts))).toEqual(whole);
      }
    }
  });
});

describe("the check never throws", () => {
  const values: readonly unknown[] = [
    null,
    true,
    0,
    -1.5,
    1e300,
    "",
    "assistant",
    [],
    [[]],
    [null],
    {},
    { role: "assistant" },
    { url: 5 },
    "\ud800",
    { __proto__: null, toString: 5 },
  ];

  /** Replaces, doubles or drops what is at a random place. */
  function mutate(value: unknown, random: (below: number) => number): unknown {
    if (random(6) === 0) return values[random(values.length)];
    if (Array.isArray(value)) {
      const index = random(value.length + 1);
      if (random(8) === 0) return [...value, ...value];
      if (random(8) === 0) return value.toSpliced(index, 1);
      return value.map((item, place) => (place === index ? mutate(item, random) : item));
    }
    if (typeof value !== "object" || value === null) return values[random(values.length)];
    const entries = Object.entries(value);
    const index = random(entries.length + 1);
    if (random(8) === 0) return Object.fromEntries(entries.toSpliced(index, 1));
    return Object.fromEntries(
      entries.map(([key, item], place) => [key, place === index ? mutate(item, random) : item]),
    );
  }

  test("for lines whose values are changed at random", async () => {
    const random = makeRandom(11);
    const makersInOrder = Object.values(makers);
    const lines = Array.from({ length: 6000 }, (_, index) => {
      let value = makersInOrder[index % makersInOrder.length]?.(index);
      for (let count = random(3); count >= 0; count -= 1) value = mutate(value, random);
      return JSON.stringify(value) ?? "null";
    });
    for (const options of [
      {},
      { method: "supervised" },
      { method: "dpo", maxImagesPerExample: 1, maxImageBytes: 1 },
      { method: "reinforcement", itemFields: ["target"] },
    ] as const) {
      for (let start = 0; start < lines.length; start += 500) {
        const report = await check(lines.slice(start, start + 500).join("\n"), options);
        expect(report.examples).toBe(500);
        for (const { message } of [...report.errors.first, ...report.warnings.first]) {
          expect(message.isWellFormed() && message.length < 400).toBe(true);
        }
      }
    }
  });

  test("for lines whose bytes are changed at random", async () => {
    const random = makeRandom(13);
    const bytes = encoder.encode(
      Object.values(makers)
        .map((make) => JSON.stringify(make(1)))
        .join("\n"),
    );
    for (let round = 0; round < 1500; round += 1) {
      const changed = Uint8Array.from(bytes);
      for (let count = random(4); count >= 0; count -= 1) {
        changed[random(changed.length)] = random(256);
      }
      const { errors } = await check(changed.subarray(random(50), bytes.length - random(50)));
      expect(errors.first.length).toBe(Math.min(errors.count, 100));
    }
  });
});
