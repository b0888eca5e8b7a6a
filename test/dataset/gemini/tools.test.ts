import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { answer, convertContent, convertExamples, findRefusal, user } from "./support.ts";

const messages = [user, answer];
const declaration = v.object({
  name: v.literal("f"),
  description: v.literal("Finds"),
  parameters: v.optional(v.unknown()),
});
const declared = v.object({
  tools: v.tuple([v.strictObject({ functionDeclarations: v.tuple([declaration]) })]),
});
const object = v.strictObject({
  type: v.literal("OBJECT"),
  properties: v.strictObject({ p: v.unknown() }),
});

function declare(parameters: unknown) {
  const definition = { name: "f", description: "Finds", parameters, strict: true };
  return { messages, tools: [{ type: "function", function: definition }] };
}

/** What becomes of a function's parameters. */
async function convertParameters(parameters: unknown, onUnsupported: "refuse" | "warn" = "refuse") {
  const { lines, report } = await convertExamples([declare(parameters)], onUnsupported);
  const [declaration] = v.parse(declared, lines[0]).tools[0].functionDeclarations;
  const warnings = report.warnings.map(({ code, message }) => `${code}: ${message}`);
  return { schema: declaration.parameters, warnings };
}

/** What becomes of one property of a function's parameters. */
async function convertProperty(property: unknown, onUnsupported: "refuse" | "warn" = "refuse") {
  const parameters = { type: "object", properties: { p: property } };
  const { schema, warnings } = await convertParameters(parameters, onUnsupported);
  const converted = v.parse(object, schema).properties.p;
  return { converted, warnings };
}

describe("convertToGemini() declares", () => {
  test("tools and the older functions together", async () => {
    const parameters = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: { city: { type: "string", description: "A city" } },
      required: ["city"],
      additionalProperties: false,
    };
    const functions = [{ name: "g" }];
    const { lines } = await convertExamples([{ ...declare(parameters), functions }]);
    expect(lines).toEqual([
      expect.objectContaining({
        tools: [
          {
            functionDeclarations: [
              {
                name: "f",
                description: "Finds",
                parameters: {
                  type: "OBJECT",
                  properties: { city: { type: "STRING", description: "A city" } },
                  required: ["city"],
                },
              },
              { name: "g" },
            ],
          },
        ],
      }),
    ]);
  });

  test("no parameters where there are none", async () => {
    for (const none of [undefined, null, {}, { type: "object", properties: {}, required: [] }]) {
      expect((await convertParameters(none)).schema).toBeUndefined();
    }
  });

  const kept: Readonly<Record<string, readonly [property: unknown, converted: unknown]>> = {
    "null as nullable": [{ type: ["string", "null"] }, { type: "STRING", nullable: true }],
    "an optional of anyOf as nullable": [
      { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], title: "P", default: null },
      { type: "INTEGER", minimum: 1, title: "P", default: null, nullable: true },
    ],
    "several types as anyOf": [
      { type: ["string", "integer", "null"], description: "d" },
      {
        anyOf: [
          { type: "STRING", description: "d", nullable: true },
          { type: "INTEGER", description: "d", nullable: true },
        ],
      },
    ],
    "what stands beside anyOf in each of its branches": [
      {
        type: "object",
        description: "One",
        properties: { a: { type: "string" } },
        anyOf: [{ required: ["a"] }, { description: "Two" }],
      },
      {
        anyOf: [
          {
            type: "OBJECT",
            description: "One",
            properties: { a: { type: "STRING" } },
            required: ["a"],
          },
          { type: "OBJECT", description: "One\nTwo", properties: { a: { type: "STRING" } } },
        ],
      },
    ],
    "texts, numbers, limits and formats": [
      { type: "string", format: "date", pattern: "^a", minLength: 1, maxLength: 9, example: "a" },
      {
        type: "STRING",
        format: "date",
        pattern: "^a",
        minLength: "1",
        maxLength: "9",
        example: "a",
      },
    ],
    "arrays with their items": [
      { type: "array", items: { type: "number", maximum: 0.5 }, minItems: 1, default: [0.25] },
      { type: "ARRAY", items: { type: "NUMBER", maximum: 0.5 }, minItems: "1", default: [0.25] },
    ],
    "enums, with null as nullable": [
      { enum: ["a", "b", null] },
      { type: "STRING", enum: ["a", "b"], nullable: true },
    ],
    "enums of integers as Google writes them": [
      { type: "integer", enum: [1, 2] },
      { type: "INTEGER", format: "enum", enum: ["1", "2"] },
    ],
    "a constant as an enum": [{ const: "a" }, { type: "STRING", enum: ["a"] }],
    "a property named as what objects have": [
      JSON.parse(
        '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"null"}}}',
      ),
      JSON.parse(
        '{"type":"OBJECT","properties":{"__proto__":{"type":"STRING"},"constructor":{"type":"NULL"}}}',
      ),
    ],
  };
  for (const [title, [property, converted]] of Object.entries(kept)) {
    test(title, async () => {
      const found = await convertProperty(property);
      expect(found.converted).toEqual(converted);
      expect(found.warnings).toEqual([]);
    });
  }

  test("what is referred to, in its place", async () => {
    const parameters = {
      type: "object",
      properties: {
        home: { $ref: "#/$defs/a~1b", description: "Home" },
        work: { allOf: [{ $ref: "#/$defs/a~1b" }] },
      },
      $defs: {
        "a/b": { type: "object", properties: { city: { $ref: "#/$defs/city" } } },
        city: { type: "string" },
      },
    };
    const address = { type: "OBJECT", properties: { city: { type: "STRING" } } };
    expect((await convertParameters(parameters)).schema).toEqual({
      type: "OBJECT",
      properties: { home: { ...address, description: "Home" }, work: address },
    });
  });
});

describe("convertToGemini() refuses, or changes and lists, in a schema", () => {
  const changed: Readonly<Record<string, readonly [unknown, unknown, string]>> = {
    "additionalProperties that are allowed": [
      { type: "object", properties: { a: { type: "null" } }, additionalProperties: true },
      { type: "OBJECT", properties: { a: { type: "NULL" } } },
      "properties.p.additionalProperties cannot be said",
    ],
    "oneOf, as anyOf": [
      { oneOf: [{ type: "string" }, { type: "boolean" }] },
      { anyOf: [{ type: "STRING" }, { type: "BOOLEAN" }] },
      "properties.p.oneOf is not in Gemini",
    ],
    "a reference to nowhere": [
      { $ref: "#/$defs/constructor", type: "string" },
      { type: "STRING" },
      "properties.p has a $ref to what is not in $defs",
    ],
    "keywords that Gemini does not have": [
      { type: "number", multipleOf: 2, not: {} },
      { type: "NUMBER" },
      "properties.p.multipleOf cannot be said",
    ],
    "numbers whose digits may be lost": [
      JSON.parse(
        '{"type":"integer","maximum":12345678901234567890,"default":{"a":[12345678901234567890]}}',
      ),
      { type: "INTEGER" },
      "properties.p.maximum cannot be said",
    ],
    "an unknown type": [
      { type: "dict" },
      {},
      'properties.p.type must be one of JSON Schema\'s types, not "dict"',
    ],
    "no type": [
      { description: "Any" },
      { description: "Any" },
      "properties.p.type must be one of JSON Schema's types, not missing",
    ],
    "a schema that is true": [true, {}, "properties.p must be an object, not true"],
    "a constant beside an enum": [
      { enum: ["a", "b"], const: "a" },
      { type: "STRING", enum: ["a", "b"] },
      "properties.p.const stands beside an enum",
    ],
    "an enum of numbers": [
      { type: "number", enum: [0.5] },
      { type: "NUMBER" },
      "properties.p.enum",
    ],
    "a keyword that JavaScript would take for the schema's prototype": [
      JSON.parse('{"type":"string","__proto__":{"enum":["a"]},"anyOf":[{"minLength":2}]}'),
      { type: "STRING", minLength: "2" },
      "properties.p.__proto__ cannot be said",
    ],
    "what is said in two ways": [
      { type: "string", minLength: 1, anyOf: [{ minLength: 2 }] },
      { type: "STRING", minLength: "2" },
      'properties.p says "minLength" in two ways',
    ],
  };
  for (const [title, [property, converted, sentence]] of Object.entries(changed)) {
    test(title, async () => {
      const error = await findRefusal(convertProperty(property));
      expect(error.code).toBe("unsupported_dataset_feature");
      expect(error.message).toContain(`line 1: tools[0].function.parameters.${sentence}`);
      const found = await convertProperty(property, "warn");
      expect(found.converted).toEqual(converted);
      expect(found.warnings[0]).toStartWith("unsupported_schema: ");
      expect(found.warnings[0]).toContain(sentence);
    });
  }

  test("references that lead back to themselves, branches without end, and any depth", async () => {
    const ring = {
      type: "object",
      properties: { p: { $ref: "#/$defs/a" } },
      $defs: { a: { $ref: "#/$defs/a" } },
    };
    const tree = {
      type: "object",
      properties: { l: { $ref: "#/$defs/t" }, r: { $ref: "#/$defs/t" } },
    };
    let branches: object = { type: "string" };
    for (let level = 0; level < 30; level += 1) {
      branches = { properties: { a: branches }, anyOf: [{ required: ["a"] }, { required: ["b"] }] };
    }
    const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const bad = [ring, { ...tree, $defs: { t: tree } }, branches].map((parameters) =>
      JSON.stringify(declare(parameters)),
    );
    bad.push(JSON.stringify(declare({ type: "string", default: "?" })).replace('"?"', nested));
    for (const line of bad) {
      const error = await findRefusal(convertContent(new Blob([line])));
      expect(error.code).toBe("unsupported_dataset_feature");
    }
  });

  test("custom tools, which are left out", async () => {
    const example = { messages, tools: [{ type: "custom", custom: { name: "f" } }] };
    expect((await findRefusal(convertExamples([example]))).message).toContain(
      "tools[0] is a custom tool",
    );
    const { lines, report } = await convertExamples([example], "warn");
    expect(JSON.stringify(lines)).not.toContain("tools");
    expect(report.warnings[0]?.code).toBe("unsupported_tool");
  });
});

describe("convertToGemini() always refuses", () => {
  const cases: readonly (readonly [found: string, fields: object])[] = [
    ["tools must be an array", { tools: {} }],
    ["tools[0] must be an object", { tools: ["f"] }],
    ['tools[0].type must be "function"', { tools: [{}] }],
    ["tools[0].function must be an object with a name", { tools: [{ type: "function" }] }],
    ["functions[0].name must be a string", { functions: [{}] }],
    ["functions[0].description must be a string", { functions: [{ name: "f", description: 1 }] }],
    ["functions[0].parameters must be an object", { functions: [{ name: "f", parameters: [] }] }],
    ["parallel_tool_calls must be true or false", { parallel_tool_calls: "no" }],
  ];
  for (const [found, fields] of cases) {
    test(found, async () => {
      const error = await findRefusal(convertExamples([{ messages, ...fields }], "warn"));
      expect(error.message).toContain(`line 1: ${found}`);
      expect(error.code).toBe("invalid_file_format");
    });
  }
});
