import { readdirSync, readFileSync, writeFileSync } from "node:fs";

// What processes use, as Linux tells it from outside in /proc.

const ticksPerSecond = 100;

/** The processes of a group: the one that was started, and all that it has started. */
export function listGroup(group: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readStat(pid)?.group === group);
}

/** The CPU time that processes have had so far, in seconds. */
export function readCpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.cpuSeconds ?? 0), 0);
}

/** The resident memory of processes in bytes: now, or the most since `resetPeak`. */
export function readMemory(pids: readonly number[], what: "now" | "peak"): number {
  const pattern = what === "now" ? /^VmRSS:\s+(\d+) kB$/m : /^VmHWM:\s+(\d+) kB$/m;
  return pids.reduce((sum, pid) => {
    const kibibytes = pattern.exec(readText(`/proc/${pid}/status`))?.[1];
    return sum + Number(kibibytes ?? 0) * 1024;
  }, 0);
}

/** Lets the peak of each process's memory start from what it has now (see proc(5), clear_refs). */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function readStat(pid: number): { group: number; cpuSeconds: number } | undefined {
  const text = readText(`/proc/${pid}/stat`);
  // The name of the program is in brackets and may hold spaces.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 13) return undefined;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { group: Number(fields[2]), cpuSeconds: ticks / ticksPerSecond };
}

/** The text of a file of a process, empty once the process has gone. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
