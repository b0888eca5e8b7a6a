import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineSplitter, parseLine } from "../src/dataset/lines.ts";
import { checkDataset, DatasetLineError, type DatasetMethod, readLines } from "../src/dataset.ts";

const signal = new AbortController().signal;
const user = { role: "user", content: "Which river runs through Basel?" };
const answer = { role: "assistant", content: "The Rhine." };
const call = {
  id: "call_1",
  type: "function",
  function: { name: "find_river", arguments: '{"city":"Basel"}' },
};
const toolTurn = [user, { role: "assistant", tool_calls: [call] }];
const toolResult = { role: "tool", tool_call_id: "call_1", content: "Rhine" };
const preference = {
  input: { messages: [user] },
  preferred_output: [answer],
  non_preferred_output: [{ role: "assistant", content: "No idea." }],
};

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tunegate-dataset-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function check(
  content: string | Uint8Array<ArrayBuffer>,
  method: DatasetMethod = "supervised",
) {
  const { examples, errors } = await checkDataset(new Blob([content]), { method }, signal);
  return { examples, problems: errors.first, problemCount: errors.count };
}

/** The messages about one example. */
async function findProblems(example: unknown, method: DatasetMethod = "supervised") {
  const { problems } = await check(JSON.stringify(example), method);
  return problems.map((problem) => problem.message);
}

async function collectLines(content: Blob) {
  const lines: { line: number; text: string }[] = [];
  for await (const { line, text } of readLines(content)) lines.push({ line, text });
  return lines;
}

function joinBytes(...parts: readonly (string | readonly number[])[]) {
  return new Uint8Array(
    parts.flatMap((part) =>
      typeof part === "string" ? [...new TextEncoder().encode(part)] : part,
    ),
  );
}

describe("checkDataset() accepts", () => {
  const supervised: Record<string, unknown> = {
    "a question and an answer": { messages: [user, answer] },
    "every role": {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "developer", content: [{ type: "text", text: "Be kind." }] },
        { ...user, name: "ada" },
        { role: "assistant", function_call: { name: "find_river", arguments: "{}" } },
        { role: "function", name: "find_river", content: null },
        answer,
      ],
      functions: [{ name: "find_river" }],
    },
    "a tool call, its result and the answer": {
      messages: [...toolTurn, toolResult, answer],
      tools: [{ type: "function", function: { name: "find_river", parameters: {} } }],
      parallel_tool_calls: false,
    },
    "a tool call as the answer": { messages: toolTurn },
    "an image in a question": {
      messages: [
        { role: "user", content: [{ type: "image_url", image_url: { url: "https://a.b/c.png" } }] },
        answer,
      ],
    },
    "a refusal in place of content": {
      messages: [user, { role: "assistant", content: null, refusal: "I will not." }],
    },
    "weights where one answer is trained on": {
      messages: [user, { ...answer, weight: 0 }, user, { ...answer, weight: 1 }],
    },
    "optional fields that are null": {
      messages: [
        { ...user, name: null, tool_calls: null },
        { ...answer, tool_calls: null, function_call: null, refusal: null },
      ],
    },
    "keys that OpenAI does not define": { messages: [user, answer], note: "from the archive" },
  };
  for (const [title, example] of Object.entries(supervised)) {
    test(title, async () => {
      expect(await check(JSON.stringify(example))).toEqual({
        examples: 1,
        problems: [],
        problemCount: 0,
      });
    });
  }

  test("a preference pair as dpo", async () => {
    expect(await findProblems(preference, "dpo")).toEqual([]);
  });

  test("a prompt with items for graders as reinforcement", async () => {
    expect(await findProblems({ messages: [user], target: "Rhine" }, "reinforcement")).toEqual([]);
    const developer = { messages: [{ role: "developer", content: "Count." }] };
    expect(await findProblems(developer, "reinforcement")).toEqual([]);
  });
});

describe("checkDataset() finds", () => {
  const tooLong = "x".repeat(65);
  const cases: readonly (readonly [title: string, example: unknown, ...found: string[]])[] = [
    ["messages missing", { chat: [] }, ' is missing key "messages".'],
    [
      "messages that are no array",
      { messages: "hi" },
      ', messages: must be an array of messages, not "hi"',
    ],
    ["no message at all", { messages: [] }, ", messages: must hold at least one message"],
    [
      "a message that is no object",
      { messages: [7, answer] },
      ", messages[0]: must be a message object, not 7",
    ],
    [
      "an unknown role",
      { messages: [{ role: "human", content: "hi" }, answer] },
      ', messages[0].role: must be one of system, developer, user, assistant, tool, function, not "human"',
    ],
    [
      "a missing role",
      { messages: [{ content: "hi" }, answer] },
      ", messages[0].role: must be one of system, developer, user, assistant, tool, function, not missing",
    ],
    [
      "missing content",
      { messages: [{ role: "user" }, answer] },
      ", messages[0].content: is missing",
    ],
    [
      "null content of a user",
      { messages: [{ role: "user", content: null }, answer] },
      ", messages[0].content: must not be null",
    ],
    [
      "content of a wrong type",
      { messages: [{ role: "user", content: 5 }, answer] },
      ", messages[0].content: must be a string or an array of parts, not 5",
    ],
    [
      "content without parts",
      { messages: [{ role: "user", content: [] }, answer] },
      ", messages[0].content: must hold at least one part",
    ],
    [
      "a part that is no object",
      { messages: [{ role: "user", content: ["hi"] }, answer] },
      ', messages[0].content[0]: must be a content part, not "hi"',
    ],
    [
      "a text part without text",
      { messages: [{ role: "user", content: [{ type: "text" }] }, answer] },
      ", messages[0].content[0].text: is missing",
    ],
    [
      "an image in an answer",
      { messages: [user, { role: "assistant", content: [{ type: "image_url", image_url: {} }] }] },
      ', messages[1].content[0].type: must be one of "text", "refusal" in assistant messages, not "image_url"',
    ],
    [
      "an image without an address",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }, answer] },
      ", messages[0].content[0].image_url.url: is missing",
    ],
    [
      "an image that is a bare string",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: "a" }] }, answer] },
      ", messages[0].content[0].image_url: must be an object",
    ],
    [
      "a last message from the user",
      { messages: [answer, user] },
      ', messages[1]: the last message must be from the assistant, not "user"',
    ],
    [
      "no answer to train on",
      { messages: [user, { ...answer, weight: 0 }] },
      ", messages: at least one message from the assistant must have weight 1",
    ],
    [
      "a weight of a half",
      { messages: [user, { ...answer, weight: 0.5 }] },
      ", messages[1].weight: must be 0 or 1, not 0.5",
    ],
    [
      "a weight in quotes",
      { messages: [user, { ...answer, weight: "1" }] },
      ', messages[1].weight: must be 0 or 1, not "1"',
    ],
    [
      "a weight on a question",
      { messages: [{ ...user, weight: 1 }, answer] },
      ", messages[0].weight: is allowed in assistant messages only",
    ],
    [
      "tool calls of a user",
      { messages: [{ ...user, tool_calls: [call] }, answer] },
      ", messages[0].tool_calls: is allowed in assistant messages only",
    ],
    [
      "tool calls that are no array",
      { messages: [user, { role: "assistant", tool_calls: call }] },
      ", messages[1].tool_calls: must be an array, not an object",
    ],
    [
      "tool calls that are empty",
      { messages: [user, { role: "assistant", tool_calls: [] }] },
      ", messages[1].tool_calls: must not be empty",
    ],
    [
      "a tool call without its parts",
      { messages: [user, { role: "assistant", tool_calls: [{}] }] },
      ", messages[1].tool_calls[0].id: is missing",
      ', messages[1].tool_calls[0].type: must be "function", not missing',
      ", messages[1].tool_calls[0].function: is missing",
    ],
    [
      "arguments that are not JSON text",
      {
        messages: [
          user,
          { role: "assistant", tool_calls: [{ ...call, function: { name: "f", arguments: {} } }] },
        ],
      },
      ", messages[1].tool_calls[0].function.arguments: must be a string, not an object",
    ],
    [
      "a function call without arguments",
      { messages: [user, { role: "assistant", function_call: { name: "f" } }] },
      ", messages[1].function_call.arguments: is missing",
    ],
    [
      "a refusal that is no string",
      { messages: [user, { role: "assistant", refusal: 5 }] },
      ", messages[1].refusal: must be a string, not 5",
    ],
    [
      "a result of a call that was never made",
      { messages: [...toolTurn, { ...toolResult, tool_call_id: "call_2" }, answer] },
      ', messages[2].tool_call_id: is "call_2", which no tool call before it has',
    ],
    [
      "a result that comes before its call",
      { messages: [toolResult, ...toolTurn] },
      ', messages[0].tool_call_id: is "call_1", which no tool call before it has',
    ],
    [
      "a result without an id",
      { messages: [...toolTurn, { role: "tool", content: "Rhine" }, answer] },
      ", messages[2].tool_call_id: is missing",
    ],
    [
      "a function's result without its name",
      { messages: [{ role: "function", content: "Rhine" }, answer] },
      ", messages[0].name: is missing",
    ],
    [
      "tools that are no array",
      { messages: [user, answer], tools: {} },
      ", tools: must be an array, not an object",
    ],
    [
      "a tool with a name that is too long",
      { messages: [user, answer], tools: [{ type: "function", function: { name: tooLong } }] },
      `, tools[0].function.name: must be 1 to 64 letters, digits, "_" or "-", not "${"x".repeat(39)}…"`,
    ],
    [
      "a function with a space in its name",
      { messages: [user, answer], functions: [{ name: "find river" }] },
      ', functions[0].name: must be 1 to 64 letters, digits, "_" or "-", not "find river"',
    ],
    [
      "a tool of another type",
      { messages: [user, answer], tools: [{ type: "retrieval", function: { name: "f" } }] },
      ', tools[0].type: must be "function", not "retrieval"',
    ],
    [
      "parallel_tool_calls in quotes",
      { messages: [user, answer], parallel_tool_calls: "false" },
      ', parallel_tool_calls: must be true or false, not "false"',
    ],
    [
      "the prompt-completion format",
      { prompt: "a", completion: "b" },
      " is in the prompt-completion format, but chat-formatted data is required. See https://platform.openai.com/docs/guides/fine-tuning/preparing-your-dataset for details.",
    ],
    [
      "the preference format",
      preference,
      ' is in the preference format of the method "dpo", not in the chat format',
    ],
  ];
  for (const [title, example, ...found] of cases) {
    test(title, async () => {
      expect(await findProblems(example)).toEqual(
        found.map((sentence) => `Invalid file format. Example 1${sentence}`),
      );
    });
  }

  const preferenceCases: readonly (readonly [
    title: string,
    example: unknown,
    ...found: string[],
  ])[] = [
    [
      "the chat format",
      { messages: [user, answer] },
      ' is in the chat format, not in the preference format of the method "dpo"',
    ],
    ["no key of the format", {}, ' is missing key "input".'],
    [
      "the keys of OpenAI's API reference",
      {
        input: preference.input,
        preferred_completion: [answer],
        non_preferred_completion: [answer],
      },
      ' is missing key "preferred_output"; rename "preferred_completion" to "preferred_output".',
      ' is missing key "non_preferred_output"; rename "non_preferred_completion" to "non_preferred_output".',
    ],
    ["no input", { ...preference, input: undefined }, ", input: is missing"],
    [
      "an input that is a string",
      { ...preference, input: "hi" },
      ', input: must be an object with messages, not "hi"',
    ],
    [
      "an input without messages",
      { ...preference, input: {} },
      ", input.messages: must be an array of messages, not missing",
    ],
    [
      "two preferred outputs",
      { ...preference, preferred_output: [answer, answer] },
      ", preferred_output: must be an array of exactly one message from the assistant",
    ],
    [
      "an output that is no array",
      { ...preference, non_preferred_output: answer },
      ", non_preferred_output: must be an array of exactly one message from the assistant",
    ],
    [
      "an output from the user",
      { ...preference, preferred_output: [user] },
      ', preferred_output[0]: must be from the assistant, not "user"',
    ],
    [
      "a tool without a name",
      {
        ...preference,
        input: { ...preference.input, tools: [{ type: "function", function: {} }] },
      },
      ", input.tools[0].function.name: is missing",
    ],
  ];
  for (const [title, example, ...found] of preferenceCases) {
    test(`${title} in a file for dpo`, async () => {
      expect(await findProblems(example, "dpo")).toEqual(
        found.map((sentence) => `Invalid file format. Example 1${sentence}`),
      );
    });
  }

  test("an answer as the last message of a file for reinforcement", async () => {
    expect(await findProblems({ messages: [user, answer] }, "reinforcement")).toEqual([
      'Invalid file format. Example 1, messages[1]: the last message must be from the user or developer, not "assistant"',
    ]);
  });
});

describe("checkDataset() reads lines", () => {
  const good = JSON.stringify({ messages: [user, answer] });

  test("blank lines are skipped and counted, CRLF and a missing last line feed are fine", async () => {
    const { examples, problems } = await check(`${good}\r\n\r\n \t\n{"a":1}\r\n${good}`);
    expect(examples).toBe(3);
    expect(problems).toEqual([
      {
        line: 4,
        path: "",
        code: "missing_messages_list",
        message: 'Invalid file format. Example 2 is missing key "messages".',
      },
    ]);
  });

  test("an empty file and a file of blank lines have no examples", async () => {
    for (const content of ["", "\n\n", "\r\n"]) {
      const { examples, problems } = await check(content);
      expect(examples).toBe(0);
      expect(problems).toEqual([
        {
          line: null,
          path: "",
          code: "invalid_n_examples",
          message: "Training file has 0 example(s), but must have at least 1 example",
        },
      ]);
    }
  });

  test("a byte order mark is fine at the start of the file only", async () => {
    const mark = [0xef, 0xbb, 0xbf];
    expect((await check(joinBytes(mark, `${good}\n${good}`))).problemCount).toBe(0);
    const { problems } = await check(joinBytes(mark, `${good}\n`, mark, good));
    expect(problems.map((problem) => problem.line)).toEqual([2]);
  });

  test("a line that is no object, no JSON or cut off is named by its number", async () => {
    const { examples, problems } = await check(`[1]\n"text"\nnull\n{"messages": [{"role\n`);
    const rule = "Expected file to have JSONL format, where every line is a valid JSON dictionary.";
    expect(examples).toBe(4);
    expect(problems.map((problem) => problem.message)).toEqual([
      `${rule} Line 1 is not a dictionary (starts with: "[1]").`,
      `${rule} Line 2 is not a dictionary (starts with: ""text"").`,
      `${rule} Line 3 is not a dictionary (starts with: "null").`,
      `${rule} Line 4 is not valid JSON: Unterminated string (starts with: "{"messages": [{"role").`,
    ]);
  });

  test("bytes that are not UTF-8 are found, not replaced", async () => {
    const cutEmoji = joinBytes(`${good}\n{"a":"`, [0xf0, 0x9f, 0x98], `"}\n${good}`);
    const overlong = joinBytes(`${good}\n{"a":"`, [0xc0, 0xaf], `"}\n${good}`);
    const latin1 = joinBytes(`${good}\n{"a":"caf`, [0xe9], `"}\n${good}`);
    for (const content of [cutEmoji, overlong, latin1]) {
      const { examples, problems } = await check(content);
      expect(examples).toBe(3);
      expect(problems.map(({ line, message }) => [line, message])).toEqual([
        [
          2,
          "Expected file to have JSONL format, where every line is a valid JSON dictionary. Line 2 is not valid UTF-8.",
        ],
      ]);
    }
  });

  test("only the first 100 problems are kept and all are counted", async () => {
    const { examples, problems, problemCount } = await check("{}\n".repeat(120));
    expect({ examples, problemCount }).toEqual({ examples: 120, problemCount: 120 });
    expect(problems.map((problem) => problem.line)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });

  test("JSON that is nested a hundred thousand deep is a problem of its line only", async () => {
    const { problems } = await check(`${"[".repeat(100_000)}\n${good}`);
    expect(problems.map((problem) => problem.line)).toEqual([1]);
  });

  test("keys such as __proto__ and constructor are data", async () => {
    const example = '{"__proto__":{"messages":[]},"constructor":1}';
    const { problems } = await check(example);
    expect(problems[0]?.message).toBe('Invalid file format. Example 1 is missing key "messages".');
  });

  test("a file on disk of many chunks is read exactly", async () => {
    const path = join(directory, "large.jsonl");
    const line = JSON.stringify({
      messages: [user, { role: "assistant", content: "🙂é漢".repeat(40) }],
    });
    const huge = JSON.stringify({
      messages: [user, { role: "assistant", content: "🙂".repeat(300_000) }],
    });
    await Bun.write(path, `${`${line}\n`.repeat(3000)}${huge}\n{}\n`);
    const { examples, errors } = await checkDataset(Bun.file(path), {}, signal);
    expect(examples).toBe(3002);
    expect(errors.first.map(({ line }) => line)).toEqual([3002]);
    const lines = await collectLines(Bun.file(path));
    expect(new Set(lines.map(({ text }) => text))).toEqual(new Set([line, huge, "{}"]));
  });

  test("a file that is missing is an error", async () => {
    const missing = Bun.file(join(directory, "missing.jsonl"));
    await expect(checkDataset(missing, {}, signal)).rejects.toThrow("ENOENT");
  });

  test("a message never cuts a character in two", async () => {
    const text = `${"x".repeat(18)}🙂🙂`;
    const contents = [
      `"${text}"`,
      `"x${text}"`,
      `{"messages":[{"role":"${"x".repeat(38)}🙂🙂"}]}`,
      `{"messages":[{"role":"${"x".repeat(37)}🙂🙂"}]}`,
      '{"messages":[{"role":"\\ud83d"}]}',
      "{🙂",
    ];
    const { problems } = await check(contents.join("\n"));
    expect(problems.filter(({ message }) => !message.isWellFormed())).toEqual([]);
    expect(new Set(problems.map(({ line }) => line)).size).toBe(contents.length);
    expect(problems[0]?.message).toEndWith(`(starts with: ""${"x".repeat(18)}�").`);
  });

  test("the check of one example ends after 20 problems, and says so", async () => {
    const bad = (count: number) => JSON.stringify({ messages: Array(count).fill({}) });
    const { problems, problemCount } = await check(`${bad(19)}\n${bad(9000)}\n${good}`);
    // Besides its messages, the first one lacks an answer at the end.
    expect(problemCount).toBe(20 + 21);
    expect(problems[19]?.message).toStartWith("Invalid file format. Example 1, messages[18]: ");
    expect(problems[39]?.message).toStartWith("Invalid file format. Example 2, messages[19].role:");
    expect(problems[40]).toEqual({
      line: 2,
      path: "",
      code: "too_many_problems",
      message:
        "Invalid file format. Example 2 has more than 20 problems; the rest of it was not checked",
    });
  });

  test("parts, tools and calls without end are not gone through after 20 problems", async () => {
    const many = Array(30).fill({});
    for (const example of [
      { messages: [{ role: "user", content: many }, answer] },
      { messages: [user, answer], tools: many },
      { messages: [user, answer], functions: many },
      { messages: [user, { role: "assistant", tool_calls: many }] },
    ]) {
      const found = await findProblems(example);
      expect(found.length).toBe(21);
      expect(found.at(-1)).toContain("has more than 20 problems");
    }
  });

  test("more than 10000 messages are one problem", async () => {
    const valid = { messages: Array(10_000).fill(answer) };
    expect(await findProblems(valid)).toEqual([]);
    const invalid = { messages: Array(10_001).fill({}) };
    const sentence = "messages: must hold at most 10000 messages, not 10001";
    expect(await findProblems(invalid)).toEqual([`Invalid file format. Example 1, ${sentence}`]);
    const preferred = { ...preference, input: invalid };
    expect(await findProblems(preferred, "dpo")).toEqual([
      `Invalid file format. Example 1, input.${sentence}`,
    ]);
  });

  test("a line of more than a million values is refused before it is parsed", async () => {
    const rule = "Expected file to have JSONL format, where every line is a valid JSON dictionary.";
    const contents = [
      `{"messages":[${"{},".repeat(1_000_001)}{}]}`,
      `{"messages":${"[".repeat(1_100_000)}`,
      `{"a":"\\\\","b":[0${",0".repeat(1_000_001)}]}`,
    ];
    const { examples, problems } = await check(`${contents.join("\n")}\n${good}`);
    expect(examples).toBe(4);
    expect(problems.map(({ message }) => message)).toEqual(
      [1, 2, 3].map(
        (line) =>
          `${rule} Line ${line} has more than 1000000 commas and opening brackets outside of strings.`,
      ),
    );
  });

  test("a text of millions of commas and brackets, with quotes in it, is one value", async () => {
    const content = `\\"${'{[,,\\\\"'.repeat(400_000)}`;
    expect(await findProblems({ messages: [user, { role: "assistant", content }] })).toEqual([]);
  });

  test("an aborted signal ends the check with its reason", async () => {
    const reason = new Error("stopped by the test");
    const aborted = AbortSignal.abort(reason);
    await expect(checkDataset(new Blob([good]), {}, aborted)).rejects.toBe(reason);
  });

  test("other work of the process goes on between the chunks", async () => {
    const content = new Blob([`${good}\n`.repeat(100)]);
    let ran = false;
    setImmediate(() => {
      ran = true;
    });
    await checkDataset(content, {}, signal);
    expect(ran).toBe(true);
  });

  test("other work goes on again and again in a large piece without any line", async () => {
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const { examples } = await check("\n".repeat(8 * 1024 * 1024));
    isDone = true;
    expect(examples).toBe(0);
    expect(turns).toBeGreaterThan(8);
  });

  test("many blank lines of any kind count, and are not examples", async () => {
    const blank = "\n\r\n \t \n\r\r\n".repeat(100_000);
    const { examples, problems } = await check(`${blank}${good}\n${blank}{}`);
    expect(examples).toBe(2);
    expect(problems.map(({ line }) => line)).toEqual([800_002]);
  });
});

describe("LineSplitter", () => {
  const text = '\ufeff{"a":"🙂é"}\r\n\n{"b":"漢字"}\n\n\n{"c":"👩‍👩‍👧"}';
  const expected = [
    [1, '{"a":"🙂é"}\r'],
    [3, '{"b":"漢字"}'],
    [6, '{"c":"👩‍👩‍👧"}'],
  ];

  function split(...chunks: readonly Uint8Array[]) {
    const splitter = new LineSplitter();
    const lines = [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.finish()];
    return lines.map(({ line, bytes }) => [line, bytes && new TextDecoder().decode(bytes)]);
  }

  test("any split of the bytes in two or three gives the same lines", () => {
    const bytes = new TextEncoder().encode(text);
    for (let first = 0; first <= bytes.length; first += 1) {
      expect(split(bytes.subarray(0, first), bytes.subarray(first))).toEqual(expected);
      for (let second = first; second <= bytes.length; second += 1) {
        const chunks = [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ];
        expect(split(...chunks)).toEqual(expected);
      }
    }
  });

  test("byte by byte gives the same lines", () => {
    expect(
      split(...[...new TextEncoder().encode(text)].map((byte) => new Uint8Array([byte]))),
    ).toEqual(expected);
  });

  test("a line over the limit is dropped, reported and does not hurt its neighbours", () => {
    const splitter = new LineSplitter(8);
    const encoder = new TextEncoder();
    const lines = ["{}\n1234", "5678", "9\n12345678\n"].flatMap((part) =>
      splitter.push(encoder.encode(part)),
    );
    expect(lines.map(({ line, bytes }) => [line, bytes?.length ?? null])).toEqual([
      [1, 2],
      [2, null],
      [3, 8],
    ]);
    expect(parseLine({ line: 2, bytes: null })).toEqual({
      broken: "Line 2 is longer than 64 MiB",
    });
  });
});

test("a line of more than 64 MiB is a problem of its own", async () => {
  const limit = 64 * 1024 * 1024;
  const rule = "Expected file to have JSONL format, where every line is a valid JSON dictionary.";
  const bytes = new Uint8Array(2 * limit + 8).fill(0x78);
  bytes[limit] = 0x0a;
  bytes.set([0x0a, 0x7b, 0x7d], 2 * limit + 2);
  bytes.fill(0x20, 2 * limit + 5);
  const { examples, problems } = await check(bytes);
  expect(examples).toBe(3);
  expect(problems.map(({ message }) => message)).toEqual([
    `${rule} Line 1 is not valid JSON: Unexpected identifier "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx (starts with: "xxxxxxxxxxxxxxxxxxxx").`,
    `${rule} Line 2 is longer than 64 MiB.`,
    'Invalid file format. Example 3 is missing key "messages".',
  ]);
});

describe("readLines()", () => {
  test("gives the text, the value and the number of every line that is not blank", async () => {
    const lines = [];
    for await (const line of readLines(new Blob(['{"a":1}\n\n[2] \r\n']))) lines.push(line);
    expect(lines).toEqual([
      { line: 1, text: '{"a":1}', value: { a: 1 } },
      { line: 3, text: "[2] \r", value: [2] },
    ]);
  });

  test("throws for the first line that is not JSON or not UTF-8", async () => {
    for (const [content, message] of [
      [
        joinBytes('{}\n\n{"a"'),
        'Line 3 is not valid JSON: Expected \':\' before value in object property definition (starts with: "{"a"")',
      ],
      [joinBytes("{}\n", [0xff]), "Line 2 is not valid UTF-8"],
    ] as const) {
      const error = await collectLines(new Blob([content])).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DatasetLineError);
      expect(error).toHaveProperty("message", message);
    }
  });
});

test("checkDataset() survives lines with any byte changed", async () => {
  const bytes = joinBytes(
    JSON.stringify({ messages: [...toolTurn, toolResult, { ...answer, weight: 1 }] }),
  );
  for (const method of ["supervised", "dpo", "reinforcement"] as const) {
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Uint8Array.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 0x11;
      const { problems, problemCount } = await check(changed, method);
      expect(problems.length).toBe(Math.min(problemCount, 100));
    }
  }
});
