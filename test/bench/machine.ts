import { existsSync, readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

/** What the figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** Processes that wanted a CPU in the last minute, before the bench began. */
  readonly load: number;
}

/** Looks at this machine. */
export function describeMachine(): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    load: loadavg()[0] ?? 0,
  };
}

/** The name of the distribution, as it gives it in /etc/os-release. */
export function nameSystem(): string {
  const file = "/etc/os-release";
  if (!existsSync(file)) return "Linux";
  return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync(file, "utf8"))?.[1] ?? "Linux";
}
