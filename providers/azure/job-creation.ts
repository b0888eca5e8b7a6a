import type { Backend, JobFields } from "../../src/provider.ts";
import type { Upstream } from "../../src/upstream/client.ts";
import { isImported, waitForImport } from "./import-wait.ts";
import { JobObject } from "./objects.ts";
import type { Settings } from "./options.ts";
import { translateJob } from "./request.ts";
import type { Surface } from "./surface.ts";

/**
 * Makes `createJob`: it waits for the files of a job as long as `import_timeout` says. The same
 * request that comes again meanwhile, from a client that lost patience and repeats it, gets the
 * job of the first: one that waited twice would be paid for twice.
 */
export function createJobMaker(
  upstream: Upstream,
  surface: Surface,
  settings: Pick<Settings, "import_timeout" | "training_type">,
): Backend["createJob"] {
  const waiting = new Map<string, Promise<JobFields>>();
  return async (request, signal) => {
    const body = translateJob(request, surface, settings.training_type);
    const create = () => upstream.post(["fine_tuning", "jobs"], body, JobObject, signal);
    const key = JSON.stringify(body);
    if (!waiting.has(key)) {
      const ready = await isImported(upstream, request, signal);
      if (ready && !waiting.has(key)) return await create();
    }
    const job =
      waiting.get(key) ??
      waitForImport(upstream, request, settings.import_timeout, signal)
        .then(create)
        .finally(() => waiting.delete(key));
    waiting.set(key, job);
    return await job;
  };
}
