import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Client, createClient } from "./client.ts";
import { exchange, writeHead } from "./load/exchange.ts";
import { startProcess } from "./processes.ts";
import type { Results } from "./results.ts";
import type { Effort, Row } from "./rows/row.ts";
import { startRow } from "./rows/start.ts";
import type { Ground, Place, RunningTarget, Target } from "./targets/target.ts";
import { fileId } from "./upstream/objects.ts";
import { readMemory } from "./usage.ts";

/** Rows that are measured with the same targets, which run at the same time. */
export interface Group {
  readonly name: string;
  /** Whether the proxy has a CPU for itself. */
  readonly pinned: boolean;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  /** Gets the directory of a target ready before each start; absent, it starts with an empty one. */
  readonly prepare?: (directory: string) => Promise<void>;
}

/** What groups are run with. */
export interface Bench {
  readonly results: Results;
  readonly effort: Effort;
  readonly rounds: number;
  /** The directory is the one above those of the targets. */
  readonly place: Ground;
  /** Tells how far the measuring is. */
  readonly report: (progress: string) => void;
}

/** A group with what its targets and rows work with. */
interface Setting extends Group, Bench {
  readonly place: Place;
  readonly client: Client;
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
  const layout = group.pinned ? bench.place.layout : { proxy: undefined, rest: undefined };
  const upstream = await startUpstream(`upstream of ${group.name}`, bench, layout.rest);
  const place = { ...bench.place, layout, upstream: upstream.url };
  try {
    await runRounds({ ...group, ...bench, place, client: createClient(layout) });
  } finally {
    await upstream.stop();
  }
}

async function startUpstream(name: string, { place }: Bench, cpu: number | undefined) {
  const program = join(import.meta.dir, "upstream/main.ts");
  const command = [process.execPath, program];
  const upstream = startProcess({ name, command, directory: place.directory, cpu });
  while (upstream.isRunning()) {
    const url = /listens on (\S+)/.exec(upstream.readLog())?.[1];
    if (url !== undefined) return { url, stop: upstream.stop };
    await Bun.sleep(10);
  }
  throw new Error(`Cannot start the upstream: ${upstream.readLog()}`);
}

async function runRounds(setting: Setting): Promise<void> {
  for (let round = 0; round < setting.rounds; round += 1) {
    const progress = `${setting.name}, round ${round + 1} of ${setting.rounds}`;
    setting.report(`${progress}: start`);
    const runners = await startTargets(setting);
    try {
      for (const row of setting.rows) {
        if (row === startRow) continue;
        setting.report(`${progress}: ${row.id}`);
        const measure = (runner: Runner) => measureCell(setting, row, runner);
        if (row.together) await Promise.all(runners.map(measure));
        else for (const runner of rotate(runners, round)) await measure(runner);
      }
      if (round === 0) {
        setting.report(`${progress}: compare what arrived with what was sent`);
        for (const row of setting.rows) {
          for (const runner of runners) await verifyCell(setting, row, runner);
        }
      }
    } finally {
      await Promise.all(runners.map(({ running }) => running.stop()));
    }
  }
}

async function startTargets(setting: Setting): Promise<readonly Runner[]> {
  const runners: Runner[] = [];
  for (const target of setting.targets) {
    const rows = setting.rows.filter(({ route }) => target.routes.includes(route));
    const missing = rows.some(
      ({ id }) => setting.results.get(id, target.name)?.status === "missing",
    );
    if (missing || rows.length === 0) continue;
    try {
      runners.push(await startTarget(setting, target));
    } catch (error) {
      for (const { id } of rows) setting.results.fail(id, target.name, "missing", explain(error));
    }
  }
  await Bun.sleep(settleSeconds * 1000);
  for (const runner of runners) {
    const { target, running, startSeconds } = runner;
    if (running.process === undefined) continue;
    runner.idleBytes = readMemory(running.process.listPids(), "now");
    if (!setting.rows.includes(startRow) || !target.routes.includes("start")) continue;
    setting.results.add(startRow.id, target.name, { start: startSeconds, idle: runner.idleBytes });
  }
  return runners;
}

async function startTarget(setting: Setting, target: Target): Promise<Runner> {
  const directory = join(
    setting.place.directory,
    `${setting.name}-${target.name}`.replace(/\W+/g, "-"),
  );
  if (setting.prepare === undefined) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await setting.prepare?.(directory);
  const started = performance.now();
  const running = await target.start({ ...setting.place, directory });
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

async function measureCell(setting: Setting, row: Row, runner: Runner): Promise<void> {
  const { target } = runner;
  if (!target.routes.includes(row.route)) return;
  if (setting.results.get(row.id, target.name)?.status === "failed") return;
  try {
    setting.results.add(row.id, target.name, await row.measure(makeSubject(setting, runner)));
  } catch (error) {
    setting.results.fail(row.id, target.name, "failed", explain(error));
  }
}

async function verifyCell(setting: Setting, row: Row, runner: Runner): Promise<void> {
  const { target } = runner;
  if (setting.results.get(row.id, target.name)?.status !== "measured") return;
  try {
    await row.verify?.(makeSubject(setting, runner));
  } catch (error) {
    setting.results.fail(row.id, target.name, "failed", explain(error));
  }
}

function makeSubject({ client, effort }: Setting, { running, idleBytes }: Runner) {
  return { target: running, client, effort, idleBytes };
}

function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
