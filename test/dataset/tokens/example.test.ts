import { describe, expect, test } from "bun:test";
import { countExample } from "../../../src/dataset/tokens/example.ts";
import { conversations, countConversation, countMessage, counts } from "./reference.ts";

const count = counts.o200k_base;

describe("the tokens of an example", () => {
  test("in the chat and reinforcement formats are those of its messages and tools, and 3", () => {
    for (const conversation of conversations) {
      const tokens = 3 + countConversation(conversation, count);
      const found = countExample(conversation, "chat", count);
      expect(found).toMatchObject({ tokens, sequences: [tokens] });
      const item = { ...conversation, target: "77", answers: ["not a", "part of the prompt"] };
      expect(countExample(item, "reinforcement", count)).toEqual(found);
    }
  });

  test("in the preference format are the prompt with both outputs, trained on as the prompt with each", () => {
    for (const input of conversations) {
      const [yes, no] = [
        { role: "assistant", content: "Yes, of course." },
        { role: "assistant", content: "No" },
      ] as const;
      const example = { input, preferred_output: [yes], non_preferred_output: [no] };
      const prompt = 3 + countConversation(input, count);
      const outputs = [countMessage(yes, count), countMessage(no, count)] as const;
      expect(countExample(example, "preference", count)).toMatchObject({
        tokens: prompt + outputs[0] + outputs[1],
        sequences: [prompt + outputs[0], prompt + outputs[1]],
      });
    }
  });

  test("in Gemini's formats are those of texts, calls, their results and tools", () => {
    const args = { place: "Zürich", days: 2 };
    const response = { output: "warm" };
    const tools = [{ functionDeclarations: [{ name: "weather" }] }];
    const example = {
      systemInstruction: { role: "system", parts: [{ text: "Be kind." }] },
      contents: [
        { role: "user", parts: [{ text: "Hi" }, { fileData: { fileUri: "gs://a/b.png" } }] },
        { role: "model", parts: [{ functionCall: { name: "weather", args } }] },
        { parts: [{ functionResponse: { name: "weather", response } }, { inlineData: {} }] },
        { role: "model", parts: [{ text: "Warm." }, { text: "" }] },
      ],
      tools,
      references: { answer: "not a part of the prompt" },
      generationConfig: { mediaResolution: "MEDIA_RESOLUTION_LOW" },
    };
    const texts = ["system", "Be kind.", "user", "Hi", "model", "weather", JSON.stringify(args)];
    texts.push("weather", JSON.stringify(response), "model", "Warm.", JSON.stringify(tools));
    const prompt = texts.reduce((sum, text) => sum + count(text), 3 + 5 * 3);
    const chat = { tokens: prompt, sequences: [prompt], media: 2 };
    expect(countExample(example, "gemini_chat", count)).toEqual(chat);
    expect(countExample(example, "gemini_reinforcement", count)).toEqual(chat);

    const completions = ["Yes, of course.", "No"].map((text, score) => ({
      score,
      completion: { role: "model", parts: [{ text }] },
    }));
    const [yes, no] = [3 + count("model") + count("Yes, of course."), 3 + count("model") + 1];
    expect(countExample({ ...example, completions }, "gemini_preference", count)).toEqual({
      tokens: prompt + yes + no,
      sequences: [prompt + yes, prompt + no],
      media: 2,
    });
  });

  test("leave out images and other media, which are counted as such", () => {
    const media = ["image_url", "input_audio", "file"].map((type) => ({ type, [type]: {} }));
    const content = [{ type: "text", text: "What is this?" }, ...media];
    const withMedia = { messages: [{ role: "user", content }] };
    const without = { messages: [{ role: "user", content: "What is this?" }] };
    const { tokens } = countExample(without, "chat", count) ?? {};
    expect(countExample(withMedia, "chat", count)).toMatchObject({ tokens, media: 3 });
  });

  test("are undefined for what is no example of its format", () => {
    for (const value of [null, 1, "a", [], {}, { messages: {} }, { prompt: "a" }]) {
      for (const format of ["chat", "reinforcement", "preference", "gemini_chat"] as const) {
        expect(countExample(value, format, count)).toBeUndefined();
      }
    }
    expect(countExample({ input: { messages: 1 } }, "preference", count)).toBeUndefined();
    expect(countExample({ contents: [] }, "chat", count)).toBeUndefined();
  });

  test("are counted as far as can be of examples that are wrong inside", () => {
    const user = { role: "user", content: "Hello" };
    const { tokens } = countExample({ messages: [user] }, "chat", count) ?? {};
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    const odd = [null, 3, "text", [user], [[]]];
    expect(countExample({ messages: [user, ...odd] }, "chat", count)).toMatchObject({ tokens });
    expect(countExample({ messages: [user], tools: deep }, "chat", count)).toMatchObject({
      tokens,
    });
    const wrong = { ...user, name: 5, tool_calls: [1, { function: 2 }, {}], function_call: [] };
    expect(countExample({ messages: [wrong] }, "chat", count)).toMatchObject({ tokens });
    const contents = [{ parts: 1 }, { parts: [1, { functionCall: 1 }, { text: {} }] }, 5];
    expect(countExample({ contents, systemInstruction: 1 }, "gemini_chat", count)).toEqual({
      tokens: 3 + 2 * 3,
      sequences: [9],
      media: 0,
    });
    expect(countExample({ contents: [], completions: 7 }, "gemini_preference", count)).toEqual({
      tokens: 3,
      sequences: [3],
      media: 0,
    });
  });
});
