import { expect, test } from "bun:test";
import { StartError } from "../../src/errors.ts";
import { maximumTrainedTokens, renderExample } from "../../src/trainer/conversation.ts";

/** Shows tokens as text, the end of a message as "|". */
function show(tokens: Uint16Array): string {
  const bytes = [...tokens].map((token) => (token === 256 ? "|".charCodeAt(0) : token));
  return new TextDecoder().decode(new Uint8Array(bytes));
}

function render(messages: readonly unknown[], context: number) {
  const example = renderExample({ messages }, context, "line 1");
  return {
    before: example.answers.map((tokens) => show(tokens.subarray(0, context))),
    answers: example.answers.map((tokens) => show(tokens.subarray(context))),
    trainedTokens: example.trainedTokens,
  };
}

test("answers are trained on with the conversation before them as context", () => {
  const messages = [
    { role: "system", content: "Be kind." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello 🙂" },
    { role: "user", name: "ada", content: "Bye" },
    { role: "assistant", content: "" },
  ];
  expect(render(messages, 40)).toEqual({
    before: ["|||system: Be kind.|user: Hi|assistant: ", "nt: Hello 🙂|user ada: Bye|assistant: "],
    answers: ["Hello 🙂|", "|"],
    trainedTokens: 12,
  });
});

test("messages of weight 0 are context and nothing more", () => {
  const messages = [
    { role: "user", content: "1+1" },
    { role: "assistant", content: "3", weight: 0 },
    { role: "user", content: "No" },
    { role: "assistant", content: "2", weight: 1 },
  ];
  expect(render(messages, 24)).toEqual({
    before: ["nt: 3|user: No|assistant: ".slice(-24)],
    answers: ["2|"],
    trainedTokens: 2,
  });
});

test("calls of tools, functions and refusals are trained on as text", () => {
  const call = { id: "c1", type: "function", function: { name: "f", arguments: '{"a":"é"}' } };
  const functionCall = { name: "g", arguments: "{}" };
  const { answers } = render(
    [
      { role: "assistant", content: "Wait.", tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: [{ type: "text", text: "no" }] },
      { role: "assistant", content: null, function_call: functionCall },
      { role: "assistant", content: [{ type: "refusal", refusal: "Never." }], tool_calls: null },
      { role: "assistant", content: null, refusal: "I refuse." },
    ],
    8,
  );
  expect(answers).toEqual([
    `Wait.\n${JSON.stringify([call])}|`,
    `${JSON.stringify(functionCall)}|`,
    "Never.|",
    "I refuse.|",
  ]);
});

test("parts of text are joined and definitions of tools come first", () => {
  const parts = [
    { type: "text", text: "a" },
    { type: "text", text: "b" },
  ];
  const { answers } = renderExample(
    { messages: [{ role: "assistant", content: parts }], tools: [1] },
    24,
    "line 1",
  );
  expect(answers.map(show)).toEqual(["|tools: [1]|assistant: ab|".padStart(27, "|")]);
});

test("an image is refused by line and place, even where it carries text", () => {
  for (const text of [undefined, "a cat"]) {
    const image = { type: "image_url", image_url: { url: "https://example.com/a.png" }, text };
    const messages = [
      { role: "user", content: [{ type: "text", text: "What is it?" }, image] },
      { role: "assistant", content: "A cat." },
    ];
    expect(() => renderExample({ messages }, 8, "line 3 of the training file")).toThrow(
      new StartError(
        'Cannot learn from line 3 of the training file: messages[0].content[1] is of the type "image_url", tiny-lm learns from text only',
      ),
    );
  }
});

test("a message that is of no use is refused by line and place", () => {
  expect(() => renderExample({ messages: [{ role: "user", refusal: 5 }] }, 8, "line 2")).toThrow(
    "Cannot learn from line 2: messages.0.refusal: ",
  );
});

test("answers are cut at the limit of an example, over all its messages", () => {
  const long = { role: "assistant", content: "a".repeat(maximumTrainedTokens - 10) };
  const exact = renderExample(
    { messages: [long, { role: "assistant", content: "b".repeat(8) }] },
    8,
    "line 1",
  );
  expect(exact.isCut).toBe(false);
  expect(exact.trainedTokens).toBe(maximumTrainedTokens);
  const cut = renderExample(
    {
      messages: [
        long,
        { role: "assistant", content: "b".repeat(9) },
        { role: "assistant", content: "c" },
      ],
    },
    8,
    "line 1",
  );
  expect(cut.isCut).toBe(true);
  expect(cut.trainedTokens).toBe(maximumTrainedTokens);
  expect(cut.answers.map((tokens) => show(tokens.subarray(8)).at(-1))).toEqual(["|", "b"]);
});

test("fields of messages that are not learned from are named", () => {
  const message = { role: "assistant", content: "a", audio: { id: "x" }, reasoning: "b" };
  const { ignoredFields } = renderExample({ messages: [message, message] }, 8, "line 1");
  expect(ignoredFields).toEqual(["audio", "reasoning"]);
});
