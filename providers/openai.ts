import * as v from "valibot";
import {
  type Backend,
  type DatasetRules,
  defineProvider,
  type FileQuery,
  type JobQuery,
  type PageQuery,
  type TrainingPrice,
} from "../src/provider.ts";
import { connectUpstream, type Query } from "../src/upstream/client.ts";
import { makeFileForm, makePartForm } from "../src/upstream/form.ts";
import {
  AnyObject,
  CheckpointObject,
  EventObject,
  FileObject,
  IdentifiedObject,
  JobObject,
  ListObject,
} from "../src/upstream/objects.ts";
import { listPages, pageSize } from "../src/upstream/pages.ts";
import {
  apiBase,
  apiKey,
  headersOption,
  headerValue,
  timeoutOption,
} from "../src/upstream/settings.ts";

const options = v.strictObject({
  api_key: v.pipe(apiKey, v.description("The API key of the account")),
  api_base: v.pipe(
    v.optional(apiBase, "https://api.openai.com/v1"),
    v.description("Where the API is, its version included"),
  ),
  organization: v.pipe(
    v.optional(headerValue),
    v.description("The organization to act for, sent as OpenAI-Organization"),
  ),
  project: v.pipe(
    v.optional(headerValue),
    v.description("The project to act in, sent as OpenAI-Project"),
  ),
  timeout: timeoutOption,
  headers: headersOption,
});

// The guides "Supervised fine-tuning" and "Vision fine-tuning"; tokenizers as tiktoken names them.
const datasets: DatasetRules = {
  formats: ["chat", "preference", "reinforcement"],
  minExamples: 10,
  maxFileBytes: 512 * 1024 * 1024,
  maxImagesPerExample: 10,
  maxImageBytes: 10 * 1024 * 1024,
  models: [
    { model: "gpt-4.1", maxExampleTokens: 65_536, tokenizer: "o200k_base" },
    { model: "gpt-4o", maxExampleTokens: 65_536, tokenizer: "o200k_base" },
    { model: "gpt-3.5-turbo", maxExampleTokens: 16_385, tokenizer: "cl100k_base" },
    { model: "davinci-002", tokenizer: "cl100k_base" },
    { model: "babbage-002", tokenizer: "cl100k_base" },
    { model: "o4-mini", tokenizer: "o200k_base" },
    { model: "", tokenizer: "o200k_base", estimated: true },
  ],
};

// Reinforcement of o4-mini costs by the hour, so that it has no price here.
const prices: readonly TrainingPrice[] = (
  [
    ["gpt-4.1", 25],
    ["gpt-4.1-mini", 5],
    ["gpt-4.1-nano", 1.5],
    ["gpt-4o", 25],
    ["gpt-4o-mini", 3],
    ["gpt-3.5-turbo", 8],
    ["davinci-002", 6],
    ["babbage-002", 0.4],
  ] as const
).map(([model, usd_per_million_tokens]) => ({
  model,
  usd_per_million_tokens,
  source: "https://developers.openai.com/api/docs/pricing",
  date: "2026-11-22",
}));

/** OpenAI's own API, and services that speak all of it. */
export default defineProvider({
  options,
  datasets,
  prices,
  create(settings, runtime): Backend {
    const { organization, project } = settings;
    const upstream = connectUpstream({
      backend: runtime.name,
      baseUrl: settings.api_base,
      timeout: settings.timeout,
      headers: {
        ...settings.headers,
        authorization: `Bearer ${settings.api_key}`,
        ...(organization === undefined ? {} : { "openai-organization": organization }),
        ...(project === undefined ? {} : { "openai-project": project }),
      },
    });
    const { get, post } = upstream;
    const jobs = ["fine_tuning", "jobs"];
    const graders = ["fine_tuning", "alpha", "graders"];
    const permissions = (model: string) => ["fine_tuning", "checkpoints", model, "permissions"];

    return {
      cursors: ["files", "jobs", "events", "checkpoints"],

      uploadFile: (upload, signal) =>
        upstream.postForm(["files"], makeFileForm(upload), FileObject, signal),
      relayUpload: (form, signal) => upstream.postForm(["files"], form, FileObject, signal),
      getFile: (id, signal) => get(["files", id], {}, FileObject, signal),
      listFiles: (query, signal) =>
        listPages(upstream, ["files"], fileQuery(query), FileObject, signal),
      readFile: (id, range, signal) => upstream.download(["files", id, "content"], range, signal),
      async deleteFile(id, signal) {
        await upstream.remove(["files", id], signal);
      },

      createJob: (request, signal) => post(jobs, request, JobObject, signal),
      previewJob: async (request) => request,
      getJob: (id, signal) => get([...jobs, id], {}, JobObject, signal),
      listJobs: (query, signal) => listPages(upstream, jobs, jobQuery(query), JobObject, signal),
      cancelJob: (id, signal) => post([...jobs, id, "cancel"], undefined, JobObject, signal),
      pauseJob: (id, signal) => post([...jobs, id, "pause"], undefined, JobObject, signal),
      resumeJob: (id, signal) => post([...jobs, id, "resume"], undefined, JobObject, signal),
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

      createUpload: (request, signal) => post(["uploads"], request, IdentifiedObject, signal),
      addUploadPart: (id, data, signal) =>
        upstream.postForm(["uploads", id, "parts"], makePartForm(data), IdentifiedObject, signal),
      completeUpload: (id, request, signal) =>
        post(["uploads", id, "complete"], request, IdentifiedObject, signal),
      cancelUpload: (id, signal) =>
        post(["uploads", id, "cancel"], undefined, IdentifiedObject, signal),

      listCheckpointPermissions: (model, query, signal) =>
        get(permissions(model), query, ListObject, signal),
      createCheckpointPermissions: (model, request, signal) =>
        post(permissions(model), request, ListObject, signal),
      deleteCheckpointPermission: (model, permissionId, signal) =>
        upstream.remove([...permissions(model), permissionId], signal),

      runGrader: (request, signal) => post([...graders, "run"], request, AnyObject, signal),
      validateGrader: (request, signal) =>
        post([...graders, "validate"], request, AnyObject, signal),

      async checkAccess(signal) {
        await get(jobs, { limit: 1 }, ListObject, signal);
      },

      listModels: (signal) => listPages(upstream, ["models"], {}, IdentifiedObject, signal),
      getModel: (id, signal) => get(["models", id], {}, IdentifiedObject, signal),
    };
  },
});

function pageQuery({ after, limit }: PageQuery): Query {
  return { limit: pageSize(limit, Number.POSITIVE_INFINITY), after };
}

function fileQuery({ after, limit, order, purpose }: FileQuery): Query {
  return { purpose, order, limit: pageSize(limit, 10_000), after };
}

function jobQuery(query: JobQuery): Query {
  const { metadata } = query;
  if (metadata === null) return { ...pageQuery(query), metadata: "null" };
  const pairs = Object.entries(metadata ?? {}).map(([key, value]) => [`metadata[${key}]`, value]);
  return { ...pageQuery(query), ...Object.fromEntries(pairs) };
}
