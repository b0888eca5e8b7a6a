import { readdirSync, readFileSync } from "node:fs";
import { hasCode } from "./disk.ts";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, as the system tells it: letters and digits, without a unit. */
  readonly started: string;
}

/** The process that runs under `pid` now; undefined where none does, or one that has ended. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const found = readProcess(pid);
  return found === undefined || found.ended ? undefined : { pid, started: found.started };
}

/** The process under `pid`, also one that has ended but was not waited for. */
export function identifyChild(pid: number): ProcessIdentity | undefined {
  const found = readProcess(pid);
  return found === undefined ? undefined : { pid, started: found.started };
}

/** Whether that very process still runs; one that has ended but was not waited for does not. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.started === identity.started;
}

/**
 * Whether a process group of that number can only be the one that the process leads or led. No
 * system gives a number to a new process while a group bears it, so it is: unless another process
 * has the number, or the system was started anew.
 */
export function ownsGroup(identity: ProcessIdentity): boolean {
  const found = readProcess(identity.pid);
  if (found !== undefined) return found.started === identity.started;
  return process.platform !== "linux" || identity.started.startsWith(`${readBoot()}t`);
}

/** The processes of this user whose environment holds the variable, by its value. Linux only. */
export function findProcesses(variable: string): ReadonlyMap<string, ProcessIdentity> {
  const found = new Map<string, ProcessIdentity>();
  if (process.platform !== "linux") return found;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const entry = readSystemFile(`/proc/${name}/environ`)
      ?.split("\0")
      .find((text) => text.startsWith(`${variable}=`));
    // Children of a trainer inherit the variable: the trainer itself leads the process group.
    if (entry === undefined || readLinuxStat(Number(name))?.group !== Number(name)) continue;
    const identity = identifyProcess(Number(name));
    if (identity !== undefined) found.set(entry.slice(variable.length + 1), identity);
  }
  return found;
}

function readProcess(pid: number) {
  return process.platform === "linux" ? readLinuxProcess(pid) : readOtherProcess(pid);
}

function readLinuxProcess(pid: number) {
  const stat = readLinuxStat(pid);
  if (stat === undefined) return undefined;
  // Ticks count from the boot: the boot's own id tells equal ticks of two boots apart.
  const started = `${readBoot()}t${stat.started}`;
  return { started, ended: stat.state === "Z" || stat.state === "X" };
}

function readBoot(): string {
  return readSystemFile("/proc/sys/kernel/random/boot_id")?.slice(0, 8) ?? "";
}

function readLinuxStat(pid: number) {
  const text = readSystemFile(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the program's name in brackets and may hold blanks and brackets.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0], group: Number(fields[2]), started: fields[19] };
}

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

function readOtherProcess(pid: number) {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", String(pid)], {
    env: { PATH: process.env.PATH ?? "", LC_ALL: "C" },
  });
  const [state, ...start] = stdout.toString().trim().split(/\s+/);
  if (state === undefined || state === "") return undefined;
  const started = start.join("").replaceAll(/[^0-9A-Za-z]/g, "");
  return { started, ended: state.startsWith("Z") };
}
