const examples = Array.from({ length: 12 }, (_, at) =>
  JSON.stringify({
    messages: [
      { role: "user", content: `What is ${at} and ${at}? Grüße 👩‍🚀 שלום` },
      { role: "assistant", content: `It is ${2 * at}. 你好` },
    ],
  }),
);

/** A dataset in OpenAI's format that every service takes; no line end at its end. */
export const chatSample = {
  content: new TextEncoder().encode(examples.join("\r\n")),
  filename: "träin.jsonl",
};
