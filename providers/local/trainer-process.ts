import { closeSync, openSync } from "node:fs";
import { hasCode } from "./disk.ts";
import type { JobPaths } from "./job-store.ts";
import { identifyChild, isRunning, ownsGroup, type ProcessIdentity } from "./process-identity.ts";
import { descriptionVariable } from "./protocol.ts";
import { withholdSecrets } from "./secrets.ts";

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

/**
 * Starts a trainer that outlives this process: it leads its own process group and prints into files.
 * Throws what the system says of a command that cannot be started.
 */
export function startTrainer(
  command: readonly string[],
  paths: JobPaths,
  secrets: readonly string[],
  onEnd: () => void,
): TrainerProcess {
  // The gateway's own keys are none of a trainer's business.
  const environment = withholdSecrets(process.env, secrets);
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
    const identity = identifyChild(child.pid) ?? { pid: child.pid, started: "unknown" };
    return {
      identity,
      getEnd() {
        const { signalCode, exitCode } = child;
        if (signalCode !== null) return { kind: "signal", signal: String(signalCode) };
        return exitCode === null ? undefined : { kind: "exit", code: exitCode };
      },
      sendSignal: (signal) => signalGroup(identity, signal),
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
    sendSignal: (signal) => signalGroup(identity, signal),
  };
}

// Those whom a trainer has started may still be there when it has ended.
function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!ownsGroup(identity)) return;
  try {
    process.kill(-identity.pid, signal);
  } catch (error) {
    // No one is left in the group; on macOS those who have ended are answered for by EPERM.
    if (!hasCode(error, "ESRCH", "EPERM")) throw error;
  }
}
