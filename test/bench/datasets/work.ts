import { readFileSync } from "node:fs";
import { checkDataset } from "../../../src/dataset/check/check.ts";
import { convertToGemini } from "../../../src/dataset/gemini/convert.ts";

// Reads a dataset once, in one of three ways, and prints what that took. A process of its own, so
// that each way begins with the same memory.

const [way = "", path = ""] = process.argv.slice(2);
const content = Bun.file(path);
const { signal } = new AbortController();

const ways: Readonly<Record<string, () => Promise<number>>> = {
  parse: parseLines,
  async check() {
    const report = await checkDataset(content, {}, signal);
    if (report.errors.count > 0) throw new Error(JSON.stringify(report.errors.first[0]));
    return report.examples;
  },
  async convert() {
    const options = { onUnsupported: "refuse", storeMedia: async () => "" } as const;
    const { lines, report } = convertToGemini(content, options, signal);
    for await (const _ of lines);
    return report().examples;
  },
};

/** What every reader of such a file has to do at the least. */
async function parseLines(): Promise<number> {
  let examples = 0;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of content.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") continue;
      JSON.parse(line);
      examples += 1;
    }
  }
  return examples;
}

function readPeak(): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(peak ?? 0) * 1024;
}

const idle = process.memoryUsage.rss();
const started = performance.now();
const examples = (await ways[way]?.()) ?? 0;
const seconds = (performance.now() - started) / 1000;
process.stdout.write(JSON.stringify({ examples, seconds, memory: readPeak() - idle }));
