import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "./client.ts";
import { exchange, writeHead } from "./load/exchange.ts";
import type { Results } from "./results.ts";
import type { Effort, Row } from "./rows/row.ts";
import { startRow } from "./rows/start.ts";
import type { Place, RunningTarget, Target } from "./targets/target.ts";
import { fileId } from "./upstream/objects.ts";
import { readMemory } from "./usage.ts";

/** Rows that are measured with the same targets, which run at the same time. */
export interface Group {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  /** Gets the directory of a target ready before each start; absent, it starts with an empty one. */
  readonly prepare?: (directory: string) => Promise<void>;
}

/** What groups are run with. */
export interface Bench {
  readonly client: Client;
  readonly results: Results;
  readonly effort: Effort;
  readonly rounds: number;
  /** The directory is the one above those of the targets. */
  readonly place: Place;
  /** Tells how far the measuring is. */
  readonly report: (progress: string) => void;
}

interface Runner {
  readonly target: Target;
  readonly running: RunningTarget;
  readonly startSeconds: number;
  idleBytes: number;
}

const settleSeconds = 1;
const startTimeoutSeconds = 120;

/**
 * Measures every row once in each round: all targets one after the other, each round beginning
 * with another one and with new processes.
 */
export async function runGroup(group: Group, bench: Bench): Promise<void> {
  for (let round = 0; round < bench.rounds; round += 1) {
    const progress = `${group.name}, round ${round + 1} of ${bench.rounds}`;
    bench.report(`${progress}: start`);
    const runners = await startTargets(group, bench);
    try {
      for (const row of group.rows) {
        if (row === startRow) continue;
        bench.report(`${progress}: ${row.id}`);
        const measure = (runner: Runner) => measureCell(bench, row, runner);
        if (row.together) await Promise.all(runners.map(measure));
        else for (const runner of rotate(runners, round)) await measure(runner);
      }
      if (round === 0) {
        bench.report(`${progress}: compare what arrived with what was sent`);
        for (const row of group.rows) {
          for (const runner of runners) await verifyCell(bench, row, runner);
        }
      }
    } finally {
      await Promise.all(runners.map(({ running }) => running.stop()));
    }
  }
}

async function startTargets(group: Group, bench: Bench): Promise<readonly Runner[]> {
  const runners: Runner[] = [];
  for (const target of group.targets) {
    const rows = group.rows.filter(({ route }) => target.routes.includes(route));
    const missing = rows.some(({ id }) => bench.results.get(id, target.name)?.status === "missing");
    if (missing || rows.length === 0) continue;
    try {
      runners.push(await startTarget(group, bench, target));
    } catch (error) {
      for (const { id } of rows) bench.results.fail(id, target.name, "missing", explain(error));
    }
  }
  await Bun.sleep(settleSeconds * 1000);
  for (const runner of runners) {
    const { target, running, startSeconds } = runner;
    if (running.process === undefined) continue;
    runner.idleBytes = readMemory(running.process.listPids(), "now");
    if (!group.rows.includes(startRow) || !target.routes.includes("start")) continue;
    bench.results.add(startRow.id, target.name, { start: startSeconds, idle: runner.idleBytes });
  }
  return runners;
}

async function startTarget(group: Group, bench: Bench, target: Target): Promise<Runner> {
  const directory = join(
    bench.place.directory,
    `${group.name}-${target.name}`.replace(/\W+/g, "-"),
  );
  if (group.prepare === undefined) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await group.prepare?.(directory);
  const started = performance.now();
  const running = await target.start({ ...bench.place, directory });
  try {
    await waitForAnswer(running);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { target, running, startSeconds: (performance.now() - started) / 1000, idleBytes: 0 };
}

/** Asks for a file again and again until the answer is right. */
async function waitForAnswer({ url, headers, process }: RunningTarget): Promise<void> {
  const path = `${url}/v1/files/${fileId(1000, "start")}`;
  const deadline = performance.now() + startTimeoutSeconds * 1000;
  let reason = "";
  while (performance.now() < deadline) {
    if (process?.isRunning() === false) throw new Error(`it ended: ${process.readLog()}`);
    try {
      const requests = [Buffer.from(writeHead("GET", path, headers))];
      const next = () => requests.shift();
      const onBody = () => undefined;
      const status = await exchange({ url: path, next, onBody, timeoutSeconds: 10 });
      if (status === 200) return;
      reason = `it answered ${status}`;
    } catch (error) {
      reason = explain(error);
    }
    await Bun.sleep(1);
  }
  throw new Error(`no right answer for ${startTimeoutSeconds} s: ${reason}`);
}

async function measureCell(bench: Bench, row: Row, runner: Runner): Promise<void> {
  const { target } = runner;
  if (!target.routes.includes(row.route)) return;
  if (bench.results.get(row.id, target.name)?.status === "failed") return;
  try {
    bench.results.add(row.id, target.name, await row.measure(makeSubject(bench, runner)));
  } catch (error) {
    bench.results.fail(row.id, target.name, "failed", explain(error));
  }
}

async function verifyCell(bench: Bench, row: Row, runner: Runner): Promise<void> {
  const { target } = runner;
  if (bench.results.get(row.id, target.name)?.status !== "measured") return;
  try {
    await row.verify?.(makeSubject(bench, runner));
  } catch (error) {
    bench.results.fail(row.id, target.name, "failed", explain(error));
  }
}

function makeSubject({ client, effort }: Bench, { running, idleBytes }: Runner) {
  return { target: running, client, effort, idleBytes };
}

function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
