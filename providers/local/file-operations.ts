import { badRequest, fileNotFound } from "../../src/errors.ts";
import type { Backend, FileFields, FileUpload, Runtime } from "../../src/provider.ts";
import { explainWriteError } from "./disk.ts";
import { readContent } from "./file-content.ts";
import type { FileStore, StoredFile } from "./file-store.ts";
import { createId, readCreatedAt } from "./ids.ts";
import { isOver, type JobRecord } from "./job-record.ts";
import type { JobStore } from "./job-store.ts";

// Purposes and times are those of OpenAI's API reference of `POST /files`.
const purposes = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
const minimumSeconds = 3600;
const maximumSeconds = 2_592_000;

/** The part of the local backend that deals with files. */
export function createFileOperations(files: FileStore, jobs: JobStore, log: Runtime["log"]) {
  // A damaged record protects no file: its job has links of its own to what it trains on.
  async function readJob(id: string): Promise<JobRecord | undefined> {
    try {
      return await jobs.read(id);
    } catch (error) {
      log("error", `Cannot read job "${id}"`, { error: String(error) });
      return undefined;
    }
  }

  return {
    async uploadFile(upload, signal) {
      const seconds = checkUpload(upload);
      const id = createId("file-");
      try {
        const file = await files.add(
          {
            id,
            filename: upload.filename,
            purpose: upload.purpose,
            expires_at: seconds === null ? null : readCreatedAt(id) + seconds,
            content: upload.content.stream(),
          },
          signal,
        );
        return toFileFields(file);
      } catch (error) {
        throw explainWriteError("upload file", error);
      }
    },

    async getFile(id) {
      return toFileFields(await requireFile(files, id));
    },

    async *listFiles(query) {
      if (query.after !== undefined) await requireFile(files, query.after);
      for await (const file of files.list(query.order, query.after)) {
        if (query.purpose === undefined || query.purpose === file.purpose) yield toFileFields(file);
      }
    },

    async readFile(id, range) {
      const { filename } = await requireFile(files, id);
      const path = files.contentPath(id);
      if (!(await Bun.file(path).exists())) {
        log("error", `Cannot read file "${id}": its content is gone; delete it`);
        throw fileNotFound(id);
      }
      return readContent(path, filename, range);
    },

    async deleteFile(id) {
      if ((await files.get(id)) === undefined) {
        if (!(await files.removeDamaged(id))) throw fileNotFound(id);
        return;
      }
      for (const jobId of await jobs.listUnfinishedIds()) {
        const job = await readJob(jobId);
        if (job === undefined || isOver(job)) continue;
        if (job.training_file === id || job.validation_file === id) {
          throw badRequest(
            `Cannot delete file "${id}": job "${jobId}" is not over; cancel it or wait for its end`,
            "id",
          );
        }
      }
      if (!(await files.remove(id))) throw fileNotFound(id);
    },
  } satisfies Partial<Backend>;
}

async function requireFile(files: FileStore, id: string): Promise<StoredFile> {
  const file = await files.get(id);
  if (file === undefined) throw fileNotFound(id);
  return file;
}

function checkUpload(upload: FileUpload): number | null {
  const [extra] = upload.extra;
  if (extra !== undefined) {
    throw badRequest(`Cannot upload file: unknown form field "${extra[0]}"`, extra[0]);
  }
  if (!purposes.includes(upload.purpose)) {
    throw badRequest(
      `Cannot upload file: "purpose" must be one of ${purposes.join(", ")}, not "${upload.purpose}"`,
      "purpose",
    );
  }
  if (upload.expires_after === undefined) return null;
  const { anchor, seconds } = upload.expires_after;
  if (anchor !== "created_at") {
    throw badRequest(
      `Cannot upload file: "expires_after.anchor" must be "created_at", not "${anchor}"`,
      "expires_after.anchor",
    );
  }
  if (!Number.isInteger(seconds) || seconds < minimumSeconds || seconds > maximumSeconds) {
    throw badRequest(
      `Cannot upload file: "expires_after.seconds" must be an integer from ${minimumSeconds} to ${maximumSeconds}, not ${seconds}`,
      "expires_after.seconds",
    );
  }
  return seconds;
}

function toFileFields(file: StoredFile): FileFields {
  const { id, bytes, created_at, expires_at, filename, purpose } = file;
  return { id, bytes, created_at, expires_at, filename, purpose, status: "processed" };
}
