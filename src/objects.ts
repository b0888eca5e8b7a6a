import type {
  CheckpointFields,
  EventFields,
  Fields,
  FileFields,
  JobFields,
  ModelFields,
  PartFields,
  UploadFields,
} from "./provider.ts";

// The one place where objects of the contract become OpenAI objects: what its API reference
// requires is there, what the backend said stands, fields that we do not know pass through.

/** OpenAI's file object. */
export function completeFile(file: FileFields): Fields {
  const defaults = { status: "processed", status_details: null, expires_at: null };
  return label("file", file, defaults);
}

/** OpenAI's fine-tuning job object; `method` and `hyperparameters` are made from each other. */
export function completeJob(job: JobFields): Fields {
  const hyperparameters = job.hyperparameters ?? supervisedHyperparameters(job.method);
  const method = job.method ?? {
    type: "supervised",
    supervised: { hyperparameters: hyperparameters ?? {} },
  };
  const defaults = {
    fine_tuned_model: null,
    finished_at: null,
    error: null,
    organization_id: "",
    result_files: [],
    trained_tokens: null,
    validation_file: null,
    integrations: [],
    seed: 0,
    estimated_finish: null,
    metadata: null,
  };
  return { ...label("fine_tuning.job", job, defaults), hyperparameters, method };
}

function supervisedHyperparameters(method: unknown): unknown {
  if (typeof method !== "object" || method === null || !("supervised" in method)) return null;
  const { supervised } = method;
  if (typeof supervised !== "object" || supervised === null) return null;
  return "hyperparameters" in supervised ? supervised.hyperparameters : null;
}

/** OpenAI's event of a job. */
export function completeEvent(event: EventFields): Fields {
  return label("fine_tuning.job.event", event, { type: "message", data: null });
}

/** OpenAI's checkpoint of the job `jobId`. */
export function completeCheckpoint(checkpoint: CheckpointFields, jobId: string): Fields {
  return label("fine_tuning.job.checkpoint", checkpoint, { fine_tuning_job_id: jobId });
}

/** OpenAI's upload object. */
export function completeUpload(upload: UploadFields): Fields {
  return label("upload", upload, { file: null });
}

/** OpenAI's part of the upload `uploadId`. */
export function completePart(part: PartFields, uploadId: string): Fields {
  return label("upload.part", part, { upload_id: uploadId });
}

/** OpenAI's model object; `owned_by` names the backend that can tune it. */
export function completeModel(model: ModelFields, backend: string): Fields {
  return { ...label("model", model, { created: 0 }), owned_by: backend };
}

/** Names what an object is, first for the reader, and fills in what the backend left out. */
function label(object: string, fields: Fields & { readonly id: string }, defaults: Fields): Fields {
  return Object.assign({ object, id: fields.id }, defaults, fields, { object });
}
