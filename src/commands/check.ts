import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backends, closeBackends, createBackends, type NamedBackend } from "../backends.ts";
import type { Config } from "../config/config.ts";
import { ownCommand } from "../executable.ts";
import type { Log } from "../log.ts";
import type { Backend, Provider } from "../provider.ts";

/** How a backend answered when it was tried; `failure` is a sentence. */
export interface Trial {
  readonly backend: string;
  readonly failure?: string | undefined;
  /** How long it took; undefined where the provider has nothing to try. */
  readonly milliseconds?: number;
}

const trialSeconds = 30;

/**
 * Makes the backends of a configuration, away from its data; throws a `StartError` for settings that
 * do not go together. With `online`, tries each service and its credential as well.
 */
export async function tryBackends(
  config: Config,
  providers: Readonly<Record<string, Provider>>,
  log: Log,
  online: boolean,
): Promise<readonly Trial[]> {
  const directory = await mkdtemp(join(tmpdir(), "tunegate-check-"));
  let backends: Backends | undefined;
  try {
    backends = createBackends(config.backends, {
      providers,
      preferred: config.general.default_provider,
      dataDirectory: directory,
      command: ownCommand,
      secrets: config.secrets,
      log,
    });
    return online ? await Promise.all(backends.all.map(tryBackend)) : [];
  } finally {
    if (backends !== undefined) await closeBackends(backends);
    await rm(directory, { recursive: true, force: true });
  }
}

async function tryBackend({ name, files, jobs }: NamedBackend): Promise<Trial> {
  const instances = new Set<Backend>([files, jobs]);
  const able = [...instances].filter((instance) => instance.checkAccess !== undefined);
  if (able.length === 0) return { backend: name };
  const started = performance.now();
  try {
    const signal = AbortSignal.timeout(trialSeconds * 1000);
    await Promise.all(able.map((instance) => instance.checkAccess?.(signal)));
    return { backend: name, milliseconds: performance.now() - started };
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const failure = late ? `no answer within ${trialSeconds} seconds` : messageOf(error);
    return { backend: name, failure, milliseconds: performance.now() - started };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One line for a person to read. */
export function describeTrial({ backend, failure, milliseconds }: Trial, width: number): string {
  const name = backend.padEnd(width);
  if (failure !== undefined) return `${name}  failed  ${failure}`;
  if (milliseconds === undefined) return `${name}  –       there is nothing to try`;
  return `${name}  ok      answers, and takes the credential (${Math.round(milliseconds)} ms)`;
}
