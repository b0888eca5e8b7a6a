import { badRequest } from "../../src/errors.ts";
import { type Backend, defineProvider, type Runtime } from "../../src/provider.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { type Context, createContext } from "./context.ts";
import { createFiles } from "./files.ts";
import { createJobs } from "./jobs.ts";
import { options, type Settings } from "./options.ts";
import { createResults } from "./results.ts";
import { datasets, prices } from "./rules.ts";

/** Tuning of Gemini on Google's Vertex AI, with files in a bucket of Cloud Storage. */
export default defineProvider({
  options,
  datasets,
  prices,
  create: (settings, runtime) => createVertexBackend(settings, runtime),
});

/** A backend that pauses for `retryPauses` milliseconds before each further try of an upload. */
export function createVertexBackend(
  settings: Settings,
  runtime: Runtime,
  retryPauses?: readonly number[],
): Backend {
  const context = createContext(settings, runtime, retryPauses);
  return {
    ...createJobs(context),
    ...createFileOperations(context),
    checkAccess: (signal) => checkAccess(context, signal),
  };
}

/** A backend for jobs alone may have no bucket, but it can tell what its jobs have learned. */
function createFileOperations(context: Context): Pick<Backend, "uploadFile"> & Partial<Backend> {
  const { storage, runtime } = context;
  const results = createResults(context);
  if (storage === undefined) {
    return {
      uploadFile: async () => {
        throw badRequest(
          `Cannot store the file in backend "${runtime.name}": it has no bucket; set "gcs_bucket_name"`,
          null,
        );
      },
      getFile: results.getFile,
      readFile: results.readFile,
    };
  }
  const files = createFiles(storage, runtime.log);
  return {
    ...files,
    cursors: ["files"],
    getFile: (id, signal) => (results.owns(id) ? results : files).getFile(id, signal),
    readFile: (id, range, signal) =>
      (results.owns(id) ? results : files).readFile(id, range, signal),
  };
}

async function checkAccess({ storage, runtime, tuning, settings }: Context, signal: AbortSignal) {
  if (runtime.serves.files) await storage?.check(signal);
  if (!runtime.serves.jobs) return;
  const { vertex_project, vertex_location } = settings;
  const path = ["projects", vertex_project, "locations", vertex_location, "tuningJobs"];
  await tuning.get(path, { pageSize: 1 }, AnyObject, signal);
}
