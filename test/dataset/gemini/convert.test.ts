import { describe, expect, test } from "bun:test";
import { checkGemini, convertToGemini, detectFormat } from "../../../src/dataset/gemini/convert.ts";
import {
  answer,
  CutBlob,
  convertContent,
  convertExamples,
  findRefusal,
  makeRandom,
  signal,
  user,
} from "./support.ts";

const chat = { messages: [user, answer] };
const preference = {
  input: { messages: [user] },
  preferred_output: [answer],
  non_preferred_output: [{ role: "assistant", content: "No idea." }],
};
const gemini = {
  contents: [
    { role: "user", parts: [{ text: "Which river runs through Basel?" }] },
    { role: "model", parts: [{ text: "The Rhine." }] },
  ],
};

function makeFile(...lines: readonly unknown[]): Blob {
  const texts = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  return new Blob([texts.join("\n")]);
}

describe("detectFormat() tells", () => {
  for (const [format, example] of Object.entries({ chat, preference, gemini })) {
    test(`${format} by the first line that is not blank`, async () => {
      expect<string>(await detectFormat(makeFile("", " \r", example), signal)).toBe(format);
    });
  }

  test("nothing of a broken or an unknown first line, or of an empty file", async () => {
    const refusals: readonly (readonly [Blob, string])[] = [
      [makeFile('{"messages":'), "line 1: it is not valid JSON"],
      [makeFile("", "[1]"), 'line 2: it is not a JSON object (starts with: "[1]")'],
      [makeFile({ prompt: "a", completion: "b" }), "line 1: it is no chat example"],
      [new Blob(["\n\n"]), "it has no example"],
      [new Blob([]), "it has no example"],
    ];
    for (const [content, found] of refusals) {
      const error = await findRefusal(detectFormat(content, signal));
      expect(error.message).toContain(found);
      expect(error.code).toBe("invalid_file_format");
    }
  });
});

describe("checkGemini()", () => {
  test("counts the examples of a file in Gemini's format", async () => {
    const report = await checkGemini(makeFile(gemini, "", gemini), signal);
    expect(report).toEqual({ examples: 2, warnings: [], warningCount: 0 });
  });

  test("names the line that is broken, of another format or without contents", async () => {
    const file = makeFile(gemini, chat, "{", { contents: [] }, gemini);
    const { message, code } = await findRefusal(checkGemini(file, signal));
    expect(message).toContain("3 lines have problems; line 2: it is in the chat format");
    expect(message).toContain("line 3: it is not valid JSON");
    expect(message).toContain("line 4: contents must be an array of at least one object");
    expect(code).toBe("invalid_file_format");
  });
});

describe("convertToGemini()", () => {
  test("writes one line for each example and counts them", async () => {
    const { text, report } = await convertContent(makeFile(chat, "", chat));
    expect(text).toBe(`${JSON.stringify(gemini)}\n${JSON.stringify(gemini)}\n`);
    expect(report).toEqual({ examples: 2, warnings: [], warningCount: 0 });
  });

  test("takes carriage returns, a byte order mark and a last line without its end", async () => {
    const line = JSON.stringify(chat);
    const { lines } = await convertContent(new Blob([`\ufeff${line}\r\n\r\n${line}`]));
    expect(lines).toEqual([gemini, gemini]);
  });

  test("makes two completions of a preference pair", async () => {
    const system = { role: "system", content: "Be brief." };
    const { lines } = await convertExamples([
      { ...preference, input: { messages: [system, user], tools: [] } },
    ]);
    expect(lines).toEqual([
      {
        systemInstruction: { role: "system", parts: [{ text: "Be brief." }] },
        contents: [{ role: "user", parts: [{ text: "Which river runs through Basel?" }] }],
        completions: [
          { score: 1, completion: { role: "model", parts: [{ text: "The Rhine." }] } },
          { score: 0, completion: { role: "model", parts: [{ text: "No idea." }] } },
        ],
      },
    ]);
  });

  test("refuses what is no example whatever the request allows, and names the line", async () => {
    const broken: readonly (readonly [string | Uint8Array<ArrayBuffer>, string])[] = [
      ['{"messages":[}', "line 2: it is not valid JSON"],
      [new Uint8Array([0x22, 0xff, 0x22]), "line 2: it is not valid UTF-8"],
      [new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), "line 2: it is not valid UTF-8"],
      ["null", "line 2: it is not a JSON object"],
      ["{}", "line 2: it is no chat example"],
      [JSON.stringify(gemini), "line 2: it is in Gemini's format already"],
      [
        JSON.stringify(preference),
        "line 2: it is in the preference format, and line 1 in the chat",
      ],
    ];
    for (const onUnsupported of ["refuse", "warn"] as const) {
      for (const [line, found] of broken) {
        const content = new Blob([JSON.stringify(chat), "\n", line, "\n"]);
        const error = await findRefusal(convertContent(content, onUnsupported));
        expect(error.message).toContain(found);
        expect(error.code).toBe("invalid_file_format");
      }
    }
  });

  test("names ten lines and counts the rest", async () => {
    const weighted = { messages: [user, { ...answer, weight: 0 }, user, answer] };
    const error = await findRefusal(convertExamples([chat, ...Array(12).fill(weighted)]));
    expect(error.code).toBe("unsupported_dataset_feature");
    expect(error.message).toContain("12 lines have problems; line 2: messages[1].weight is 0");
    expect(error.message).toContain("line 11: ");
    expect(error.message).not.toContain("line 12: ");
    expect(error.message).toContain('and 2 more; with "on_unsupported": "warn"');
  });

  test("names what is invalid in a line rather than what is not supported", async () => {
    const error = await findRefusal(convertExamples([{ messages: [user], target: "Rhine" }]));
    expect(error.message).toContain("line 1: the last message must be from the assistant");
    expect(error.code).toBe("invalid_file_format");
  });

  test("lists what it changed, the first hundred, and counts all", async () => {
    const named = { messages: [{ ...user, name: "ada" }, answer] };
    const { lines, report } = await convertExamples([chat, ...Array(150).fill(named)], "warn");
    expect(lines).toHaveLength(151);
    expect(report.examples).toBe(151);
    expect(report.warningCount).toBe(150);
    expect(report.warnings).toHaveLength(100);
    expect(report.warnings[0]).toEqual({
      line: 2,
      code: "unsupported_name",
      message: "messages[0].name: Gemini's turns have no names; it is left out",
    });
  });

  test("refuses a file of which nothing is left", async () => {
    const audio = { messages: [{ role: "user", content: [{ type: "input_audio" }] }, answer] };
    const error = await findRefusal(convertExamples([audio], "warn"));
    expect(error.message).toContain("none of its examples can be carried over; line 1: ");
    expect(error.code).toBe("unsupported_dataset_feature");
    expect((await findRefusal(convertExamples([]))).message).toContain("it has no example");
  });

  test("writes pieces of exactly 1 MiB, whatever the lines are", async () => {
    const long = { messages: [user, { role: "assistant", content: "ü🙂".repeat(400_000) }] };
    const content = makeFile(...Array(3000).fill(chat), long, ...Array(9000).fill(chat));
    const options = { onUnsupported: "refuse", storeMedia: () => Promise.reject() } as const;
    const sizes: number[] = [];
    for await (const piece of convertToGemini(content, options, signal).lines) {
      sizes.push(piece.length);
    }
    expect(sizes.length).toBeGreaterThan(3);
    expect(new Set(sizes.slice(0, -1))).toEqual(new Set([1024 * 1024]));
    const { lines } = await convertContent(content);
    expect(lines[3000]).toEqual({
      contents: [gemini.contents[0], { role: "model", parts: [{ text: "ü🙂".repeat(400_000) }] }],
    });
  });

  test("ends with the signal's reason", async () => {
    const controller = new AbortController();
    const options = { onUnsupported: "refuse", storeMedia: () => Promise.reject() } as const;
    const content = makeFile(...Array(20_000).fill(chat));
    const { lines } = convertToGemini(content, options, controller.signal);
    const reason = new Error("The client is gone");
    const read = async () => {
      for await (const _ of lines) controller.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
  });
});

describe("convertToGemini() keeps every character", () => {
  const text = 'Zürich, 東京, مرحبا, हिन्दी, ไทย, 🙂👨‍👩‍👧‍👦🇨🇭, 𝔘𝔫𝔦, "quoted" \\ \n\t\u0000\u2028 é';
  const messages = [
    { role: "system", content: text },
    { role: "user", content: [{ type: "text", text }] },
    {
      role: "assistant",
      content: text,
      tool_calls: [
        {
          id: "call_1",
          type: "function",
          function: { name: "f", arguments: JSON.stringify({ [text]: text }) },
        },
      ],
    },
    { role: "tool", tool_call_id: "call_1", content: text },
    { role: "assistant", content: text },
  ];
  const line = `${JSON.stringify({ messages })}\n`;
  const bytes = new TextEncoder().encode(line + line);
  const wanted = {
    systemInstruction: { role: "system", parts: [{ text }] },
    contents: [
      { role: "user", parts: [{ text }] },
      { role: "model", parts: [{ text }, { functionCall: { name: "f", args: { [text]: text } } }] },
      {
        role: "user",
        parts: [{ functionResponse: { name: "f", response: { output: text } } }],
      },
      { role: "model", parts: [{ text }] },
    ],
  };

  test("at each single cut of its bytes", async () => {
    const { text: whole, lines } = await convertContent(new Blob([bytes]));
    expect(lines).toEqual([wanted, wanted]);
    for (let cut = 1; cut < bytes.length / 2; cut += 1) {
      expect((await convertContent(new CutBlob(bytes, [cut]))).text).toBe(whole);
    }
  });

  test("byte for byte, and at random cuts", async () => {
    const { text: whole } = await convertContent(new Blob([bytes]));
    const single = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
    expect((await convertContent(new CutBlob(bytes, single))).text).toBe(whole);
    const random = makeRandom(4);
    for (let round = 0; round < 50; round += 1) {
      const share = random();
      const cuts = single.filter(() => random() < share);
      expect((await convertContent(new CutBlob(bytes, cuts))).text).toBe(whole);
    }
  });

  test("and each half of a surrogate pair as its escape", async () => {
    const content = '{"messages":[{"role":"user","content":"a\\ud800b"},{"role":"assistant",';
    const calls =
      '"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"a\\":\\"\\ud83d\\"}"}}]}]}';
    const { text: written } = await convertContent(new Blob([content + calls]));
    expect(written).toContain('{"text":"a\\ud800b"}');
    expect(written).toContain('"args":{"a":"\\ud83d"}');
  });
});
