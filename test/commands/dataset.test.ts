import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory } from "../support/directory.ts";

let directory: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  directory = makeDirectory();
});
afterEach(() => directory.remove());

const main = join(import.meta.dir, "../../src/main.ts");

async function run(...words: readonly string[]) {
  const child = Bun.spawn([process.execPath, "--no-env-file", main, "dataset", ...words], {
    cwd: directory.path,
    env: { PATH: process.env.PATH ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { stdout, stderr, code: await child.exited };
}

async function write(name: string, lines: readonly string[]): Promise<void> {
  await Bun.write(join(directory.path, name), `${lines.join("\n")}\n`);
}

function makeExample(number: number, assistant: object = { content: `It is ${number}.` }): string {
  return JSON.stringify({
    messages: [
      { role: "user", content: `What is ${number}?` },
      { role: "assistant", ...assistant },
    ],
  });
}

const examples = (count: number) => Array.from({ length: count }, (_, at) => makeExample(at));

describe("tunegate dataset check", () => {
  test("prints what a good file holds, and ends with 0", async () => {
    await write("train.jsonl", examples(12));
    const { stdout, stderr, code } = await run("check", "train.jsonl");
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^train\.jsonl: chat format, 12 examples, \d\.\d kB$/);
    expect(lines[1]).toBe("  messages  12 user, 12 assistant");
    expect(lines[2]).toMatch(
      /^ {2}tokens {4}\d+ in all, \d+ an example, \d+ at most \(line \d+\), /,
    );
    expect(lines.slice(3)).toEqual(["  errors    none", "  warnings  none"]);
  });

  test("shows no control characters of a file, nor costs of one without tokens", async () => {
    await write("train.jsonl", ["\u001b[2Jhello \u202e\u009b"]);
    await write("config.yaml", [
      "finetune_settings: [{ custom_llm_provider: openai, api_key: sk-abc }]",
    ]);
    const { stdout, code } = await run("check", "train.jsonl");
    expect(code).toBe(1);
    expect(stdout).toContain('(starts with: "\\u001b[2Jhello \\u202e\\u009b")');
    expect(stdout).not.toContain("estimated cost");
  });

  test("refuses what is no regular file, which it could read only once", async () => {
    const { stdout, stderr, code } = await run("check", ".");
    expect({ stdout, stderr, code }).toEqual({
      stdout: "",
      stderr: 'Cannot read ".": it is no regular file; save it as one\n',
      code: 1,
    });
  });

  test("prints each error with its line, and ends with 1", async () => {
    await write("train.jsonl", [...examples(11), "", "{broken", makeExample(3, { weight: 2 })]);
    const { stdout, code } = await run("check", "train.jsonl", "--backend", "openai");
    expect(code).toBe(1);
    expect(stdout).toContain("\n    line 13   ");
    expect(stdout).toContain("\n    line 14   ");
    expect(stdout).toContain("(invalid_file_format)");
  });

  test("takes a file with too few examples for no training file", async () => {
    await write("train.jsonl", examples(9));
    const { stdout, code } = await run("check", "train.jsonl", "--backend", "openai");
    expect(code).toBe(1);
    expect(stdout).toContain(
      "    file      Training file has 9 example(s), but must have at least 10 examples (invalid_n_examples)",
    );
  });

  test("checks the validation file too, and counts what both have", async () => {
    await write("train.jsonl", examples(12));
    await write("valid.jsonl", [makeExample(100), makeExample(4), makeExample(5)]);
    const { stdout, code } = await run("check", "train.jsonl", "--validation", "valid.jsonl");
    expect(code).toBe(0);
    expect(stdout).toContain("\nvalid.jsonl: chat format, 3 examples, ");
    expect(stdout).toEndWith("\n2 of these examples are in both files; the first is its line 2\n");
  });

  test("prints what a run costs at each configured backend, where its price is known", async () => {
    await write("train.jsonl", examples(100));
    await Bun.write(
      join(directory.path, "config.yaml"),
      `finetune_settings:
  - { custom_llm_provider: openai, api_key: sk-1 }
  - { custom_llm_provider: local }
prices:
  - { model: tiny-lm, backend: local, usd_per_million_tokens: 2 }
`,
    );
    const { stdout, code } = await run("check", "train.jsonl", "--model", "tiny-lm");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n {2}backend {2}model {4}epochs {2}tokens {2}estimated cost\n/);
    expect(stdout).toMatch(/\n {2}openai {3}tiny-lm .*No price of training "tiny-lm" is known/);
    expect(stdout).toMatch(/\n {2}local {4}tiny-lm {2}3 +[\d,]+ +\$0\.01\n/);
    const priced = await run("check", "train.jsonl", "--backend", "openai");
    expect(priced.stdout).toMatch(/\n {2}openai {3}gpt-4o-mini\S* +3 +[\d,]+ +\$0\.0\d\n/);
  });

  test("prints JSON where that is asked for", async () => {
    await write("train.jsonl", [...examples(11), "{broken"]);
    const { stdout, code } = await run("check", "train.jsonl", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      training: {
        examples: 12,
        errors: { count: 1, first: [{ line: 12 }] },
        tokens: { status: "done" },
      },
      costs: [],
    });
  });

  test("says what is wrong with its command line", async () => {
    await write("train.jsonl", examples(1));
    for (const [words, message] of [
      [["check"], 'Cannot run "dataset": check needs a file; see tunegate dataset --help'],
      [["chek", "x"], '"chek" is no action'],
      [["check", "none.jsonl"], 'Cannot read "none.jsonl": there is no such file'],
      [["check", "a", "b"], 'there is one file too many, "b"'],
      [["check", "train.jsonl", "--to", "gemini"], "check has no option --to"],
      [["check", "train.jsonl", "--backend", "azur"], 'Cannot check for "azur"'],
      [["convert", "train.jsonl"], "convert needs --to gemini"],
      [["convert", "train.jsonl", "--to", "gemini", "--json"], "convert has no option --json"],
      [["convert", "train.jsonl", "--to", "gemini", "--on-unsupported", "no"], "is refuse or warn"],
    ] as const) {
      const { stdout, stderr, code } = await run(...words);
      expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
      expect(stderr).toContain(message);
    }
    expect((await run("--help")).stdout).toContain("tunegate dataset check FILE");
  });
});

describe("tunegate dataset convert", () => {
  test("writes Gemini's format to standard output, or to a file", async () => {
    await write("train.jsonl", examples(2));
    const expected = [0, 1].map((number) => ({
      contents: [
        { role: "user", parts: [{ text: `What is ${number}?` }] },
        { role: "model", parts: [{ text: `It is ${number}.` }] },
      ],
    }));
    const piped = await run("convert", "train.jsonl", "--to", "gemini");
    expect(piped.code).toBe(0);
    const read = (text: string) =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    expect(read(piped.stdout)).toEqual(expected);
    const stored = await run("convert", "train.jsonl", "--to", "gemini", "--out", "out.jsonl");
    expect(stored).toEqual({ stdout: "out.jsonl: 2 examples\n", stderr: "", code: 0 });
    expect(read(await Bun.file(join(directory.path, "out.jsonl")).text())).toEqual(expected);
  });

  test("refuses what cannot be converted with its line, and leaves no half file", async () => {
    await write("train.jsonl", [...examples(2), makeExample(2, { content: "x", weight: 0 })]);
    const words = ["convert", "train.jsonl", "--to", "gemini", "--out", "out.jsonl"] as const;
    const refused = await run(...words);
    expect({ stdout: refused.stdout, code: refused.code }).toEqual({ stdout: "", code: 1 });
    expect(refused.stderr).toContain("ine 3");
    expect(readdirSync(directory.path)).toEqual(["train.jsonl"]);
    const warned = await run(...words, "--on-unsupported", "warn");
    expect(warned.code).toBe(0);
    expect(warned.stdout).toMatch(/^out\.jsonl: 3 examples, \d warnings\n$/);
    expect(warned.stderr).toStartWith("line 3: ");
  });
});
