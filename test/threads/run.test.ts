import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import packageFile from "../../package.json";
import { runTask, threadCount } from "../../src/threads/run.ts";

const { signal } = new AbortController();

describe("the gateway's threads", () => {
  test("check datasets and count tokens, and tell how far the check is", async () => {
    const answer = { role: "assistant", content: "Hi" };
    const line = JSON.stringify({ messages: [{ role: "user", content: "Hello" }, answer] });
    const content = new Blob([`${line}\n`.repeat(12)]);
    const amounts: number[] = [];
    const onProgress = (bytes: number) => amounts.push(bytes);
    const input = { content, options: {} };
    const report = await runTask("check", input, { signal, onProgress, urgent: true });
    expect(report).toMatchObject({ format: "chat", examples: 12, bytes: content.size });
    expect(amounts.at(-1)).toBe(content.size);

    const how = { isStart: true, tokenizer: "o200k_base", format: "chat", limit: null } as const;
    const figures = await runTask("tokens", { content, ...how }, { signal });
    expect(figures).toMatchObject({ examples: 12, total: 12 * 13, lineFeeds: 12 });
  });

  test("are one at least and four at most", () => {
    expect(threadCount).toBeGreaterThanOrEqual(1);
    expect(threadCount).toBeLessThanOrEqual(4);
  });

  test("are all built into the executable", async () => {
    const root = join(import.meta.dir, "../..");
    const files = await Array.fromAsync(new Bun.Glob("src/**/worker.ts").scan({ cwd: root }));
    expect(files.length).toBeGreaterThan(0);
    const entryPoints = packageFile.scripts.build.split(" ");
    for (const file of files) expect(entryPoints).toContain(file);
  });
});
