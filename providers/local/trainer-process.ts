import { closeSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { hasCode } from "./disk.ts";
import type { JobPaths } from "./job-store.ts";
import { identifyProcess, isRunning, type ProcessIdentity } from "./process-identity.ts";
import { descriptionVariable } from "./protocol.ts";

/** How a trainer ended; `unknown` is all that can be known of one that another process started. */
export type TrainerEnd =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** A trainer that was started, by this process or an earlier one. */
export interface TrainerProcess {
  readonly identity: ProcessIdentity;
  /** How it ended; undefined while it runs. */
  getEnd(): TrainerEnd | undefined;
  /** Sends a signal to the trainer and all that it started in its process group. */
  sendSignal(signal: NodeJS.Signals): void;
}

// The gateway's own keys are none of a trainer's business.
const withheldVariables = ["TUNEGATE_MASTER_KEY", "LITELLM_MASTER_KEY"];
const tailBytes = 8 * 1024;
const tailLines = 20;
const tailCharacters = 2000;

/**
 * Starts a trainer that outlives this process: it leads its own process group and prints into files.
 * Throws what the system says of a command that cannot be started.
 */
export function startTrainer(
  command: readonly string[],
  paths: JobPaths,
  onEnd: () => void,
): TrainerProcess {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const name of withheldVariables) delete environment[name];
  environment[descriptionVariable] = paths.description;
  const output = openSync(paths.output, "a");
  const errors = openSync(paths.errors, "a");
  try {
    const child = Bun.spawn([...command], {
      cwd: paths.directory,
      env: environment,
      detached: true,
      stdin: "ignore",
      stdout: output,
      stderr: errors,
      onExit: onEnd,
    });
    child.unref();
    // One that has ended already is still listed until this process has taken note of it.
    const identity = identifyProcess(child.pid) ?? { pid: child.pid, started: "unknown" };
    return {
      identity,
      getEnd() {
        const { signalCode, exitCode } = child;
        if (signalCode !== null) return { kind: "signal", signal: String(signalCode) };
        return exitCode === null ? undefined : { kind: "exit", code: exitCode };
      },
      sendSignal: (signal) => signalGroup(child.pid, signal),
    };
  } finally {
    closeSync(output);
    closeSync(errors);
  }
}

/** Takes up a trainer that another process has started. */
export function adoptTrainer(identity: ProcessIdentity): TrainerProcess {
  const reason = isRunning(identity)
    ? "The trainer ended without a result; its exit code is not known, because the gateway was restarted meanwhile"
    : "The trainer ended while the gateway was not running";
  return {
    identity,
    getEnd: () => (isRunning(identity) ? undefined : { kind: "unknown", reason }),
    sendSignal(signal) {
      if (isRunning(identity)) signalGroup(identity.pid, signal);
    },
  };
}

/** The last lines of a file of errors: at most 20 lines and 2,000 characters. */
export async function readTail(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, tailBytes);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString("utf8").trimEnd().split("\n").slice(-tailLines);
    return lines.join("\n").trim().slice(-tailCharacters).toWellFormed();
  } finally {
    await handle.close();
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // No one is left in the group; on macOS those who have ended are answered for by EPERM.
    if (!hasCode(error, "ESRCH", "EPERM")) throw error;
  }
}
