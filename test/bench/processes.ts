import { closeSync, openSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { listGroup } from "./usage.ts";

/** A program that runs, and all that it has started. */
export interface RunningProcess {
  /** The processes it consists of now. */
  listPids(): readonly number[];
  isRunning(): boolean;
  /** The end of what it has written. */
  readLog(): string;
  /** Ends it in order, or after five seconds by force. */
  stop(): Promise<void>;
}

/** What to start. */
export interface ProcessOptions {
  readonly name: string;
  readonly command: readonly string[];
  /** Where it works and its log is kept. */
  readonly directory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The CPU it is to stay on; any if absent. */
  readonly cpu?: number | undefined;
}

const groups = new Set<number>();
let guard: Bun.Subprocess<"pipe", "ignore", "ignore"> | undefined;
let ended = false;

/**
 * Starts a process that does nothing until this program ends, in whatever way: then it ends all
 * that this program has started and removes `directory`.
 */
export function startGuard(directory: string): void {
  const script = `trap '' INT TERM HUP
    while read -r line; do groups=$line; done
    [ -z "$groups" ] || kill -s KILL -- $groups
    until rm -rf "$1"; do sleep 0.1; done`;
  guard = Bun.spawn(["sh", "-c", script, "sh", directory], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
}

/** Ends everything at once and waits until it is done; nothing can be started any more. */
export async function endAll(): Promise<void> {
  ended = true;
  guard?.stdin.end();
  await guard?.exited;
}

function addGroup(group: number): void {
  groups.add(group);
  tellGuard();
}

function removeGroup(group: number): void {
  groups.delete(group);
  tellGuard();
}

function tellGuard(): void {
  if (ended) return;
  guard?.stdin.write(`${[...groups].map((group) => `-${group}`).join(" ")}\n`);
  guard?.stdin.flush();
}

function checkRunning(): void {
  if (ended) throw new Error("interrupted");
}

/** The CPUs of proxies and of everything else; undefined where nothing is to be tied to any. */
export interface Layout {
  readonly proxy: number | undefined;
  readonly rest: number | undefined;
}

/** A proxy alone on one CPU, its client and its upstream on the other, if there are two. */
export function chooseLayout(pinned: boolean): Layout {
  const possible = pinned && availableParallelism() > 1 && Bun.which("taskset") !== null;
  return possible ? { proxy: 0, rest: 1 } : { proxy: undefined, rest: undefined };
}

/** The words that start a command on one CPU. */
export function pinCommand(command: readonly string[], cpu: number | undefined): string[] {
  return cpu === undefined ? [...command] : ["taskset", "--cpu-list", String(cpu), ...command];
}

/** Starts a program as the leader of a process group of its own. */
export function startProcess(options: ProcessOptions): RunningProcess {
  checkRunning();
  const log = join(options.directory, `${options.name}.log`);
  const output = openSync(log, "a");
  const child = Bun.spawn(pinCommand(options.command, options.cpu), {
    cwd: options.directory,
    env: makeEnvironment(options.directory, options.environment),
    stdin: "ignore",
    stdout: output,
    stderr: output,
    detached: true,
  });
  closeSync(output);
  addGroup(child.pid);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    listPids: () => listGroup(child.pid),
    isRunning,
    readLog: () => readFileSync(log, "utf8").slice(-1000).trim(),
    async stop() {
      kill(child.pid, "SIGTERM");
      const timer = setTimeout(() => kill(child.pid, "SIGKILL"), 5000);
      await child.exited;
      clearTimeout(timer);
      kill(child.pid, "SIGKILL");
      removeGroup(child.pid);
    },
  };
}

/** Nothing of the caller's settings, keys or proxies reaches what is measured. */
function makeEnvironment(directory: string, more: Readonly<Record<string, string>> = {}) {
  const { PATH = "" } = process.env;
  return { PATH, HOME: directory, TMPDIR: directory, LANG: "C.UTF-8", ...more };
}

function kill(group: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    // No such process: it has ended by itself.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** A program to run to its end. */
export interface Program {
  readonly command: readonly string[];
  readonly directory: string;
  /** Its standard input. */
  readonly input?: string;
}

/** Runs a program and returns what it prints; throws with its last words where it fails. */
export async function runProgram({ command, directory, input }: Program): Promise<string> {
  checkRunning();
  const child = Bun.spawn([...command], {
    cwd: directory,
    stdin: Buffer.from(input ?? ""),
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  addGroup(child.pid);
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  removeGroup(child.pid);
  if (code === 0) return output;
  const lines = `${output}\n${errors}`.trim().split("\n");
  throw new Error(`${command[0]} ended with ${code}: ${lines.slice(-3).join(" ").slice(-300)}`);
}

/** A port of this machine that nobody listens on at the moment. */
export function findFreePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
