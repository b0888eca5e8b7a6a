import { describe, expect, test } from "bun:test";
import { readItemFields } from "../../../src/dataset/check/file-format.ts";
import { check, checkValues, listFindings, makers, makeSample } from "./samples.ts";

const user = { role: "user", content: "And now?" };
const answer = { role: "assistant", content: "The same." };
const chat = { messages: [user, answer] };
const prompt = { messages: [user] };
const preference = makers.preference(0);

describe("the format of a file", () => {
  test("is that of its first line, and the first other one is an error", async () => {
    const sample = makeSample("chat");
    sample[4] = preference;
    sample[8] = makers.gemini_chat(0);
    const { format, errors } = await checkValues(sample);
    expect(format).toBe("chat");
    expect(errors.first).toEqual([
      {
        line: 5,
        path: "",
        code: "mixed_formats",
        message:
          'Invalid file format. Example 5 is in the preference format of the method "dpo", but the first example (line 1) is in the chat format',
      },
    ]);
  });

  test("an example of another format is still checked by its own", async () => {
    const { errors } = await checkValues([chat, { input: {}, preferred_output: [answer] }]);
    expect(listFindings(errors)).toEqual([
      "2 - mixed_formats",
      "2 input.messages missing_messages_list",
      "2 - example_missing_key",
    ]);
  });

  test("is null where no line could be understood", async () => {
    expect((await check("")).format).toBeNull();
    expect((await check('{"a":1}\n[]\n{')).format).toBeNull();
  });

  test("a prompt with fields for a grader makes it reinforcement", async () => {
    const { format, errors } = await checkValues([{ ...prompt, target: 1 }, prompt, chat]);
    expect(format).toBe("reinforcement");
    expect(listFindings(errors)).toEqual(["3 messages[1] unexpected_last_message"]);
  });

  test("prompts before the first chat are chats without their answer", async () => {
    const { format, errors } = await checkValues([prompt, prompt, chat, { messages: [] }, prompt]);
    expect(format).toBe("chat");
    expect(listFindings(errors)).toEqual([
      "1 messages[0] example_missing_assistant_message",
      "2 messages[0] example_missing_assistant_message",
      "4 messages missing_messages_list",
      "5 messages[0] example_missing_assistant_message",
    ]);
    expect(errors.first[0]?.message).toBe(
      'Invalid file format. Example 1, messages[0]: the last message must be from the assistant, not "user"',
    );
  });

  test("is not told by a first line whose messages are broken", async () => {
    const tool = { messages: [{ role: "tool", content: "sun", tool_call_id: "a" }] };
    const item = { ...prompt, target: 1 };
    for (const [others, format] of [
      [[item, prompt], "reinforcement"],
      [[chat, chat], "chat"],
      [[preference], "preference"],
    ] as const) {
      const report = await checkValues([{ messages: [] }, { messages: 5 }, tool, ...others]);
      expect(report.format).toBe(format);
      expect(listFindings(report.errors)).toEqual([
        "1 messages missing_messages_list",
        "2 messages missing_messages_list",
        "3 messages[0].tool_call_id unknown_tool_call_id",
        "3 messages[0] example_missing_assistant_message",
      ]);
    }
  });

  test("of hundreds of prompts before the first chat the first 100 are kept in order", async () => {
    const { errors } = await checkValues([...Array(250).fill(prompt), chat]);
    expect(errors.count).toBe(250);
    expect(errors.first.map(({ line }) => line)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });

  test("prompts alone are reinforcement, with a warning about the whole file", async () => {
    const { format, errors, warnings } = await checkValues([prompt, { messages: [answer, user] }]);
    expect(format).toBe("reinforcement");
    expect(errors.count).toBe(0);
    expect(listFindings(warnings)).toEqual(["null - missing_item_fields"]);
  });

  test("prompts before a preference pair are reinforcement", async () => {
    const { format, errors } = await checkValues([prompt, preference]);
    expect(format).toBe("reinforcement");
    expect(listFindings(errors)).toEqual(["2 - mixed_formats"]);
  });

  test("prompts are chats without an answer where reinforcement is not taken", async () => {
    const { format, errors } = await checkValues([prompt], { formats: ["chat", "preference"] });
    expect(format).toBe("chat");
    expect(listFindings(errors)).toEqual(["1 messages[0] example_missing_assistant_message"]);
  });

  test("of none that is taken is an error of each line", async () => {
    const { errors } = await checkValues([makers.gemini_chat(0), preference], {
      formats: ["chat", "reinforcement"],
    });
    expect(errors.first.map(({ code, message }) => [code, message])).toEqual([
      [
        "unsupported_format",
        "Invalid file format. Example 1 is in Gemini's chat format, not in the chat format or the reinforcement format",
      ],
      [
        "unsupported_format",
        'Invalid file format. Example 2 is in the preference format of the method "dpo", not in the chat format or the reinforcement format',
      ],
    ]);
  });

  test("each method has its format of OpenAI's and of Gemini's", async () => {
    for (const [method, ...formats] of [
      ["supervised", "chat", "gemini_chat"],
      ["dpo", "preference", "gemini_preference"],
      ["reinforcement", "reinforcement", "gemini_reinforcement"],
    ] as const) {
      for (const format of Object.keys(makers)) {
        const { errors } = await checkValues([makers[format as keyof typeof makers](0)], {
          method,
        });
        expect([method, format, errors.count === 0]).toEqual([
          method,
          format,
          formats.some((name) => name === format),
        ]);
      }
    }
  });

  test("the keys of a preference pair count before messages for the method dpo only", async () => {
    const both = { ...chat, input: "an item" };
    expect((await checkValues([both])).format).toBe("chat");
    const { errors } = await checkValues([both], { method: "dpo" });
    expect(listFindings(errors)).toContain("1 input data_type");
  });
});

test("what many clients write as null is absent", async () => {
  const absent = { tools: null, functions: null, parallel_tool_calls: null };
  const messages = [user, { ...answer, weight: null, name: null, tool_calls: null }];
  const contents = [
    { role: "user", parts: [{ text: "a", fileData: null }] },
    { role: "model", parts: [{ text: null, functionCall: { name: "f", args: null } }] },
  ];
  const gemini = { contents, systemInstruction: null, tools: null };
  const preference = {
    input: { messages: [user], ...absent },
    preferred_output: [answer],
    non_preferred_output: [{ ...answer, content: "b" }],
  };
  for (const value of [{ messages, ...absent }, preference, gemini]) {
    const { errors, tool_examples } = await checkValues([value]);
    expect({ errors, tool_examples }).toEqual({
      errors: { count: 0, first: [] },
      tool_examples: 0,
    });
  }
});

describe("a report", () => {
  test("counts messages by role, images, examples with tools, and bytes", async () => {
    const text = `${makeSample("chat")
      .map((value) => JSON.stringify(value))
      .join("\r\n")}\r\n\r\n`;
    const report = await check(text);
    expect(report).toMatchObject({
      format: "chat",
      bytes: text.length,
      examples: 12,
      images: 12,
      tool_examples: 12,
      duplicates: 0,
      tokens: null,
      messages: { system: 12, user: 24, assistant: 36, tool: 12 },
    });
  });

  test("counts unknown roles under no name of theirs", async () => {
    const messages = [{ role: "__proto__", content: "a" }, { role: "constructor" }, answer];
    const report = await checkValues([{ messages }]);
    expect(report.messages).toEqual({ assistant: 1 });
    expect(report.errors.count).toBe(2);
  });

  test("keeps the first 100 errors and warnings, and counts all, apart from each other", async () => {
    const bad = {
      messages: [
        { ...user, extra: 1 },
        { ...answer, weight: 2 },
      ],
    };
    const { errors, warnings } = await checkValues(Array(150).fill(bad));
    expect([errors.count, errors.first.length]).toEqual([150, 100]);
    // Each has an unknown key, and all but the first repeat it.
    expect([warnings.count, warnings.first.length]).toEqual([299, 100]);
    expect(errors.first.at(-1)?.line).toBe(100);
    expect(warnings.first.at(-1)?.line).toBe(51);
  });

  test("tells how many bytes were read, up to all", async () => {
    const seen: number[] = [];
    const text = `${JSON.stringify(chat)}\n`.repeat(20_000);
    await check(text, { onProgress: (bytes) => seen.push(bytes) });
    expect(seen.length).toBeGreaterThan(2);
    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    expect(seen.at(-1)).toBe(text.length);
  });
});

describe("the limits of a service", () => {
  test("too few examples are an error of a training file before all others", async () => {
    const text = `{"a":1}\n${JSON.stringify(chat)}`;
    const { errors } = await check(text, { minExamples: 10 });
    expect(errors.first[0]).toEqual({
      line: null,
      path: "",
      code: "invalid_n_examples",
      message: "Training file has 2 example(s), but must have at least 10 examples",
    });
    expect(errors.count).toBe(2);
    expect((await check(text, { minExamples: 10, use: "validation" })).errors.count).toBe(1);
    const empty = await check("\n", { minExamples: 10, use: "validation" });
    expect(empty.errors.first[0]?.message).toBe(
      "Validation file has 0 example(s), but must have at least 1 example",
    );
  });

  test("a file that is too large is an error", async () => {
    const text = JSON.stringify(chat);
    expect((await check(text, { maxFileBytes: text.length })).errors.count).toBe(0);
    const { errors } = await check(text, { maxFileBytes: text.length - 1 });
    expect(errors.first[0]?.message).toBe(
      `Training file has ${text.length} bytes, but may have at most ${text.length - 1} bytes`,
    );
  });

  function makeImages(count: number, url: string) {
    const part = { type: "image_url", image_url: { url } };
    return { messages: [{ role: "user", content: Array(count).fill(part) }, answer] };
  }

  test("too many images of an example are an error", async () => {
    const values = [makeImages(10, "https://a.b/c.png"), makeImages(11, "https://a.b/c.png")];
    const { errors, images } = await checkValues(values, { maxImagesPerExample: 10 });
    expect(images).toBe(21);
    expect(listFindings(errors)).toEqual(["2 messages too_many_images"]);
  });

  test("an image of too many bytes is an error", async () => {
    const encode = (bytes: number) =>
      `data:image/webp;base64,${Buffer.alloc(bytes).toString("base64")}`;
    const values = [makeImages(1, encode(3000)), makeImages(1, encode(3003))];
    const { errors } = await checkValues(values, { maxImageBytes: 3000 });
    expect(errors.first.map(({ line, message }) => [line, message])).toEqual([
      [
        2,
        "Invalid file format. Example 2, messages[0].content[0].image_url.url: is an image of 3003 bytes, and one may have at most 3000",
      ],
    ]);
  });

  test("images of Gemini's format are counted alike", async () => {
    const part = { fileData: { mimeType: "image/png", fileUri: "gs://a/b" } };
    const sound = { fileData: { mimeType: "audio/wav", fileUri: "gs://a/b" } };
    const model = { role: "model", parts: [{ text: "A cat." }] };
    const example = { contents: [{ role: "user", parts: [part, part, sound] }, model] };
    expect((await checkValues([example], { maxImagesPerExample: 2 })).errors.count).toBe(0);
    const { errors } = await checkValues([example], { maxImagesPerExample: 1 });
    expect(listFindings(errors)).toEqual(["1 contents too_many_images"]);
  });

  test("a grader's fields must be in each example for reinforcement", async () => {
    const itemFields = readItemFields({
      type: "multi",
      graders: {
        a: { type: "string_check", input: "{{sample.output_text}}", reference: "{{item.target}}" },
        b: { type: "python", source: "# {{ item.notes.first }}", more: ["{{item.target}}"] },
      },
    });
    expect(itemFields).toEqual(["notes", "target"]);
    const values = [
      { ...prompt, target: 1, notes: null },
      { ...prompt, target: 1 },
    ];
    const { errors } = await checkValues(values, { itemFields, method: "reinforcement" });
    expect(errors.first.map(({ line, message }) => [line, message])).toEqual([
      [
        2,
        'Invalid file format. Example 2 is missing key "notes", which the grader reads as {{item.notes}}',
      ],
    ]);
  });
});

describe("odd lines", () => {
  test("a byte order mark is fine at the start, and no example elsewhere", async () => {
    const line = JSON.stringify(chat);
    const { errors, warnings, examples } = await check(
      `\ufeff${line}\n\ufeff\r\n\ufeff${line}\n\ufeff`,
    );
    expect(examples).toBe(2);
    expect(errors.first.map(({ message }) => message)).toEqual([
      "Expected file to have JSONL format, where every line is a valid JSON dictionary. Line 3 has a byte order mark, which may only start a file.",
    ]);
    expect(listFindings(warnings)).toEqual(["2 - byte_order_mark", "4 - byte_order_mark"]);
  });

  test("what is nested more than 200 deep is an error, and what is less is not", async () => {
    const nest = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const make = (depth: number) =>
      JSON.stringify({ ...prompt, a: 0 }).replace('"a":0', `"a":${nest(depth)}`);
    const { errors } = await check([make(100), make(198), make(199), make(20_000)].join("\n"));
    expect(errors.first.map(({ line, message }) => [line, message.slice(-29)])).toEqual([
      [3, " is nested more than 200 deep"],
      [4, " is nested more than 200 deep"],
    ]);
  });

  test("a line of more than a million characters without images is a warning", async () => {
    const content = "漢".repeat(1_200_000);
    const image = {
      type: "image_url",
      image_url: { url: `data:image/png;base64,${"A".repeat(1_200_000)}` },
    };
    const { errors, warnings } = await checkValues([
      { messages: [{ role: "user", content }, answer] },
      { messages: [{ role: "user", content: [image] }, answer] },
    ]);
    expect(errors.count).toBe(0);
    expect(listFindings(warnings)).toEqual(["1 - long_line"]);
  });

  test("a line of a gigabyte is one error, and is not kept", async () => {
    const line = new TextEncoder().encode(`\n${JSON.stringify(chat)}\n`);
    const piece = new Uint8Array(16 * 1024 * 1024).fill(0x78);
    class Endless extends Blob {
      override stream() {
        let count = 0;
        return new ReadableStream<Uint8Array<ArrayBuffer>>({
          pull(controller) {
            count += 1;
            if (count <= 64) controller.enqueue(piece);
            else if (count === 65) controller.enqueue(line);
            else controller.close();
          },
        });
      }
    }
    const { errors, examples, bytes } = await check(new Endless());
    expect({ examples, bytes }).toEqual({ examples: 2, bytes: 1024 ** 3 + line.length });
    expect(errors.first.map(({ message }) => message)).toEqual([
      "Expected file to have JSONL format, where every line is a valid JSON dictionary. Line 1 is longer than 64 MiB.",
    ]);
  });
});
