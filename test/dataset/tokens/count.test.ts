import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type CountOptions, countTokens, cutRanges } from "../../../src/dataset/tokens/count.ts";
import { Figures } from "../../../src/dataset/tokens/figures.ts";
import { countRange } from "../../../src/dataset/tokens/range.ts";
import { makeDirectory } from "../../support/directory.ts";
import { conversations, countConversation, counts } from "./reference.ts";

const chat = { tokenizer: "o200k_base", limit: null, format: "chat" } as const;
const { signal } = new AbortController();
const ignore = () => undefined;

function count(content: Blob, options: CountOptions = chat) {
  return countTokens(content, options, ignore, signal);
}

function writeLines(examples: readonly unknown[]): string {
  return examples.map((example) => `${JSON.stringify(example)}\n`).join("");
}

describe("the tokens of a file", () => {
  test("are those of its examples, by either encoding, from a disk and from memory", async () => {
    const directory = makeDirectory();
    try {
      const path = join(directory.path, "file.jsonl");
      const text = writeLines(conversations);
      await Bun.write(path, text);
      for (const tokenizer of ["o200k_base", "cl100k_base"] as const) {
        const all = conversations.map((one) => 3 + countConversation(one, counts[tokenizer]));
        const total = all.reduce((sum, one) => sum + one, 0);
        const limit = 60;
        const expected = {
          status: "done",
          tokenizer,
          estimated: false,
          limit,
          total,
          billable: all.reduce((sum, one) => sum + Math.min(limit, one), 0),
          max: Math.max(...all),
          mean: total / all.length,
          over_limit: all.filter((one) => one > limit).length,
          longest: all
            .map((tokens, index) => ({ line: index + 1, tokens }))
            .sort((a, b) => b.tokens - a.tokens),
          media_not_counted: 1,
        } as const;
        expect(await count(Bun.file(path), { ...chat, tokenizer, limit })).toEqual(expected);
        expect(await count(new Blob([text]), { ...chat, tokenizer, limit })).toEqual(expected);
        const atHand = await count(new Blob([text]), { ...chat, tokenizer });
        expect(atHand).toMatchObject({ limit: null, billable: total, over_limit: 0 });
      }
    } finally {
      directory.remove();
    }
  });

  test("are the same for any cut of its bytes", async () => {
    const broken = [
      "not json",
      "",
      "  ",
      "[]",
      '{"messages": 1}',
      "\ufeff{}",
      '\ufeff{"messages":[]}',
    ];
    const lines = conversations.flatMap((one, index) => [JSON.stringify(one), broken[index] ?? ""]);
    const text = `\ufeff${[...lines, ...broken, ...lines].join("\r\n")}`;
    const content = new Blob([text]);
    const input = { tokenizer: "o200k_base", format: "chat", limit: 40 } as const;
    const whole = await countRange({ ...input, content, isStart: true }, signal);
    expect(whole.examples).toBe(2 * conversations.length);
    for (const bytes of [1, 2, 50, 333, 4_000, content.size - 1, content.size, 1e9]) {
      const figures = new Figures(input.limit);
      let lineFeeds = 0;
      let end = 0;
      for await (const range of cutRanges(content, bytes)) {
        expect(range.start).toBe(end);
        end = range.end;
        const part = { content: content.slice(range.start, end), isStart: range.start === 0 };
        const found = await countRange({ ...input, ...part }, signal);
        figures.addFigures(found, lineFeeds);
        lineFeeds += found.lineFeeds;
      }
      expect(end).toBe(content.size);
      expect({ bytes, ...figures, lineFeeds }).toEqual({ bytes, ...whole });
    }
  });

  test("of several ranges are added up with the lines that are the longest of all", async () => {
    const line = (size: number) => {
      const content = "word ".repeat(size);
      return `${JSON.stringify({ messages: [{ role: "user", content }] })}\n`;
    };
    const sizes = Array.from({ length: 40 }, (_, index) => ((index * 7) % 40) * 1_500);
    const text = sizes.map(line).join("");
    const directory = makeDirectory();
    try {
      const path = join(directory.path, "file.jsonl");
      await Bun.write(path, text);
      const progress: number[] = [];
      const found = await countTokens(Bun.file(path), chat, (done) => progress.push(done), signal);
      expect(progress.length).toBeGreaterThan(1);
      expect(progress.at(-1)).toBe(text.length);
      expect(progress.toSorted((a, b) => a - b)).toEqual(progress);
      const longest = sizes
        .map((size, index) => ({ line: index + 1, size }))
        .sort((a, b) => b.size - a.size)
        .slice(0, 10);
      expect(found.longest?.map((one) => one.line)).toEqual(longest.map((one) => one.line));
      expect(found).toEqual(await count(new Blob([text])));
    } finally {
      directory.remove();
    }
  }, 30_000);

  test("name the first lines of those of one length", async () => {
    const same = { messages: [{ role: "user", content: "same" }] };
    const found = await count(new Blob([writeLines(Array.from({ length: 30 }, () => same))]));
    expect(found.longest?.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("count an example once whose pairs are billed with the prompt twice", async () => {
    const [message] = [{ role: "user", content: "Hello there" }];
    const output = [{ role: "assistant", content: "Hi" }];
    const pair = {
      input: { messages: [message] },
      preferred_output: output,
      non_preferred_output: output,
    };
    const content = new Blob([writeLines([pair])]);
    const found = await count(content, { ...chat, format: "preference" });
    const [prompt, answer] = [3 + 3 + 1 + 2, 3 + 1 + 1];
    expect(found).toMatchObject({
      total: prompt + 2 * answer,
      billable: 2 * (prompt + answer),
      over_limit: 0,
    });
    const limit = prompt + 1;
    const cut = await count(content, { ...chat, format: "preference", limit });
    expect(cut).toMatchObject({ billable: 2 * limit, over_limit: 1 });
  });

  test("are estimated where the model's tokenizer is another one", async () => {
    const content = new Blob([writeLines([{ contents: [{ role: "user", parts: [] }] }])]);
    for (const format of ["gemini_chat", "gemini_preference", "gemini_reinforcement"] as const) {
      expect(await count(content, { ...chat, format })).toMatchObject({ estimated: true });
    }
    expect(await count(content, { ...chat, estimated: true })).toMatchObject({ estimated: true });
  });

  test("are none of files that hold no example", async () => {
    const none = { total: 0, billable: 0, max: 0, mean: 0, over_limit: 0, longest: [] };
    for (const text of ["", "\n", "\ufeff", " \r\n\n", "no json", "{}\n{}\n", '{"messages":']) {
      expect(await count(new Blob([text]))).toMatchObject(none);
    }
    expect(await count(new Blob([Uint8Array.of(0xff, 0xfe, 0x0a, 0x00)]))).toMatchObject(none);
  });

  test("stop with the signal, and are counted again afterwards", async () => {
    const line = writeLines([{ messages: [{ role: "user", content: "word ".repeat(100_000) }] }]);
    const content = new Blob([line.repeat(20)]);
    const aborting = new AbortController();
    const reason = new Error("gone");
    const onProgress = () => aborting.abort(reason);
    let failure: unknown;
    await countTokens(content, chat, onProgress, aborting.signal).catch((error) => {
      failure = error;
    });
    expect(failure).toBe(reason);
    for (const one of [content, new Blob([])]) {
      const early = countTokens(one, chat, ignore, AbortSignal.abort(reason));
      expect(await early.catch((error) => error)).toBe(reason);
    }
    expect((await count(new Blob([line]))).total).toBe(3 + 3 + 1 + 100_001);
  }, 30_000);

  test("reject with the error of a file that cannot be read", async () => {
    const directory = makeDirectory();
    try {
      const path = join(directory.path, "file.jsonl");
      await Bun.write(path, "{}\n");
      const content = Bun.file(path);
      expect(content.size).toBe(3);
      await rm(path);
      for (const missing of [content, Bun.file(path)]) {
        const failure = await count(missing).catch((error) => error);
        expect(String(failure)).toContain("ENOENT");
      }
    } finally {
      directory.remove();
    }
  });
});
