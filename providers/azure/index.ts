import { StartError } from "../../src/errors.ts";
import { type Backend, defineProvider, type PageQuery } from "../../src/provider.ts";
import { connectUpstream, type Query } from "../../src/upstream/client.ts";
import { makeFileForm, makePartForm } from "../../src/upstream/form.ts";
import { CheckpointObject, IdentifiedObject, ListObject } from "../../src/upstream/objects.ts";
import { listPages, pageSize } from "../../src/upstream/pages.ts";
import { makeCredential } from "./credential.ts";
import { readMicrosoftError } from "./errors.ts";
import { checkExpiry, getFile, listFiles } from "./files.ts";
import { isImported } from "./import-wait.ts";
import { createJobMaker } from "./job-creation.ts";
import { EventObject, FileObject, JobObject, UploadObject } from "./objects.ts";
import { options, type Settings } from "./options.ts";
import { translateJob } from "./request.ts";
import { datasets } from "./rules.ts";
import { findSurface, isOlder, methodVersion, type Surface } from "./surface.ts";

const jobs = ["fine_tuning", "jobs"];

/** Azure OpenAI in Microsoft Foundry, its classic API and v1. */
export default defineProvider({
  options,
  datasets,
  create(settings, runtime): Backend {
    const surface = findSurface(settings.api_base, settings.api_version);
    checkTrainingType(settings, surface, runtime.name);
    const credential = makeCredential(settings, surface, runtime, process.env);
    const upstream = connectUpstream({
      ...credential,
      backend: runtime.name,
      baseUrl: surface.baseUrl,
      query: surface.query,
      timeout: settings.timeout,
      headers: { ...settings.headers, ...credential.headers },
      requestIdHeaders: ["apim-request-id", "x-request-id", "x-ms-request-id"],
      readError: readMicrosoftError,
    });
    const { get, post } = upstream;

    const shared: Backend = {
      cursors: ["jobs", "events", "checkpoints"],

      async uploadFile(upload, signal) {
        checkExpiry("upload the file", upload, surface);
        return upstream.postForm(["files"], makeFileForm(upload), FileObject, signal);
      },
      getFile: (id, signal) => getFile(upstream, id, signal),
      listFiles: (query, signal) => listFiles(upstream, query, signal),
      readFile: (id, range, signal) => upstream.download(["files", id, "content"], range, signal),
      async deleteFile(id, signal) {
        await upstream.remove(["files", id], signal);
      },

      createJob: createJobMaker(upstream, surface, settings),
      async previewJob(request, signal) {
        const body = translateJob(request, surface, settings.training_type);
        await isImported(upstream, request, signal);
        return body;
      },
      getJob: (id, signal) => get([...jobs, id], {}, JobObject, signal),
      listJobs: (query, signal) => listPages(upstream, jobs, pageQuery(query), JobObject, signal),
      cancelJob: (id, signal) => post([...jobs, id, "cancel"], undefined, JobObject, signal),
      listJobEvents: (id, query, signal) =>
        listPages(upstream, [...jobs, id, "events"], pageQuery(query), EventObject, signal),
      listJobCheckpoints: (id, query, signal) =>
        listPages(
          upstream,
          [...jobs, id, "checkpoints"],
          pageQuery(query),
          CheckpointObject,
          signal,
        ),

      async createUpload(request, signal) {
        checkExpiry("create the upload", request, surface);
        return post(["uploads"], request, UploadObject, signal);
      },
      addUploadPart: (id, data, signal) =>
        upstream.postForm(["uploads", id, "parts"], makePartForm(data), IdentifiedObject, signal),
      completeUpload: (id, request, signal) =>
        post(["uploads", id, "complete"], request, UploadObject, signal),
      cancelUpload: (id, signal) =>
        post(["uploads", id, "cancel"], undefined, UploadObject, signal),

      async checkAccess(signal) {
        await get(jobs, { limit: 1 }, ListObject, signal);
      },
    };
    if (surface.version === undefined) {
      return {
        ...shared,
        pauseJob: (id, signal) => post([...jobs, id, "pause"], undefined, JobObject, signal),
        resumeJob: (id, signal) => post([...jobs, id, "resume"], undefined, JobObject, signal),
      };
    }
    return {
      ...shared,
      async deleteJob(id, signal) {
        await upstream.remove([...jobs, id], signal);
      },
      async importFile(request, signal) {
        checkExpiry("import the file", request, surface);
        return post(["files", "import"], request, FileObject, signal);
      },
    };
  },
});

function pageQuery({ after, limit }: PageQuery): Query {
  return { limit: pageSize(limit, 100), after };
}

function checkTrainingType(settings: Settings, surface: Surface, backend: string): void {
  if (settings.training_type === undefined || !isOlder(surface)) return;
  throw new StartError(
    `Cannot set up backend "${backend}": "training_type" needs an "api_version" of ${methodVersion} or later, or "v1"`,
  );
}
