import * as v from "valibot";
import { fileNotFound } from "../../src/errors.ts";
import {
  type Backend,
  defineProvider,
  type FileFields,
  type FileQuery,
  type PageQuery,
  requestIdOf,
  withRequestId,
} from "../../src/provider.ts";
import { connectUpstream, type Query, type Upstream } from "../../src/upstream/client.ts";
import { makeFileForm, makePartForm } from "../../src/upstream/form.ts";
import { CheckpointObject, IdentifiedObject } from "../../src/upstream/objects.ts";
import { listPages, pageSize } from "../../src/upstream/pages.ts";
import { apiBase, apiKey, extraHeaders, timeoutSeconds } from "../../src/upstream/settings.ts";
import {
  EventObject,
  FileObject,
  isDeleted,
  JobObject,
  readMicrosoftError,
  StoredFile,
  translateFile,
  UploadObject,
} from "./objects.ts";
import { checkUpload, translateJob } from "./request.ts";
import { findSurface } from "./surface.ts";

const options = v.strictObject({
  api_base: v.pipe(
    apiBase,
    v.description(
      "The endpoint of the resource, such as https://name.openai.azure.com, or one that ends in /openai/v1",
    ),
  ),
  api_key: v.pipe(apiKey, v.description("A key of the resource")),
  api_version: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^(v1|latest|preview|\d{4}-\d{2}-\d{2}(-preview)?)$/,
          'must be "v1", "latest", "preview" or a date such as "2024-10-21"',
        ),
      ),
      "v1",
    ),
    v.description(
      "A date stands for the classic API in that version, anything else for the v1 API, which is all that projects and an api_base in /openai/v1 have",
    ),
  ),
  timeout: v.pipe(
    v.optional(timeoutSeconds, 600),
    v.description("Seconds for one call; for an upload or a download, seconds without progress"),
  ),
  headers: v.pipe(
    v.optional(extraHeaders, {}),
    v.description("More headers for every call, such as those that a proxy in between wants"),
  ),
});

/** Azure OpenAI in Microsoft Foundry, its classic API and v1. */
export default defineProvider({
  options,
  create(settings, runtime): Backend {
    const surface = findSurface(settings.api_base, settings.api_version);
    const upstream = connectUpstream({
      backend: runtime.name,
      baseUrl: surface.baseUrl,
      query: surface.query,
      timeout: settings.timeout,
      headers: { ...settings.headers, "api-key": settings.api_key },
      requestIdHeaders: ["apim-request-id", "x-request-id", "x-ms-request-id"],
      readError: readMicrosoftError,
    });
    const { get, post } = upstream;
    const jobs = ["fine_tuning", "jobs"];

    const backend: Backend = {
      cursors: ["jobs", "events", "checkpoints"],

      async uploadFile(upload, signal) {
        checkUpload(upload, surface);
        return upstream.postForm(["files"], makeFileForm(upload), FileObject, signal);
      },
      async getFile(id, signal) {
        const file = await get(["files", id], {}, StoredFile, signal);
        if (isDeleted(file)) throw fileNotFound(id);
        return withRequestId(translateFile(file), requestIdOf(file) ?? null);
      },
      listFiles: (query, signal) => listFiles(upstream, query, signal),
      readFile: (id, range, signal) => upstream.download(["files", id, "content"], range, signal),
      async deleteFile(id, signal) {
        await upstream.remove(["files", id], signal);
      },

      async createJob(request, signal) {
        return post(jobs, translateJob(request, surface), JobObject, signal);
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

      createUpload: (request, signal) => post(["uploads"], request, UploadObject, signal),
      addUploadPart: (id, data, signal) =>
        upstream.postForm(["uploads", id, "parts"], makePartForm(data), IdentifiedObject, signal),
      completeUpload: (id, request, signal) =>
        post(["uploads", id, "complete"], request, UploadObject, signal),
      cancelUpload: (id, signal) =>
        post(["uploads", id, "cancel"], undefined, UploadObject, signal),
    };
    if (surface.version !== undefined) return backend;
    return {
      ...backend,
      pauseJob: (id, signal) => post([...jobs, id, "pause"], undefined, JobObject, signal),
      resumeJob: (id, signal) => post([...jobs, id, "resume"], undefined, JobObject, signal),
    };
  },
});

function pageQuery({ after, limit }: PageQuery): Query {
  return { limit: pageSize(limit, 100), after };
}

/** Azure has no order, limit or cursor for files, and few of them: all are read and sorted. */
function listFiles(
  upstream: Upstream,
  query: FileQuery,
  signal: AbortSignal,
): AsyncIterable<FileFields> {
  const list = listPages(upstream, ["files"], { purpose: query.purpose }, StoredFile, signal);
  const files: AsyncIterable<FileFields> = sortFiles();
  return files;

  async function* sortFiles(): AsyncGenerator<FileFields> {
    const stored = await Array.fromAsync(list);
    withRequestId(files, requestIdOf(list) ?? null);
    const sign = query.order === "asc" ? 1 : -1;
    const present = stored.filter((file) => !isDeleted(file));
    // The id decides between files of one second, so that each call has the same order.
    present.sort(
      (one, other) => sign * (one.created_at - other.created_at || (one.id < other.id ? -1 : 1)),
    );
    yield* present.map(translateFile);
  }
}
