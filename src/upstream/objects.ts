import * as v from "valibot";
import type { Fields } from "../provider.ts";

// The fields of OpenAI's objects that the contract needs; all others pass through unread.

const Id = v.pipe(v.string(), v.nonEmpty());

/** Reads any JSON object; an array is none. */
export const AnyObject = v.custom<Fields>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);

/** Reads an object of which only the id matters: a model, an upload, a part. */
export const IdentifiedObject = v.looseObject({ id: Id });

/** Reads a list that passes through whole. */
export const ListObject = v.looseObject({ data: v.array(v.unknown()) });

/** Reads a file. */
export const FileObject = v.looseObject({
  id: Id,
  bytes: v.number(),
  created_at: v.number(),
  filename: v.string(),
  purpose: v.string(),
});

/** Reads a fine-tuning job. */
export const JobObject = v.looseObject({
  id: Id,
  created_at: v.number(),
  model: v.string(),
  status: v.string(),
  training_file: v.string(),
});

/** Reads an event of a job. */
export const EventObject = v.looseObject({
  id: Id,
  created_at: v.number(),
  level: v.string(),
  message: v.string(),
});

/** Reads a checkpoint of a job. */
export const CheckpointObject = v.looseObject({
  id: Id,
  created_at: v.number(),
  fine_tuned_model_checkpoint: v.string(),
  step_number: v.number(),
  metrics: AnyObject,
});
