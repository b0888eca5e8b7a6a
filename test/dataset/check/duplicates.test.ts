import { describe, expect, test } from "bun:test";
import { ContentHash, SeenExamples } from "../../../src/dataset/check/duplicates.ts";
import { findOverlap } from "../../../src/dataset/check/overlap.ts";
import { check, checkValues, listFindings, makeSample } from "./samples.ts";

const signal = new AbortController().signal;

function hash(value: unknown) {
  const content = new ContentHash();
  expect(content.compute(value)).toBe(true);
  return `${content.high} ${content.low}`;
}

describe("repeated examples", () => {
  test("are found whatever the order of keys, the spaces and the escapes", async () => {
    const { duplicates, warnings } = await check(
      [
        '{"messages":[{"role":"user","content":"é"},{"role":"assistant","content":"1"}]}',
        '{"messages":[{"role":"user","content":"e"},{"role":"assistant","content":"1"}]}',
        '{ "messages": [ {"content":"\\u00e9", "role":"user"}, {"role":"assistant","content":"1"} ] }',
        '{"messages":[{"role":"assistant","content":"1"},{"role":"user","content":"é"}]}',
        '{"messages":[{"role":"user","content":"é"},{"role":"assistant","content":"1"}]}',
      ].join("\n"),
    );
    expect(duplicates).toBe(2);
    expect(warnings.first.map(({ line, code, message }) => [line, code, message])).toEqual([
      [3, "duplicate_example", "Example 3 repeats the example of line 1"],
      [5, "duplicate_example", "Example 5 repeats the example of line 1"],
    ]);
  });

  test("are found in files of every size", async () => {
    const values = Array.from({ length: 20_000 }, (_, index) => ({
      messages: [{ role: "user", content: `Is ${index} odd?` }],
      odd: index % 2 === 1,
    }));
    const { duplicates } = await checkValues([...values, ...values.slice(5000, 6000)]);
    expect(duplicates).toBe(1000);
  });
});

test("a hash differs for what differs by a little", () => {
  const values = [
    null,
    true,
    false,
    0,
    1,
    -1,
    0.5,
    "",
    "0",
    "null",
    [],
    [[]],
    {},
    [{}],
    { a: 1 },
    { a: "1" },
    { b: 1 },
    { a: 1, b: 2 },
    { a: 2, b: 1 },
    { a: { b: 1 } },
    { a: {}, b: 1 },
    [1, 2],
    [2, 1],
    [[1], 2],
    [1, [2]],
    "ab",
    "ba",
    ["a", "b"],
    ["ab"],
    "a\0",
    "a",
    "x".repeat(30),
    "x".repeat(31),
    `${"x".repeat(30)}y`,
  ];
  expect(new Set(values.map(hash)).size).toBe(values.length);
  const keys = Array.from({ length: 50_000 }, (_, index) => hash({ [`k${index}`]: index }));
  expect(new Set(keys).size).toBe(keys.length);
});

test("a table that is full still finds what it has, and says that it is full", () => {
  const seen = new SeenExamples(16);
  const content = new ContentHash();
  const add = (value: number) => {
    content.compute(value);
    return seen.add(content, value);
  };
  for (let value = 1; value <= 12; value += 1) expect(add(value)).toBe(0);
  expect([seen.count, seen.isCut]).toEqual([12, false]);
  expect(add(13)).toBe(0);
  expect([seen.count, seen.isCut]).toEqual([12, true]);
  for (let value = 1; value <= 12; value += 1) expect(add(value)).toBe(value);
  expect(add(13)).toBe(0);
});

describe("findOverlap()", () => {
  const toBlob = (values: readonly unknown[]) =>
    new Blob(values.map((value) => `${JSON.stringify(value)}\n`));

  test("names the lines of both files", async () => {
    const training = makeSample("chat");
    const [first, , third] = training;
    const validation = [{ a: 1 }, third, first, { b: 1 }, third];
    expect(await findOverlap(toBlob(training), toBlob(validation), signal)).toEqual({
      count: 3,
      first: [
        { line: 2, training_line: 3 },
        { line: 3, training_line: 1 },
        { line: 5, training_line: 3 },
      ],
      complete: true,
    });
  });

  test("keeps the first 100 and counts all", async () => {
    const values = Array.from({ length: 300 }, (_, index) => ({ index }));
    const { count, first } = await findOverlap(toBlob(values), toBlob(values), signal);
    expect([count, first.length]).toEqual([300, 100]);
    expect(first.at(-1)).toEqual({ line: 100, training_line: 100 });
  });

  test("leaves out lines that are no JSON objects", async () => {
    const broken = new Blob(['1\n[]\n{"a"\n{"a":1}\n\xff\n']);
    const { count, first } = await findOverlap(broken, broken, signal);
    expect([count, first]).toEqual([1, [{ line: 4, training_line: 4 }]]);
  });

  test("finds nothing in empty files", async () => {
    const empty = new Blob([]);
    expect(await findOverlap(empty, empty, signal)).toEqual({
      count: 0,
      first: [],
      complete: true,
    });
  });

  test("ends with the reason of its signal", async () => {
    const reason = new Error("stopped by the test");
    const blob = toBlob([{ a: 1 }]);
    await expect(findOverlap(blob, blob, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

test("the examples of a checked file are compared with nothing outside of it", async () => {
  const sample = makeSample("preference");
  expect(listFindings((await checkValues(sample)).warnings)).toEqual([]);
  expect(listFindings((await checkValues(sample)).warnings)).toEqual([]);
});
