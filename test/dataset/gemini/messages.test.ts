import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  answer,
  convertExamples,
  convertMessages,
  findUnsupported,
  makeCall,
  user,
} from "./support.ts";

const countable = v.object({ contents: v.array(v.object({ parts: v.array(v.unknown()) })) });
const question = { role: "user", parts: [{ text: "Which river runs through Basel?" }] };
const rhine = { role: "model", parts: [{ text: "The Rhine." }] };

describe("convertToGemini() carries over", () => {
  test("the first system and developer messages as instructions, in their order", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "developer", content: [{ type: "text", text: "Be kind." }] },
      { role: "system", content: "" },
      user,
      answer,
    ];
    expect(await convertMessages(messages)).toEqual({
      systemInstruction: { role: "system", parts: [{ text: "Be brief." }, { text: "Be kind." }] },
      contents: [question, rhine],
    });
  });

  test("several turns, and merges messages of one role that follow each other", async () => {
    const more = {
      role: "user",
      content: [
        { type: "text", text: "" },
        { type: "text", text: "?" },
      ],
    };
    expect(await convertMessages([user, answer, user, more, answer, answer])).toEqual({
      contents: [
        question,
        rhine,
        { role: "user", parts: [...question.parts, { text: "?" }] },
        { role: "model", parts: [...rhine.parts, ...rhine.parts] },
      ],
    });
  });

  test("optional fields that are null, and weight 1, without a word", async () => {
    const nothing = {
      name: null,
      refusal: null,
      audio: null,
      tool_calls: null,
      function_call: null,
    };
    const messages = [
      { ...user, name: null },
      { ...answer, ...nothing, weight: 1 },
    ];
    const fields = { tools: null, functions: null, parallel_tool_calls: null, note: null };
    expect(await convertMessages(messages, fields)).toEqual({ contents: [question, rhine] });
  });

  test("calls with their text, and results in the order of the calls", async () => {
    const messages = [
      user,
      { ...answer, tool_calls: [makeCall("a", "find", '{"x": 1}'), makeCall("b", "sum")] },
      { role: "tool", tool_call_id: "b", content: "[1]", name: "sum" },
      {
        role: "tool",
        tool_call_id: "a",
        content: [
          { type: "text", text: '{"river"' },
          { type: "text", text: ':"Rhine"}' },
        ],
      },
      user,
      answer,
    ];
    expect(await convertMessages(messages)).toEqual({
      contents: [
        question,
        {
          role: "model",
          parts: [
            { text: "The Rhine." },
            { functionCall: { name: "find", args: { x: 1 } } },
            { functionCall: { name: "sum", args: {} } },
          ],
        },
        {
          role: "user",
          parts: [
            { functionResponse: { name: "find", response: { river: "Rhine" } } },
            { functionResponse: { name: "sum", response: { output: "[1]" } } },
          ],
        },
        question,
        rhine,
      ],
    });
  });

  test("the same call id again in a later turn", async () => {
    const turn = (name: string) => [
      user,
      { role: "assistant", content: null, tool_calls: [makeCall("call_1", name)] },
      { role: "tool", tool_call_id: "call_1", content: name },
    ];
    const line = JSON.stringify(await convertMessages([...turn("one"), ...turn("two"), answer]));
    expect(line).toContain('{"name":"one","response":{"output":"one"}}');
    expect(line).toContain('{"name":"two","response":{"output":"two"}}');
  });

  test("the older function_call and function message", async () => {
    const messages = [
      user,
      { role: "assistant", content: null, function_call: { name: "find", arguments: "{}" } },
      { role: "function", name: "find", content: null },
      answer,
    ];
    expect(await convertMessages(messages)).toEqual({
      contents: [
        question,
        { role: "model", parts: [{ functionCall: { name: "find", args: {} } }] },
        {
          role: "user",
          parts: [{ functionResponse: { name: "find", response: { output: null } } }],
        },
        rhine,
      ],
    });
  });

  test("turns of very many parts and messages", async () => {
    const parts = Array.from({ length: 200_000 }, () => ({ type: "text", text: "a" }));
    const long = { role: "assistant", content: parts };
    const line = await convertMessages([
      ...Array(5000).fill(user),
      long,
      ...Array(4000).fill(answer),
    ]);
    const { contents } = v.parse(countable, line);
    expect(contents.map(({ parts: { length } }) => length)).toEqual([5000, 204_000]);
  });

  test("every digit and key of arguments and results", async () => {
    const text =
      '{"big":12345678901234567890,\n"long":0.10000000000000000001,"2":1,"1":2,"__proto__":1e400}';
    const messages = [
      user,
      { role: "assistant", tool_calls: [makeCall("a", "f", ` ${text}\r\n`)] },
      { role: "tool", tool_call_id: "a", content: text },
      answer,
    ];
    const { text: written } = await convertExamples([{ messages }]);
    const line = text.replace("\n", " ");
    expect(written).toContain(`"args":${line}}`);
    expect(written).toContain(`"response":${line}}`);
  });
});

describe("convertToGemini() refuses, or changes and lists,", () => {
  test("weight 0, which is learnt before a turn with weight 1", async () => {
    const found = await findUnsupported([user, { ...answer, weight: 0 }, user, answer]);
    expect(found.message).toContain("messages[1].weight is 0");
    expect(found.codes).toEqual(["1 unsupported_weight"]);
    expect(found.lines).toEqual([{ contents: [question, rhine, question, rhine] }]);
  });

  test("weight 0, which is left out after the last turn with weight 1", async () => {
    const messages = [user, answer, { ...answer, content: "No." }, user, { ...answer, weight: 0 }];
    const cut = [...messages.slice(0, 2), { ...answer, weight: 0 }, user, { ...answer, weight: 0 }];
    const first = await findUnsupported(messages);
    expect(first.lines).toEqual([
      { contents: [question, { role: "model", parts: [...rhine.parts, { text: "No." }] }] },
    ]);
    expect((await findUnsupported(cut)).lines).toEqual([{ contents: [question, rhine] }]);
  });

  test("system messages after the start, as text of the user", async () => {
    const system = { role: "system", content: "Be brief." };
    const found = await findUnsupported([user, answer, system, user, answer]);
    expect(found.message).toContain("messages[2] is a system message after the start");
    expect(found.codes).toEqual(["1 unsupported_system_message"]);
    const moved = { role: "user", parts: [{ text: "Be brief." }, ...question.parts] };
    expect(found.lines).toEqual([{ contents: [question, rhine, moved, rhine] }]);
  });

  test("refusals, as text", async () => {
    const parts = [{ type: "refusal", refusal: "I will not." }];
    const contents = [question, { role: "model", parts: [{ text: "I will not." }] }];
    for (const message of [{ content: parts }, { content: null, refusal: "I will not." }]) {
      const found = await findUnsupported([user, { role: "assistant", ...message }]);
      expect(found.codes).toEqual(["1 unsupported_refusal"]);
      expect(found.lines).toEqual([{ contents }]);
    }
  });

  test("names, unknown fields and parallel_tool_calls, which are left out", async () => {
    const part = { type: "text", text: user.content, cache_control: {} };
    const messages = [
      { role: "user", content: [part], name: "ada", mood: "good" },
      { ...answer, name: "bot" },
    ];
    const found = await findUnsupported(messages, { note: "x", parallel_tool_calls: false });
    expect(found.codes.toSorted()).toEqual([
      "1 unsupported_field",
      "1 unsupported_field",
      "1 unsupported_field",
      "1 unsupported_name",
      "1 unsupported_name",
      "1 unsupported_parallel_tool_calls",
    ]);
    expect(found.lines).toEqual([{ contents: [question, rhine] }]);
  });
});
