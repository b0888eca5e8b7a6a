import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { runProgram } from "../processes.ts";
import type { Row } from "../rows/row.ts";
import type { Bench } from "../run.ts";

const program = join(import.meta.dir, "work.ts");
const Outcome = v.object({ examples: v.number(), seconds: v.number(), memory: v.number() });

/** A row about one file and one way to read it; "direct" is a plain loop of `JSON.parse`. */
interface DatasetRow extends Row {
  readonly way: "check" | "convert";
  readonly bytes: number;
}

/** The rows about datasets; they need no server. */
export function makeDatasetRows(quick: boolean): readonly DatasetRow[] {
  const sizes = quick ? [20] : [200, 512];
  return sizes.flatMap((size) => [
    makeRow("check", size, "check a dataset"),
    makeRow("convert", size, "convert a dataset to Gemini's format"),
  ]);
}

function makeRow(way: DatasetRow["way"], size: number, what: string): DatasetRow {
  return {
    id: `${way}-${size}m`,
    title: `${what} of ${size} MB (direct: JSON.parse of each line)`,
    route: "dataset",
    headline: ["throughput", "memory"],
    measure: async () => ({}),
    way,
    bytes: size * 1e6,
  };
}

/** Measures the rows, each way in a process of its own. */
export async function measureDatasets(rows: readonly DatasetRow[], bench: Bench): Promise<void> {
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const { id, way, bytes } of rows) {
      bench.report(`datasets, round ${round + 1} of ${bench.rounds}: ${id}`);
      const { path, examples } = await prepareDataset(bench.place.cache, bytes);
      for (const [target, own] of [
        ["direct", "parse"],
        ["tunegate", way],
      ] as const) {
        try {
          const command = [process.execPath, program, own, path];
          const text = await runProgram({ command, directory: import.meta.dir });
          const outcome = v.parse(Outcome, JSON.parse(text));
          if (outcome.examples !== examples) throw new Error(`${outcome.examples} examples`);
          const { seconds, memory } = outcome;
          bench.results.add(id, target, { throughput: bytes / seconds, memory });
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          bench.results.fail(id, target, "failed", reason);
        }
      }
    }
  }
}

/** Ordinary conversations of about 1 kB, no two the same, kept from run to run. */
async function prepareDataset(cache: string, bytes: number) {
  const path = join(cache, `chat-${bytes / 1e6}.jsonl`);
  const first = makeExample(0);
  const examples = Math.round(bytes / first.length);
  if (existsSync(path)) return { path, examples };
  const writer = Bun.file(`${path}.part`).writer();
  for (let at = 0; at < examples; at += 1) {
    writer.write(makeExample(at));
    if (at % 10_000 === 0) await writer.flush();
  }
  await writer.end();
  await rename(`${path}.part`, path);
  return { path, examples };
}

const words = "the quick brown fox jumps over a lazy dog while seven wizards mix it up".split(" ");

function makeExample(number: number): string {
  // The number has one length, so that all lines have.
  const name = String(number).padStart(9, "0");
  const text = (length: number, step: number) =>
    Array.from({ length }, (_, at) => words[(at * step + number) % words.length]?.padEnd(5, "s"))
      .join(" ")
      .slice(0, length * 5);
  const messages = [
    { role: "system", content: "You are a helpful assistant that answers in one sentence." },
    { role: "user", content: `Question ${name}: ${text(60, 3)}?` },
    { role: "assistant", content: `Answer ${name}: ${text(90, 5)}.` },
  ];
  return `${JSON.stringify({ messages })}\n`;
}
