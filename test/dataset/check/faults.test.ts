import { describe, expect, test } from "bun:test";
import type { DatasetFormat } from "../../../src/dataset/report.ts";
import { checkValues, listFindings, makers, makeSample } from "./samples.ts";

type Tree = { [key: string]: unknown };

/** The line of each sample that gets the fault. */
const faultyLine = 7;

/** Sets what is at a path such as `messages[1].role`, or takes it away. */
function change(root: unknown, path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(root);
  const steps = path.split(/[.[\]]+/).filter((step) => step !== "");
  const last = steps.pop() ?? "";
  let place = copy;
  for (const step of steps) place = isTree(place) ? place[step] : undefined;
  if (!isTree(place)) throw new Error(`Cannot change the sample: it has no "${path}"`);
  if (value === undefined) delete place[last];
  else place[last] = value;
  return copy;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}

type Fault = readonly [change: string, value: unknown, code: string, path: string];

const user = { role: "user", content: "And now?" };
const answer = { role: "assistant", content: "The same." };
const call = "messages[2].tool_calls";
const long = "x".repeat(65);

const faults: Readonly<Record<DatasetFormat, readonly Fault[]>> = {
  chat: [
    ["messages", undefined, "missing_messages_list", "-"],
    ["messages", "hello", "missing_messages_list", "messages"],
    ["messages", null, "missing_messages_list", "messages"],
    ["messages", [], "missing_messages_list", "messages"],
    ["messages", [user], "example_missing_assistant_message", "messages[0]"],
    ["messages", [user, { ...answer, weight: 0 }], "example_missing_assistant_message", "messages"],
    ["messages[0]", "Be brief.", "data_type", "messages[0]"],
    ["messages[0]", ["Be brief."], "data_type", "messages[0]"],
    ["messages[0].role", undefined, "message_missing_key", "messages[0].role"],
    ["messages[0].role", "System", "unrecognized_role", "messages[0].role"],
    ["messages[0].role", 5, "unrecognized_role", "messages[0].role"],
    ["messages[0].content", undefined, "message_missing_key", "messages[0].content"],
    ["messages[0].content", null, "missing_content", "messages[0].content"],
    ["messages[0].content", 5, "missing_content", "messages[0].content"],
    ["messages[0].content", { text: "a" }, "missing_content", "messages[0].content"],
    ["messages[0].weight", 1, "misplaced_key", "messages[0].weight"],
    ["messages[0].tool_calls", [], "misplaced_key", "messages[0].tool_calls"],
    ["messages[0].function_call", {}, "misplaced_key", "messages[0].function_call"],
    ["messages[1].name", 5, "data_type", "messages[1].name"],
    ["messages[1].content", [], "missing_content", "messages[1].content"],
    ["messages[1].content[0]", "Sun?", "data_type", "messages[1].content[0]"],
    [
      "messages[1].content[0].type",
      "txt",
      "unrecognized_content_part",
      "messages[1].content[0].type",
    ],
    ["messages[1].content[0].text", undefined, "missing_content", "messages[1].content[0].text"],
    ["messages[1].content[0].text", 5, "data_type", "messages[1].content[0].text"],
    [
      "messages[1].content[1].image_url",
      undefined,
      "invalid_image",
      "messages[1].content[1].image_url",
    ],
    [
      "messages[1].content[1].image_url.url",
      "cat.png",
      "invalid_image",
      "messages[1].content[1].image_url.url",
    ],
    [
      "messages[1].content[1].image_url.url",
      "data:image/png,abc",
      "invalid_image",
      "messages[1].content[1].image_url.url",
    ],
    [
      "messages[1].content[1].image_url.url",
      undefined,
      "invalid_image",
      "messages[1].content[1].image_url.url",
    ],
    [
      "messages[1].content[1].image_url.detail",
      "best",
      "invalid_image",
      "messages[1].content[1].image_url.detail",
    ],
    [
      "messages[4].content",
      [{ type: "image_url", image_url: { url: "https://a.b/c.png" } }],
      "unrecognized_content_part",
      "messages[4].content[0].type",
    ],
    ["messages[6].content", undefined, "message_missing_key", "messages[6].content"],
    ["messages[6].tool_calls", {}, "data_type", "messages[6].tool_calls"],
    ["messages[6].tool_calls", [], "invalid_tool_call", "messages[6].tool_calls"],
    [`${call}[0].id`, "call_2", "unknown_tool_call_id", "messages[3].tool_call_id"],
    [`${call}[0].type`, "custom", "invalid_tool_call", `${call}[0].type`],
    [`${call}[0].function`, undefined, "invalid_tool_call", `${call}[0].function`],
    [`${call}[0].function.name`, undefined, "invalid_tool_call", `${call}[0].function.name`],
    [`${call}[0].function.name`, "a b", "invalid_function_name", `${call}[0].function.name`],
    [
      `${call}[0].function.arguments`,
      undefined,
      "invalid_tool_call",
      `${call}[0].function.arguments`,
    ],
    [`${call}[0].function.arguments`, { a: 1 }, "data_type", `${call}[0].function.arguments`],
    ["messages[3].tool_call_id", undefined, "message_missing_key", "messages[3].tool_call_id"],
    ["messages[3].tool_call_id", "call_9", "unknown_tool_call_id", "messages[3].tool_call_id"],
    ["messages[3].content", undefined, "message_missing_key", "messages[3].content"],
    ["messages[4].weight", 0.5, "invalid_weight", "messages[4].weight"],
    ["messages[4].weight", "1", "invalid_weight", "messages[4].weight"],
    ["messages[4].weight", true, "invalid_weight", "messages[4].weight"],
    ["messages[4].refusal", 5, "data_type", "messages[4].refusal"],
    ["messages[6]", user, "example_missing_assistant_message", "messages[6]"],
    [
      "messages[5]",
      { role: "function", content: "sun" },
      "message_missing_key",
      "messages[5].name",
    ],
    ["tools", {}, "data_type", "tools"],
    ["tools[0]", "read_weather", "invalid_tool", "tools[0]"],
    ["tools[0].type", undefined, "invalid_tool", "tools[0].type"],
    ["tools[0].function", undefined, "invalid_tool", "tools[0].function"],
    ["tools[0].function.name", undefined, "invalid_tool", "tools[0].function.name"],
    ["tools[0].function.name", long, "invalid_function_name", "tools[0].function.name"],
    ["tools[0].function.parameters", "{}", "invalid_tool", "tools[0].function.parameters"],
    ["functions", "read_weather", "data_type", "functions"],
    ["functions", [{}], "invalid_tool", "functions[0].name"],
    ["parallel_tool_calls", "no", "data_type", "parallel_tool_calls"],
  ],
  preference: [
    ["input", undefined, "example_missing_key", "input"],
    ["input", "Is it?", "data_type", "input"],
    ["input.messages", undefined, "missing_messages_list", "input.messages"],
    ["input.messages[0].role", "human", "unrecognized_role", "input.messages[0].role"],
    ["input.tools[0].function", null, "invalid_tool", "input.tools[0].function"],
    ["preferred_output", undefined, "example_missing_key", "-"],
    ["preferred_output", answer, "invalid_output", "preferred_output"],
    ["preferred_output", [], "invalid_output", "preferred_output"],
    ["preferred_output", [answer, answer], "invalid_output", "preferred_output"],
    ["preferred_output[0]", user, "invalid_output", "preferred_output[0]"],
    ["preferred_output[0]", "It is.", "data_type", "preferred_output[0]"],
    [
      "preferred_output[0].content",
      undefined,
      "message_missing_key",
      "preferred_output[0].content",
    ],
    ["non_preferred_output", undefined, "example_missing_key", "-"],
    ["non_preferred_output[0].content", 5, "missing_content", "non_preferred_output[0].content"],
  ],
  reinforcement: [
    ["messages", [], "missing_messages_list", "messages"],
    ["messages[1]", answer, "unexpected_last_message", "messages[1]"],
    ["messages[1].role", "system", "unexpected_last_message", "messages[1]"],
    ["messages[1].content", null, "missing_content", "messages[1].content"],
    ["tools[0].function.name", "a.b", "invalid_function_name", "tools[0].function.name"],
    ["target", undefined, "missing_item_field", "-"],
  ],
  gemini_chat: [
    ["contents", undefined, "example_missing_key", "-"],
    ["contents", [], "missing_messages_list", "contents"],
    ["contents", {}, "missing_messages_list", "contents"],
    ["contents[0]", "Sun?", "data_type", "contents[0]"],
    ["contents[0].role", "assistant", "unrecognized_role", "contents[0].role"],
    ["contents[0].parts", undefined, "missing_content", "contents[0].parts"],
    ["contents[0].parts", [], "missing_content", "contents[0].parts"],
    ["contents[0].parts[0]", "Sun?", "data_type", "contents[0].parts[0]"],
    ["contents[0].parts[0].text", 5, "data_type", "contents[0].parts[0].text"],
    ["contents[0].parts[0]", {}, "unrecognized_content_part", "contents[0].parts[0]"],
    [
      "contents[0].parts[1].fileData.fileUri",
      undefined,
      "invalid_image",
      "contents[0].parts[1].fileData.fileUri",
    ],
    ["contents[0].parts[1].fileData", "gs://a/b.png", "data_type", "contents[0].parts[1].fileData"],
    [
      "contents[1].parts[0].functionCall.name",
      undefined,
      "invalid_tool_call",
      "contents[1].parts[0].functionCall.name",
    ],
    [
      "contents[1].parts[0].functionCall.args",
      "{}",
      "invalid_tool_call",
      "contents[1].parts[0].functionCall.args",
    ],
    [
      "contents[2].parts[0].functionResponse.response",
      "sun",
      "invalid_tool_call",
      "contents[2].parts[0].functionResponse.response",
    ],
    ["contents[3].role", "user", "example_missing_assistant_message", "contents[3]"],
    ["systemInstruction", "Be brief.", "data_type", "systemInstruction"],
    ["systemInstruction.parts[0]", "Be brief.", "data_type", "systemInstruction.parts[0]"],
    ["tools[0]", {}, "invalid_tool", "tools[0]"],
    [
      "tools[0].functionDeclarations[0].name",
      "a b",
      "invalid_function_name",
      "tools[0].functionDeclarations[0].name",
    ],
  ],
  gemini_preference: [
    ["contents", [], "missing_messages_list", "contents"],
    ["contents[0].role", "model", "unexpected_last_message", "contents[0]"],
    ["completions", {}, "data_type", "completions"],
    ["completions[1]", "No idea.", "invalid_output", "completions[1]"],
    ["completions[0].score", "1", "invalid_output", "completions[0].score"],
    ["completions[0].score", 0, "invalid_output", "completions"],
    ["completions[0].completion.role", "user", "invalid_output", "completions[0].completion.role"],
    ["completions[0].completion", undefined, "data_type", "completions[0].completion"],
  ],
  gemini_reinforcement: [
    ["contents[0].role", "model", "unexpected_last_message", "contents[0]"],
    ["references", "4", "data_type", "references"],
    ["references.sum", 4, "data_type", "references"],
  ],
};

for (const format of Object.keys(makers).filter((name): name is DatasetFormat => name in faults)) {
  describe(`a file in the format ${format}`, () => {
    const options = format === "reinforcement" ? { itemFields: ["target"] } : {};

    test("has nothing to find without a fault", async () => {
      const report = await checkValues(makeSample(format), { ...options, minExamples: 12 });
      expect(report).toMatchObject({ format, examples: 12, duplicates: 0 });
      expect([report.errors.first, report.warnings.first]).toEqual([[], []]);
    });

    for (const [path, value, code, place] of faults[format]) {
      const title = `${path} ${value === undefined ? "missing" : `= ${JSON.stringify(value)}`}`;
      test(`with ${title.slice(0, 90)} has ${code}`, async () => {
        const sample = makeSample(format);
        sample[faultyLine - 1] = change(sample[faultyLine - 1], path, value);
        const { errors } = await checkValues(sample, options);
        expect(listFindings(errors)).toEqual([`${faultyLine} ${place} ${code}`]);
        expect(errors.count).toBe(1);
        expect(errors.first[0]?.message).toStartWith("Invalid file format. Example 7");
      });
    }
  });
}

const warnings: readonly (readonly [
  format: DatasetFormat,
  change: string,
  value: unknown,
  code: string,
  path: string,
])[] = [
  ["chat", "messages[4].content", "", "empty_assistant_message", "messages[4]"],
  ["chat", "messages[4].content", " \n", "empty_assistant_message", "messages[4]"],
  [
    "chat",
    "messages[4].content",
    [{ type: "text", text: "" }],
    "empty_assistant_message",
    "messages[4]",
  ],
  ["chat", "messages[4].thoughts", "hm", "message_unrecognized_key", "messages[4]"],
  ["chat", "messages[0].tool_call_id", "a", "message_unrecognized_key", "messages[0]"],
  ["chat", "note", "from the archive", "unrecognized_key", "-"],
  ["chat", "messages[5].role", "system", "late_system_message", "messages[5]"],
  [
    "chat",
    "messages[3]",
    { role: "user", content: "Well?" },
    "unanswered_tool_call",
    "messages[3]",
  ],
  [
    "chat",
    `${call}[0].function.name`,
    "read_tides",
    "undeclared_function",
    `${call}[0].function.name`,
  ],
  [
    "chat",
    `${call}[0].function.arguments`,
    "{town",
    "invalid_arguments",
    `${call}[0].function.arguments`,
  ],
  [
    "chat",
    `${call}[0].function.arguments`,
    "[]",
    "invalid_arguments",
    `${call}[0].function.arguments`,
  ],
  [
    "chat",
    "messages[1].content[1].image_url.url",
    "data:image/gif;base64,R0lG",
    "unsupported_image",
    "messages[1].content[1].image_url.url",
  ],
  ["preference", "preferred_output[0].content", "No idea.", "equal_outputs", "-"],
  ["preference", "input.note", 1, "unrecognized_key", "input"],
  ["gemini_chat", "contents[3].parts[0].text", "", "empty_text", "contents[3].parts[0].text"],
  ["gemini_chat", "note", 1, "unrecognized_key", "-"],
  [
    "gemini_chat",
    "contents[0].parts[1]",
    { inlineData: { mimeType: "image/png", data: "aaaa" } },
    "unsupported_image",
    "contents[0].parts[1].inlineData",
  ],
  [
    "gemini_preference",
    "completions[0].completion.parts[0].text",
    "No idea.",
    "equal_outputs",
    "completions",
  ],
];

describe("a warning and no error has", () => {
  for (const [format, path, value, code, place] of warnings) {
    test(`${format} with ${path} = ${JSON.stringify(value)}`, async () => {
      const sample = makeSample(format);
      sample[faultyLine - 1] = change(sample[faultyLine - 1], path, value);
      const { errors, warnings: found } = await checkValues(sample);
      expect(errors.first).toEqual([]);
      expect(listFindings(found)).toContain(`${faultyLine} ${place} ${code}`);
    });
  }
});

test("an empty answer that is not trained on is no warning", async () => {
  const sample = makeSample("chat");
  sample[3] = change(sample[3], "messages[6].content", "");
  expect((await checkValues(sample)).warnings.count).toBe(0);
});

test("a result that comes late is warned of once, and mixes nothing up after it", async () => {
  const calls = (id: string) => ({
    role: "assistant",
    tool_calls: [{ id, type: "function", function: { name: "f", arguments: "{}" } }],
  });
  const result = (id: string) => ({ role: "tool", tool_call_id: id, content: "sun" });
  const { errors, warnings: found } = await checkValues([
    { messages: [user, calls("a"), user, result("a"), answer, user, answer] },
    { messages: [user, calls("a"), result("a"), calls("a"), result("a"), result("a"), answer] },
    { messages: [user, calls("a"), calls("b")] },
  ]);
  expect(errors.count).toBe(0);
  expect(listFindings(found)).toEqual([
    "1 messages[2] unanswered_tool_call",
    "3 messages[2] unanswered_tool_call",
  ]);
});

test("a warning of one code is given once for an example", async () => {
  const messages = [{ ...user, a: 1 }, { ...answer, b: 1 }, user, { ...answer, c: 1 }];
  const { warnings: found } = await checkValues([{ messages }, { messages: [user, answer] }]);
  expect(found).toEqual({
    count: 1,
    first: [
      {
        line: 1,
        path: "messages[0]",
        code: "message_unrecognized_key",
        message: 'Example 1, messages[0]: has the key "a", which is not in the published format',
      },
    ],
  });
});

test("the preference keys of OpenAI's API reference are an error with a hint", async () => {
  const messages = [user];
  const {
    format,
    errors,
    warnings: found,
  } = await checkValues([
    { input: { messages }, preferred_completion: [answer], non_preferred_completion: [answer] },
  ]);
  expect(format).toBe("preference");
  expect(errors.first.map(({ message }) => message)).toEqual([
    'Invalid file format. Example 1 is missing key "preferred_output"; rename "preferred_completion" to "preferred_output".',
    'Invalid file format. Example 1 is missing key "non_preferred_output"; rename "non_preferred_completion" to "non_preferred_output".',
  ]);
  expect(found.count).toBe(0);
});
