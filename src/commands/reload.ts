import { type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Log } from "../log.ts";

/**
 * Makes a function that loads the configuration again, one time after the other: what is asked for
 * meanwhile happens once, afterwards. What goes wrong is told to the log, and nothing changes.
 */
export function createReloader(
  reload: () => Promise<string>,
  log: Log,
): (reason: string) => Promise<void> {
  let running: Promise<void> | undefined;
  let again: string | undefined;

  async function run(reason: string): Promise<void> {
    try {
      log.write("info", `Loaded the configuration again on ${reason}: ${await reload()}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      log.write("error", "Cannot load the configuration again; the old one stays", {
        reason: message,
      });
    }
    if (again === undefined) return;
    const next = again;
    again = undefined;
    await run(next);
  }

  return (reason) => {
    if (running !== undefined) again = reason;
    running ??= run(reason).finally(() => {
      running = undefined;
    });
    return running;
  };
}

const settleMilliseconds = 200;

/** Calls `changed` soon after something at one of the paths has changed; returns what ends that. */
export function watchPaths(paths: readonly string[], changed: () => void): () => void {
  let timer: Timer | undefined;
  // An editor writes more than once.
  const note = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, settleMilliseconds);
  };
  const watchers = paths.map((path): FSWatcher => {
    if (statSync(path).isDirectory()) return watch(path, { recursive: true }, note);
    // Editors and config maps put another file in its place, which a watch of the file would miss.
    return watch(dirname(path), (_event, name) => {
      if (name === null || name === basename(path) || name.startsWith("..")) note();
    });
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
