// What a plugin imports as "tunegate": the contract, and the helpers that the built-in providers use.

export { outliveClient } from "../client-signal.ts";
export type { Service } from "../conformance/candidate.ts";
export {
  ApiError,
  type ApiErrorDetails,
  badRequest,
  fileNotFound,
  jobNotFound,
  modelNotFound,
  StartError,
  uploadNotFound,
} from "../errors.ts";
export type {
  CheckedJobRequest,
  CheckedMethod,
} from "../job-request.ts";
export { checkJobRequest, formatMethod } from "../job-request.ts";
export {
  type Backend,
  type CheckpointFields,
  type DatasetFormat,
  type DatasetRules,
  defineProvider,
  type EventFields,
  type Fields,
  type FileContent,
  type FileFields,
  type FileQuery,
  type FileReport,
  type FileUpload,
  type FileWarning,
  type JobFields,
  type JobQuery,
  type JobRequest,
  type JobStatus,
  type ListName,
  type ModelFields,
  type ModelRules,
  type OptionsSchema,
  type PageQuery,
  type PartFields,
  type Provider,
  type Runtime,
  requestIdOf,
  type TrainingPrice,
  type UploadFields,
  type UploadForm,
  withRequestId,
} from "../provider.ts";
export {
  connectUpstream,
  type Path,
  type Query,
  type Schema,
  type Upstream,
  type UpstreamOptions,
} from "../upstream/client.ts";
export type { ErrorFields, ErrorReader } from "../upstream/failures.ts";
export { type FormBody, makeFileForm, makePartForm } from "../upstream/form.ts";
export {
  AnyObject,
  CheckpointObject,
  EventObject,
  FileObject,
  IdentifiedObject,
  JobObject,
  ListObject,
} from "../upstream/objects.ts";
export { listPages, pageSize } from "../upstream/pages.ts";
export {
  apiBase,
  apiKey,
  extraHeaders,
  headersOption,
  headerValue,
  timeoutOption,
  timeoutSeconds,
} from "../upstream/settings.ts";
export { readTokenPages } from "../upstream/token-pages.ts";
