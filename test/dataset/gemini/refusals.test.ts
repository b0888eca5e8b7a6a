import { describe, expect, test } from "bun:test";
import {
  answer,
  convertExamples,
  findRefusal,
  findUnsupported,
  makeCall,
  user,
} from "./support.ts";

describe("convertToGemini() refuses, or leaves out and lists, an example with", () => {
  const called = { role: "assistant", tool_calls: [makeCall("a", "f")] };
  const result = { role: "tool", tool_call_id: "a", content: "1" };
  const cases: Readonly<Record<string, readonly [string, string, readonly unknown[]]>> = {
    "audio of the user": [
      "unsupported_audio",
      "messages[0].content[0] is audio",
      [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }, answer],
    ],
    "audio of the assistant": [
      "unsupported_audio",
      "messages[1].audio",
      [user, { ...answer, audio: { id: "a" } }],
    ],
    "nothing but weight 0": [
      "unsupported_weight",
      "messages[1].weight is 0",
      [user, { ...answer, weight: 0 }],
    ],
    "a result of no call": [
      "orphan_tool_result",
      'messages[1].tool_call_id is "a", which no call right before it has left open',
      [user, result, answer],
    ],
    "a second result of one call": [
      "orphan_tool_result",
      "messages[3].tool_call_id",
      [user, called, result, result, answer],
    ],
    "a result that comes a turn late": [
      "missing_tool_result",
      "messages[1].tool_calls[0].function has no result",
      [user, called, user, result, answer],
    ],
    "a call without a result": [
      "missing_tool_result",
      "messages[1].tool_calls[0].function has no result",
      [user, called, answer],
    ],
    "an empty answer": [
      "unsupported_empty_message",
      "messages[1] holds no text and no call",
      [user, { role: "assistant", content: "" }],
    ],
    "an empty question": [
      "unsupported_empty_message",
      "messages[0] holds no text",
      [{ role: "user", content: "" }, answer],
    ],
    "arguments that are no object": [
      "unsupported_arguments",
      "messages[1].tool_calls[0].function.arguments must be the text of a JSON object",
      [user, { role: "assistant", tool_calls: [makeCall("a", "f", "[1]")] }],
    ],
    "broken arguments": [
      "unsupported_arguments",
      'not "{"',
      [user, { role: "assistant", tool_calls: [makeCall("a", "f", "{")] }],
    ],
    "endless arguments": [
      "unsupported_arguments",
      "at most a million characters",
      [user, { role: "assistant", tool_calls: [makeCall("a", "f", `{"a":"${"x".repeat(1e6)}"}`)] }],
    ],
    "a function whose name starts with a digit": [
      "unsupported_function_name",
      'name is "2f"',
      [user, { role: "assistant", tool_calls: [makeCall("a", "2f")] }],
    ],
    "a call of a custom tool": [
      "unsupported_tool_call",
      "messages[1].tool_calls[0] calls a custom tool",
      [user, { role: "assistant", tool_calls: [{ id: "a", type: "custom", custom: {} }] }],
    ],
  };
  for (const [title, [code, sentence, messages]] of Object.entries(cases)) {
    test(title, async () => {
      const found = await findUnsupported(messages);
      expect(found.message).toContain(`line 1: ${sentence.startsWith("m") ? sentence : ""}`);
      expect(found.message).toContain(sentence);
      expect(found.codes.at(0)).toBe(`1 ${code}`);
      expect(found.lines).toEqual([]);
    });
  }

  test("tools in a preference pair, or a prompt that ends with an answer", async () => {
    const pair = {
      input: { messages: [user] },
      preferred_output: [answer],
      non_preferred_output: [answer],
    };
    const tools = [{ type: "function", function: { name: "f" } }];
    const examples = [
      { ...pair, input: { messages: [user], tools } },
      { ...pair, preferred_output: [called] },
      { ...pair, input: { messages: [user, called, result] } },
      { ...pair, input: { messages: [user, answer] } },
    ];
    const { report, lines } = await convertExamples([...examples, pair], "warn");
    expect(lines).toHaveLength(1);
    expect(report.warnings.map(({ line, code }) => `${line} ${code}`)).toEqual([
      "1 unsupported_tools",
      "2 unsupported_tools",
      "3 unsupported_tools",
      "4 unsupported_turns",
    ]);
  });
});

describe("convertToGemini() always refuses", () => {
  const cases: readonly (readonly [found: string, ...messages: unknown[]])[] = [
    ["messages must be an array of 1 to 10000 messages, not 0"],
    ["messages[0] must be a message object, not 7", 7, answer],
    ["messages[0].role must be one of", { role: "human", content: "" }, answer],
    ["messages[0].content must be a string or an array", { role: "user" }, answer],
    ["messages[0].content[0] must be a content part", { role: "user", content: [1] }, answer],
    [
      "messages[0].content[0].type must be text, image_url",
      { role: "user", content: [{ type: "video" }] },
      answer,
    ],
    [
      "messages[0].content[0].text must be a string",
      { role: "user", content: [{ type: "text" }] },
      answer,
    ],
    ["messages[1].weight must be 0 or 1, not 0.5", user, { ...answer, weight: 0.5 }],
    ["messages[1].tool_calls must be an array", user, { ...answer, tool_calls: {} }],
    [
      "messages[1].tool_calls[0].id must be a string",
      user,
      { ...answer, tool_calls: [{ type: "function" }] },
    ],
    [
      'messages[1].tool_calls[0].type must be "function"',
      user,
      { ...answer, tool_calls: [{ id: "a" }] },
    ],
    ["messages[1].function_call must be an object", user, { ...answer, function_call: "f" }],
    [
      "messages[1].function_call.arguments must be a string of JSON, not an object",
      user,
      { ...answer, function_call: { name: "f", arguments: {} } },
    ],
    ["messages[1].refusal must be a string", user, { ...answer, refusal: 7 }],
    ["messages[1].tool_call_id must be a string", user, { role: "tool", content: "" }, answer],
    ["the last message must be from the assistant", user],
  ];
  for (const [found, ...messages] of cases) {
    test(found, async () => {
      for (const onUnsupported of ["refuse", "warn"] as const) {
        const error = await findRefusal(convertExamples([{ messages }], onUnsupported));
        expect(error.message).toContain(`line 1: ${found}`);
        expect(error.code).toBe("invalid_file_format");
      }
    });
  }

  test("preference pairs that are none, and says which key OpenAI's service takes", async () => {
    const pair = { input: { messages: [user] }, preferred_output: [answer] };
    const found: readonly (readonly [object, string])[] = [
      [
        { ...pair, non_preferred_completion: [answer] },
        'rename "non_preferred_completion" to "non_preferred_output"',
      ],
      [
        { ...pair, non_preferred_output: [answer, answer] },
        "must be an array of exactly one message",
      ],
      [
        { ...pair, non_preferred_output: [user] },
        "non_preferred_output[0] must be a message from the assistant",
      ],
      [{ ...pair, input: [user] }, "input must be an object with messages, not an array"],
      [
        {
          ...pair,
          input: { messages: [{ role: "system", content: "a" }] },
          non_preferred_output: [answer],
        },
        "must hold a message from the user",
      ],
    ];
    for (const [example, sentence] of found) {
      const error = await findRefusal(convertExamples([example], "warn"));
      expect(error.message).toContain(sentence);
      expect(error.code).toBe("invalid_file_format");
    }
  });
});
