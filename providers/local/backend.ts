import { ApiError } from "../../src/errors.ts";
import type { Backend, Runtime } from "../../src/provider.ts";
import { createFileOperations } from "./file-operations.ts";
import { FileStore } from "./file-store.ts";
import { createJobOperations, type JobOptions } from "./job-operations.ts";
import { JobStore } from "./job-store.ts";
import { Scheduler } from "./scheduler.ts";
import { createMask } from "./secrets.ts";
import { TemporaryDirectory } from "./temporary.ts";

/** What an entry of `config.yaml` says, defaults filled in. */
export interface LocalOptions extends JobOptions {
  readonly trainer?: readonly string[] | undefined;
  readonly max_concurrent_jobs: number;
}

const sweepMilliseconds = 3_600_000;

/**
 * A backend on the directory of `runtime`; `grace` is how long a cancelled trainer may take to end,
 * in milliseconds, before it is killed.
 */
export function createLocalBackend(
  options: LocalOptions,
  runtime: Runtime,
  grace = 10_000,
): Backend {
  const { directory, serves, secrets, log } = runtime;
  const temporary = new TemporaryDirectory(directory);
  const files = new FileStore(directory, temporary, log);
  const jobs = new JobStore(directory, temporary);
  const trainer = options.trainer ?? [...runtime.command, "train"];
  const context = { jobs, files, trainer, grace, secrets, mask: createMask(secrets), log };
  const scheduler = new Scheduler(context, options.max_concurrent_jobs);

  const report = (action: string) => (error: unknown) =>
    log("error", `Cannot ${action}`, { error: String(error) });
  temporary.removeLeftovers().catch(report("remove what a crash has left"));
  if (serves.jobs) scheduler.start().catch(report("take up jobs"));
  const sweeper = serves.files ? startSweep(files, report("remove expired files")) : undefined;

  return {
    cursors: ["files", "jobs", "events", "checkpoints"],
    ...createFileOperations(files, jobs, log),
    ...createJobOperations({ options, organization: runtime.name, files, jobs, scheduler, log }),

    async *listModels() {
      for (const id of options.models) yield { id };
    },

    async getModel(id) {
      if (options.models.includes(id)) return { id };
      throw new ApiError(404, `The model '${id}' does not exist`, {
        param: "model",
        code: "model_not_found",
      });
    },

    async close() {
      clearInterval(sweeper);
      await scheduler.close();
    },
  };
}

// Reading a list removes what has expired.
function startSweep(files: FileStore, report: (error: unknown) => void): NodeJS.Timeout {
  const sweep = async () => {
    for await (const _ of files.list("asc"));
  };
  const timer = setInterval(() => sweep().catch(report), sweepMilliseconds);
  sweep().catch(report);
  return timer.unref();
}
