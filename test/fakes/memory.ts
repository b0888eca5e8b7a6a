import * as v from "valibot";
import { ApiError, fileNotFound, jobNotFound } from "../../src/errors.ts";
import {
  type Backend,
  defineProvider,
  type FileFields,
  type FileUpload,
  type JobFields,
  type JobRequest,
  type ListName,
  type Provider,
} from "../../src/provider.ts";

/** What a memory backend holds, and how it is to misbehave. */
export interface MemoryState {
  readonly files: FileFields[];
  readonly jobs: JobFields[];
  readonly uploads: FileUpload[];
  readonly requests: JobRequest[];
  /** Names of the methods called, in order. */
  readonly calls: string[];
  /** Every call fails with this. */
  failure?: Error;
  /** Every call hangs until its signal ends it. */
  hangs?: boolean;
  /** Hanging calls do not even heed their signal. */
  deaf?: boolean;
  cursors?: readonly ListName[];
}

/** An empty state. */
export function createMemoryState(given: Partial<MemoryState> = {}): MemoryState {
  return { files: [], jobs: [], uploads: [], requests: [], calls: [], ...given };
}

/**
 * A provider whose backends live in this process: one for each name in `states`. It has the four
 * required methods and those that `more` names.
 */
export function createMemoryProvider(
  states: Readonly<Record<string, MemoryState>>,
  more: readonly (keyof Backend)[] = ["getJob", "getFile", "listFiles", "deleteFile", "readFile"],
): Provider {
  return defineProvider({
    options: v.strictObject({}),
    datasets: {
      formats: ["chat", "preference", "reinforcement"],
      minExamples: 10,
      models: [{ model: "", tokenizer: "o200k_base" }],
    },
    create(_options, runtime): Backend {
      const state = states[runtime.name];
      if (state === undefined) throw new Error(`no state for ${runtime.name}`);
      return pick(createBackend(state), state, more);
    },
  });
}

function pick(
  whole: Required<Pick<Backend, Methods>>,
  state: MemoryState,
  more: readonly string[],
) {
  const required = ["uploadFile", "createJob", "cancelJob", "listJobs"];
  const kept = Object.entries(whole).filter(([name]) => [...required, ...more].includes(name));
  const { uploadFile, createJob, cancelJob, listJobs } = whole;
  const cursors = state.cursors === undefined ? {} : { cursors: state.cursors };
  return { uploadFile, createJob, cancelJob, listJobs, ...Object.fromEntries(kept), ...cursors };
}

type Methods =
  | "uploadFile"
  | "createJob"
  | "cancelJob"
  | "listJobs"
  | "getJob"
  | "getFile"
  | "listFiles"
  | "deleteFile"
  | "readFile";

function createBackend(state: MemoryState): Required<Pick<Backend, Methods>> {
  async function enter(name: string, signal: AbortSignal): Promise<void> {
    state.calls.push(name);
    if (state.hangs) {
      await new Promise((_resolve, reject) => {
        if (!state.deaf) signal.addEventListener("abort", () => reject(signal.reason));
      });
    }
    if (state.failure !== undefined) throw state.failure;
  }

  async function* list<Item extends { id: string; created_at: number }>(
    name: string,
    items: readonly Item[],
    order: "asc" | "desc",
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Item> {
    await enter(name, signal);
    const sorted = [...items].sort((a, b) => b.created_at - a.created_at);
    if (order === "asc") sorted.reverse();
    const start = after === undefined ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) throw new ApiError(404, `No such item: ${after}`);
    for (const item of sorted.slice(start)) {
      await Promise.resolve();
      yield item;
    }
  }

  return {
    async uploadFile(upload, signal) {
      await enter("uploadFile", signal);
      const file: FileFields = {
        id: `file-${state.files.length}${Math.random().toString(36).slice(2)}`,
        bytes: upload.content.size,
        created_at: 1_700_000_000 + state.files.length,
        filename: upload.filename,
        purpose: upload.purpose,
      };
      state.uploads.push({ ...upload, content: new Blob([await upload.content.bytes()]) });
      state.files.push(file);
      return file;
    },
    async createJob(request, signal) {
      await enter("createJob", signal);
      const job: JobFields = {
        id: `ftjob-${state.jobs.length}${Math.random().toString(36).slice(2)}`,
        created_at: 1_700_000_000 + state.jobs.length,
        model: request.model,
        status: "queued",
        training_file: request.training_file,
      };
      state.requests.push(request);
      state.jobs.push(job);
      return job;
    },
    async cancelJob(id, signal) {
      await enter("cancelJob", signal);
      const job = { ...find(state.jobs, id, jobNotFound), status: "cancelled" };
      state.jobs.splice(
        state.jobs.findIndex((one) => one.id === id),
        1,
        job,
      );
      return job;
    },
    listJobs: (query, signal) => list("listJobs", state.jobs, "desc", query.after, signal),
    async getJob(id, signal) {
      await enter("getJob", signal);
      return find(state.jobs, id, jobNotFound);
    },
    async getFile(id, signal) {
      await enter("getFile", signal);
      return find(state.files, id, fileNotFound);
    },
    listFiles: (query, signal) => list("listFiles", state.files, query.order, query.after, signal),
    async deleteFile(id, signal) {
      await enter("deleteFile", signal);
      state.files.splice(state.files.indexOf(find(state.files, id, fileNotFound)), 1);
    },
    async readFile(id, _range, signal) {
      await enter("readFile", signal);
      const { filename } = find(state.files, id, fileNotFound);
      return {
        body: new Blob([`content of ${filename}`]),
        headers: { "content-disposition": `attachment; filename="${filename}"` },
      };
    },
  };
}

function find<Item extends { readonly id: string }>(
  items: readonly Item[],
  id: string,
  missing: (id: string) => Error,
): Item {
  const item = items.find((one) => one.id === id);
  if (item === undefined) throw missing(id);
  return item;
}
