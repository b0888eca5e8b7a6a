import * as v from "valibot";
import { modelNotFound, StartError } from "../../src/errors.ts";
import {
  type Backend,
  type DatasetRules,
  defineProvider,
  requestIdOf,
  withRequestId,
} from "../../src/provider.ts";
import {
  connectUpstream,
  type Path,
  type Schema,
  type Upstream,
} from "../../src/upstream/client.ts";
import { ListObject } from "../../src/upstream/objects.ts";
import {
  Checkpoint,
  formatCheckpoints,
  formatEvents,
  formatFile,
  formatJob,
  ModelList,
  TogetherEvent,
  TogetherFile,
  TogetherJob,
} from "./answers.ts";
import { options } from "./options.ts";
import { makeForm, makeJobBody } from "./request.ts";

// The page "Data preparation" (100 GB), and what the SDK checks before it uploads. No prices: they
// are published by the size of models, not by their names.
const datasets: DatasetRules = {
  formats: ["chat", "preference"],
  minExamples: 1,
  maxFileBytes: 100 * 1024 ** 3,
  maxImagesPerExample: 10,
  maxImageBytes: 10 * 1024 * 1024,
  models: [{ model: "", tokenizer: "o200k_base", estimated: true }],
};

/**
 * Together AI's fine-tuning API, as its API reference has it (OpenAPI 2.0.0, read in November 2026)
 * and, where that is silent, its SDKs: together-py 2.15.0 of 2026-05-20 and its main branch of 2026,
 * together-typescript and together-go of 2026.
 */
export default defineProvider({
  options,
  datasets,
  create(settings, runtime): Backend {
    if (settings.training === "full" && settings.lora_rank !== undefined) {
      throw new StartError(
        `Cannot set up backend "${runtime.name}": "lora_rank" has no meaning where "training" is "full"; leave out one of them`,
      );
    }
    const upstream = connectUpstream({
      backend: runtime.name,
      baseUrl: settings.api_base,
      timeout: settings.timeout,
      headers: { ...settings.headers, authorization: `Bearer ${settings.api_key}` },
      // The SDK of version 1 takes Cloudflare's id for that of the call.
      requestIdHeaders: ["x-request-id", "cf-ray"],
    });
    const { get, post } = upstream;
    const toJob = (job: v.InferOutput<typeof TogetherJob>) => keepId(job, formatJob(job, settings));
    const toFile = (file: v.InferOutput<typeof TogetherFile>) => keepId(file, formatFile(file));
    const listModels = (signal: AbortSignal) =>
      get(["fine-tunes", "models", "supported"], {}, ModelList, signal);

    return {
      async uploadFile(upload, signal) {
        const form = makeForm(upload);
        const file = await upstream.postForm(["files", "upload"], form, TogetherFile, signal);
        // Until the service has looked at the file it says 0.
        return keepId(file, formatFile({ ...file, bytes: upload.content.size }));
      },
      getFile: async (id, signal) => toFile(await get(["files", id], {}, TogetherFile, signal)),
      listFiles: ({ order }, signal) =>
        listAll(upstream, ["files"], TogetherFile, signal, (files) => {
          const sorted = files.toSorted(compareItems).map(formatFile);
          return order === "asc" ? sorted.reverse() : sorted;
        }),
      readFile: (id, range, signal) => upstream.download(["files", id, "content"], range, signal),
      async deleteFile(id, signal) {
        await upstream.remove(["files", id], signal);
      },

      createJob: async (request, signal) =>
        toJob(await post(["fine-tunes"], makeJobBody(request, settings), TogetherJob, signal)),
      previewJob: async (request) => makeJobBody(request, settings),
      getJob: async (id, signal) => toJob(await get(["fine-tunes", id], {}, TogetherJob, signal)),
      listJobs: (_query, signal) =>
        listAll(upstream, ["fine-tunes"], TogetherJob, signal, (jobs) =>
          jobs.toSorted(compareItems).map((job) => formatJob(job, settings)),
        ),
      cancelJob: async (id, signal) =>
        toJob(await post(["fine-tunes", id, "cancel"], undefined, TogetherJob, signal)),
      listJobEvents: (id, _query, signal) =>
        listAll(upstream, ["fine-tunes", id, "events"], TogetherEvent, signal, (events) =>
          formatEvents(id, events),
        ),
      listJobCheckpoints: (id, _query, signal) =>
        listAll(upstream, ["fine-tunes", id, "checkpoints"], Checkpoint, signal, (checkpoints) =>
          formatCheckpoints(id, checkpoints),
        ),

      async *listModels(signal) {
        for (const id of (await listModels(signal)).models) yield { id };
      },
      async getModel(id, signal) {
        const list = await listModels(signal);
        if (!list.models.includes(id)) throw modelNotFound(id);
        return keepId(list, { id });
      },

      async checkAccess(signal) {
        await get(["fine-tunes"], {}, ListObject, signal);
      },
    };
  },
});

/** A list of the service, which has neither pages nor an order of its own that is documented. */
function listAll<Answer, Item>(
  upstream: Upstream,
  path: Path,
  schema: Schema<Answer>,
  signal: AbortSignal,
  format: (answers: readonly Answer[]) => readonly Item[],
): AsyncIterable<Item> {
  const items: AsyncIterable<Item> = readAll();
  return items;

  async function* readAll(): AsyncGenerator<Item> {
    const List = v.looseObject({ data: v.nullable(v.array(schema)) });
    const list = await upstream.get(path, {}, List, signal);
    keepId(list, items);
    yield* format(list.data ?? []);
  }
}

type Listed = { readonly id: string; readonly created_at: number };

/** Sorts the newest first, those of one time by their ids. */
function compareItems(one: Listed, other: Listed): number {
  return other.created_at - one.created_at || (one.id < other.id ? -1 : 1);
}

function keepId<Answer extends object>(source: object, answer: Answer): Answer {
  return withRequestId(answer, requestIdOf(source) ?? null);
}
