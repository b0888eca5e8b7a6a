import type { Backend } from "../provider.ts";
import {
  checkpointAnswer,
  eventAnswer,
  fieldsAnswer,
  fileAnswer,
  jobAnswer,
  modelAnswer,
  partAnswer,
  type Reader,
  reportAnswer,
  uploadAnswer,
} from "./answers.ts";

/** The names of the contract's methods. */
export type MethodName = Exclude<keyof Backend, "cursors" | "close">;

/** How a method's answer is read. */
export interface Method {
  /** One answer, a list of them, a file's bytes, or nothing. */
  readonly kind: "one" | "list" | "content" | "nothing";
  readonly read?: Reader;
  /** Whether it may take as long as it takes: the bytes of a file go through it. */
  readonly endless?: true;
  /** Whether the answer's id is the first argument. */
  readonly sameId?: true;
}

const file = { kind: "one", read: fileAnswer } as const;
const job = { kind: "one", read: jobAnswer } as const;
const upload = { kind: "one", read: uploadAnswer } as const;
const fields = { kind: "one", read: fieldsAnswer } as const;
const nothing = { kind: "nothing" } as const;

/** Every method of a backend but `close`. */
export const methods: Readonly<Record<MethodName, Method>> = {
  uploadFile: { ...file, endless: true },
  relayUpload: { ...file, endless: true },
  importFile: { ...file, endless: true },
  getFile: { ...file, sameId: true },
  listFiles: { kind: "list", read: fileAnswer },
  readFile: { kind: "content" },
  deleteFile: nothing,
  checkFile: { kind: "one", read: reportAnswer, endless: true },
  readFileReport: { kind: "one", read: reportAnswer },
  createJob: job,
  previewJob: fields,
  getJob: { ...job, sameId: true },
  listJobs: { kind: "list", read: jobAnswer },
  cancelJob: { ...job, sameId: true },
  pauseJob: { ...job, sameId: true },
  resumeJob: { ...job, sameId: true },
  deleteJob: nothing,
  listJobEvents: { kind: "list", read: eventAnswer },
  listJobCheckpoints: { kind: "list", read: checkpointAnswer },
  createUpload: upload,
  addUploadPart: { kind: "one", read: partAnswer, endless: true },
  completeUpload: { ...upload, endless: true },
  cancelUpload: upload,
  listCheckpointPermissions: fields,
  createCheckpointPermissions: fields,
  deleteCheckpointPermission: fields,
  runGrader: fields,
  validateGrader: fields,
  listModels: { kind: "list", read: modelAnswer },
  getModel: { kind: "one", read: modelAnswer },
  checkAccess: nothing,
};
