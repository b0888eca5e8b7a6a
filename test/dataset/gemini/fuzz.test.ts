import { expect, test } from "bun:test";
import { ApiError } from "../../../src/errors.ts";
import { answer, convertContent, makeCall, makeRandom, user } from "./support.ts";

const image = {
  type: "image_url",
  image_url: { url: "data:image/png;base64,iVBORw==", detail: "low" },
};
const schema = {
  type: "object",
  properties: { a: { anyOf: [{ $ref: "#/$defs/b" }, { type: "null" }] }, c: { enum: ["x", null] } },
  $defs: { b: { type: ["string", "integer"], minimum: 1 } },
};
const seeds: readonly unknown[] = [
  {
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Ü🙂?" }, image] },
      {
        role: "assistant",
        content: null,
        tool_calls: [makeCall("a", "f", '{"x":1e3}')],
        weight: 0,
      },
      { role: "tool", tool_call_id: "a", content: '{"y":[1]}' },
      { ...answer, name: "bot", refusal: null },
    ],
    tools: [{ type: "function", function: { name: "f", parameters: schema } }],
  },
  {
    messages: [
      user,
      { role: "assistant", function_call: { name: "f", arguments: "{}" } },
      { role: "function", name: "f", content: "1" },
      answer,
    ],
    functions: [{ name: "f", description: "", parameters: schema }],
    parallel_tool_calls: true,
  },
  {
    input: { messages: [user] },
    preferred_output: [answer],
    non_preferred_output: [{ role: "assistant", content: [{ type: "refusal", refusal: "No." }] }],
  },
];
const odd = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 60,
  "",
  "assistant",
  "\ud800",
  [],
  {},
  [[]],
  [null],
  { role: "user" },
];

/** A copy of `value` with some of what is in it replaced, left out, repeated or renamed. */
function mutate(value: unknown, random: () => number): unknown {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)];
  if (random() < 0.02) return pick(odd);
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const chance = random();
      if (chance < 0.02) return [];
      return chance < 0.04 ? [mutate(item, random), item] : [mutate(item, random)];
    });
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, item]) => {
    if (random() < 0.02) return [];
    const renamed =
      random() < 0.01 ? pick(["__proto__", "constructor", "content", "$ref", key]) : key;
    return [[renamed ?? key, mutate(item, random)] as const];
  });
  return Object.fromEntries(entries);
}

/** Flips, drops or repeats single bytes. */
function breakBytes(bytes: Uint8Array, random: () => number): Uint8Array<ArrayBuffer> {
  const broken = [...bytes].flatMap((byte) => {
    const chance = random();
    if (chance > 0.003) return [byte];
    return chance < 0.001 ? [] : chance < 0.002 ? [byte, byte] : [Math.floor(random() * 256)];
  });
  return new Uint8Array(broken);
}

test("convertToGemini() answers any line with a line of JSON or with a refusal", async () => {
  const random = makeRandom(20_261_123);
  let converted = 0;
  let refused = 0;
  for (let round = 0; round < 4000; round += 1) {
    const example = mutate(seeds[round % seeds.length], random);
    const bytes = new TextEncoder().encode(JSON.stringify(example));
    const content = new Blob([round % 4 === 0 ? breakBytes(bytes, random) : bytes]);
    try {
      const result = await convertContent(
        content,
        round % 2 === 0 ? "warn" : "refuse",
        async () => "gs://bucket/a",
      );
      expect(result.lines).toHaveLength(result.report.examples - countLeftOut(result.report));
      converted += 1;
    } catch (error) {
      if (!(error instanceof ApiError)) throw new Error(JSON.stringify(example), { cause: error });
      expect(error.status).toBe(400);
      expect(error.message.isWellFormed()).toBe(true);
      refused += 1;
    }
  }
  // Both ends are reached often enough to mean something.
  expect(converted).toBeGreaterThan(200);
  expect(refused).toBeGreaterThan(200);
});

function countLeftOut(report: {
  readonly warnings: readonly { readonly message: string }[];
}): number {
  return report.warnings.filter(({ message }) => message.endsWith("the example is left out"))
    .length;
}
