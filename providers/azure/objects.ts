import * as v from "valibot";
import * as openai from "../../src/upstream/objects.ts";

// Azure's objects in OpenAI's words. A status that is in no list passes as it is spelled.

const fileStatuses = new Map([
  ["pending", "uploaded"],
  ["running", "uploaded"],
]);

const jobStatuses = new Map([
  ["created", "validating_files"],
  ["notRunning", "validating_files"],
  ["pending", "queued"],
  ["resuming", "queued"],
  ["canceled", "cancelled"],
]);

/** Reads a file as Azure keeps it; one that is deleted may still be shown. */
export const StoredFile = v.looseObject({
  ...openai.FileObject.entries,
  bytes: v.nullish(v.number(), 0),
  status: v.string(),
});

/** Whether a file is there no more. */
export function isDeleted(file: v.InferOutput<typeof StoredFile>): boolean {
  return file.status === "deleting" || file.status === "deleted";
}

/** The file as OpenAI would show it: `uploaded` until it can be used. */
export function translateFile(
  file: v.InferOutput<typeof StoredFile>,
): v.InferOutput<typeof openai.FileObject> {
  return { ...file, status: fileStatuses.get(file.status) ?? file.status };
}

/** Reads a file that was made just now. */
export const FileObject = v.pipe(StoredFile, v.transform(translateFile));

/** Reads a fine-tuning job. */
export const JobObject = v.pipe(
  v.looseObject({
    ...openai.JobObject.entries,
    result_files: v.nullish(v.array(v.string()), []),
    organization_id: v.nullish(v.string()),
    organisation_id: v.nullish(v.string()),
  }),
  v.transform(({ organization_id, organisation_id, ...job }) => {
    const organization = organization_id ?? organisation_id;
    return {
      ...job,
      status: jobStatuses.get(job.status) ?? job.status,
      ...(organization && { organization_id: organization }),
    };
  }),
);

/** Reads an event of a job. */
export const EventObject = v.looseObject({
  ...openai.EventObject.entries,
  level: v.pipe(
    v.string(),
    v.transform((level) => (level === "warning" ? "warn" : level)),
  ),
});

/** Reads an upload, and the file that it has become. */
export const UploadObject = v.looseObject({
  ...openai.IdentifiedObject.entries,
  file: v.optional(v.nullable(FileObject)),
});
