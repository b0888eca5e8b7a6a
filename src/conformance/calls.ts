import { encodeForm, makeFileForm } from "../upstream/form.ts";
import type { Method } from "./candidate.ts";
import {
  makeUpload,
  never,
  startJob,
  type Trial,
  uploadSample,
  urlSecret,
  type WholeBackend,
} from "./trial.ts";

/** The ids that calls are made with. */
export interface Ids {
  readonly file: string;
  readonly job: string;
  readonly upload: string;
  readonly model: string;
}

/** Calls one method and reads all of its answer. */
export type Call = (
  backend: WholeBackend,
  ids: Ids,
  trial: Trial,
  signal: AbortSignal,
) => Promise<unknown>;

const page = { limit: 2 };
const part = new Blob(["{}\n"]);
const announcement = {
  filename: "a.jsonl",
  purpose: "fine-tune",
  bytes: 3,
  mime_type: "text/jsonl",
};
const source = {
  filename: "a.jsonl",
  purpose: "fine-tune",
  content_url: `https://example.com/a?sig=${urlSecret}`,
};
const grader = {
  type: "string_check",
  name: "exact",
  input: "{{sample.output_text}}",
  reference: "4",
  operation: "eq",
};

/** One call of every method that asks the service; `previewJob` and `checkFile` need not. */
export const calls: Readonly<Record<Exclude<Method, "close" | "previewJob" | "checkFile">, Call>> =
  {
    uploadFile: (backend, _ids, { service }, signal) =>
      backend.uploadFile(makeUpload(service), signal),
    relayUpload: (backend, _ids, { service }, signal) =>
      backend.relayUpload(encodeForm(makeFileForm(makeUpload(service))), signal),
    importFile: (backend, _ids, _trial, signal) => backend.importFile(source, signal),
    getFile: (backend, { file }, _trial, signal) => backend.getFile(file, signal),
    listFiles: (backend, _ids, _trial, signal) =>
      Array.fromAsync(backend.listFiles({ ...page, order: "desc" }, signal)),
    readFile: async (backend, { file }, _trial, signal) => {
      const { body } = await backend.readFile(file, undefined, signal);
      return await new Response(body).text();
    },
    readFileReport: (backend, { file }, _trial, signal) => backend.readFileReport(file, signal),
    deleteFile: (backend, { file }, _trial, signal) => backend.deleteFile(file, signal),

    createJob: (backend, { file }, { service: { model } }, signal) =>
      backend.createJob({ model, training_file: file }, signal),
    getJob: (backend, { job }, _trial, signal) => backend.getJob(job, signal),
    listJobs: (backend, _ids, _trial, signal) => Array.fromAsync(backend.listJobs(page, signal)),
    cancelJob: (backend, { job }, _trial, signal) => backend.cancelJob(job, signal),
    pauseJob: (backend, { job }, _trial, signal) => backend.pauseJob(job, signal),
    resumeJob: (backend, { job }, _trial, signal) => backend.resumeJob(job, signal),
    deleteJob: (backend, { job }, _trial, signal) => backend.deleteJob(job, signal),
    listJobEvents: (backend, { job }, _trial, signal) =>
      Array.fromAsync(backend.listJobEvents(job, page, signal)),
    listJobCheckpoints: (backend, { job }, _trial, signal) =>
      Array.fromAsync(backend.listJobCheckpoints(job, page, signal)),

    createUpload: (backend, _ids, _trial, signal) => backend.createUpload(announcement, signal),
    addUploadPart: (backend, { upload }, _trial, signal) =>
      backend.addUploadPart(upload, part, signal),
    completeUpload: (backend, { upload }, _trial, signal) =>
      backend.completeUpload(upload, { part_ids: ["part_none"] }, signal),
    cancelUpload: (backend, { upload }, _trial, signal) => backend.cancelUpload(upload, signal),

    listCheckpointPermissions: (backend, { model }, _trial, signal) =>
      backend.listCheckpointPermissions(model, {}, signal),
    createCheckpointPermissions: (backend, { model }, _trial, signal) =>
      backend.createCheckpointPermissions(model, { project_ids: ["proj_a"] }, signal),
    deleteCheckpointPermission: (backend, { model }, _trial, signal) =>
      backend.deleteCheckpointPermission(model, "cp_none", signal),

    runGrader: (backend, _ids, _trial, signal) =>
      backend.runGrader({ grader, model_sample: "4" }, signal),
    validateGrader: (backend, _ids, _trial, signal) => backend.validateGrader({ grader }, signal),

    listModels: (backend, _ids, _trial, signal) => Array.fromAsync(backend.listModels(signal)),
    getModel: (backend, { model }, _trial, signal) => backend.getModel(model, signal),

    checkAccess: (backend, _ids, _trial, signal) => backend.checkAccess(signal),
  };

/** The methods whose call is about one object, which must be there. */
export const methodsWithId: readonly Method[] = [
  ...(["getFile", "readFile", "readFileReport", "deleteFile", "getJob"] as const),
  ...(["cancelJob", "pauseJob", "resumeJob", "deleteJob", "listJobEvents"] as const),
  ...(["listJobCheckpoints", "addUploadPart", "completeUpload", "cancelUpload"] as const),
  "getModel",
];

/** The calls of the methods that a backend has. */
export function callsOf({ backend }: Trial): readonly (readonly [method: string, call: Call])[] {
  const present = new Map(Object.entries(backend));
  return Object.entries(calls).filter(([method]) => present.has(method));
}

/** Ids that the service has, of the form that it gives them. */
export async function makeIds(trial: Trial): Promise<Ids> {
  const { backend, service, candidate } = trial;
  const file = await uploadSample(trial);
  const job = await startJob(trial, file.id);
  const upload = candidate.methods.includes("createUpload")
    ? (await backend.createUpload(announcement, never)).id
    : "";
  return { file: file.id, job: job.id, upload, model: service.model };
}
