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
  return { status: "processed", status_details: null, expires_at: null, ...file, object: "file" };
}

/** OpenAI's fine-tuning job object; `method` and `hyperparameters` are made from each other. */
export function completeJob(job: JobFields): Fields {
  const hyperparameters = job.hyperparameters ?? supervisedHyperparameters(job.method);
  const method = job.method ?? {
    type: "supervised",
    supervised: { hyperparameters: hyperparameters ?? {} },
  };
  return {
    error: null,
    fine_tuned_model: null,
    finished_at: null,
    organization_id: "",
    result_files: [],
    trained_tokens: null,
    validation_file: null,
    integrations: [],
    seed: 0,
    estimated_finish: null,
    metadata: null,
    ...job,
    hyperparameters,
    method,
    object: "fine_tuning.job",
  };
}

function supervisedHyperparameters(method: unknown): unknown {
  if (typeof method !== "object" || method === null || !("supervised" in method)) return null;
  const { supervised } = method;
  if (typeof supervised !== "object" || supervised === null) return null;
  return "hyperparameters" in supervised ? supervised.hyperparameters : null;
}

/** OpenAI's event of a job. */
export function completeEvent(event: EventFields): Fields {
  return { data: null, type: "message", ...event, object: "fine_tuning.job.event" };
}

/** OpenAI's checkpoint of the job `jobId`. */
export function completeCheckpoint(checkpoint: CheckpointFields, jobId: string): Fields {
  return { fine_tuning_job_id: jobId, ...checkpoint, object: "fine_tuning.job.checkpoint" };
}

/** OpenAI's upload object. */
export function completeUpload(upload: UploadFields): Fields {
  return { file: null, ...upload, object: "upload" };
}

/** OpenAI's part of the upload `uploadId`. */
export function completePart(part: PartFields, uploadId: string): Fields {
  return { upload_id: uploadId, ...part, object: "upload.part" };
}

/** OpenAI's model object; `owned_by` names the backend that can tune it. */
export function completeModel(model: ModelFields, backend: string): Fields {
  return { created: 0, ...model, object: "model", owned_by: backend };
}
