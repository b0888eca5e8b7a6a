import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { startDigest } from "./digest/digest.ts";
import { badRequest, uploadNotFound } from "./errors.ts";
import { type FileWriter, writeFile } from "./file-writer.ts";
import type { Backend, Fields, FileFields, FileUpload, UploadFields } from "./provider.ts";

/** The operations of OpenAI's uploads in parts. */
export type UploadOperations = Required<
  Pick<Backend, "createUpload" | "addUploadPart" | "completeUpload" | "cancelUpload">
>;

/** Stores a file; calls `release` once, whatever happens, when nobody reads its content any more. */
export type StoreUpload = (
  upload: FileUpload,
  signal: AbortSignal,
  release: () => Promise<void>,
) => Promise<FileFields>;

/** Uploads in parts that wait on this machine's disk. */
export interface Assembly extends UploadOperations {
  /** Whether the upload is one of these. */
  has(id: string): Promise<boolean>;
  /** Removes what has expired; run it now and then. */
  sweep(): Promise<void>;
}

// OpenAI's API reference: an upload has up to 8 GB and expires an hour after its creation.
const maxUploadBytes = 8 * 1024 ** 3;
const lifetimeSeconds = 3600;

const text = v.pipe(v.string("must be a string"), v.nonEmpty("must not be empty"));
const whole = v.pipe(v.number("must be a number"), v.integer("must be a whole number"));
const requestSchema = v.strictObject({
  filename: text,
  purpose: text,
  bytes: v.pipe(
    whole,
    v.minValue(1, "must be at least 1"),
    v.maxValue(maxUploadBytes, `must be at most ${maxUploadBytes}`),
  ),
  mime_type: v.string("must be a string"),
  expires_after: v.exactOptional(v.strictObject({ anchor: text, seconds: whole })),
});
const completionSchema = v.strictObject({
  part_ids: v.pipe(v.array(text, "must be a list of part ids"), v.nonEmpty("must name a part")),
  md5: v.exactOptional(v.nullable(v.string("must be a string"))),
});
const recordSchema = v.object({
  request: requestSchema,
  created_at: v.number(),
  status: v.picklist(["pending", "completed", "cancelled"]),
  part_ids: v.array(v.string()),
  file: v.nullable(v.custom<FileFields>((value) => typeof value === "object" && value !== null)),
  sha256: v.exactOptional(v.string()),
});

type UploadRecord = v.InferOutput<typeof recordSchema>;

/**
 * Gives a backend that takes only whole files OpenAI's uploads in parts: the parts wait below
 * `directory`, and completing the upload hands the backend one file. Answers and refusals are as
 * in OpenAI's API; completing an upload again with the same parts gives the same answer again.
 */
export function createAssembly(directory: string, store: StoreUpload): Assembly {
  const exclusive = createQueues();
  const pathOf = (id: string, name: string) => join(directory, id, name);

  async function read(id: string): Promise<UploadRecord> {
    const file = Bun.file(pathOf(id, "upload.json"));
    // An id becomes a path, so nothing but ids that were made here may pass.
    if (!/^upload_[0-9a-f]{32}$/.test(id) || !(await file.exists())) throw uploadNotFound(id);
    return v.parse(recordSchema, await file.json());
  }

  async function write(id: string, record: UploadRecord): Promise<UploadFields> {
    await Bun.write(pathOf(id, "upload.json.new"), JSON.stringify(record));
    await rename(pathOf(id, "upload.json.new"), pathOf(id, "upload.json"));
    return describe(id, record);
  }

  async function requirePending(id: string, action: string): Promise<UploadRecord> {
    const record = await read(id);
    const status = statusOf(record);
    if (status === "pending") return record;
    throw badRequest(`Cannot ${action} upload "${id}": it is ${status}`, "upload_id");
  }

  async function complete(id: string, fields: Fields, signal: AbortSignal): Promise<UploadFields> {
    const { part_ids, md5 } = parse(completionSchema, fields, "complete the upload");
    const known = await read(id);
    if (known.status === "completed" && known.part_ids.join() === part_ids.join()) {
      return describe(id, known);
    }
    const record = await requirePending(id, "complete");
    const path = pathOf(id, "whole");
    const removeWhole = () => rm(path, { force: true });
    // A crash may have left one.
    await removeWhole();
    let sha256: string;
    try {
      sha256 = await joinParts(id, part_ids, path, record, md5 ?? undefined);
    } catch (error) {
      await removeWhole();
      throw error;
    }
    const { filename, purpose, mime_type, expires_after } = record.request;
    const content = Bun.file(path, { type: mime_type });
    const expiry = expires_after === undefined ? {} : { expires_after };
    const upload = { content, sha256, filename, purpose, extra: [], ...expiry };
    const file = await store(upload, signal, removeWhole);
    const done = await write(id, { ...record, status: "completed", part_ids, file, sha256 });
    await removeParts(id);
    return done;
  }

  async function joinParts(
    id: string,
    partIds: readonly string[],
    path: string,
    { request }: UploadRecord,
    md5: string | undefined,
  ): Promise<string> {
    const stored = await listParts(id);
    const unknown = partIds.find((partId) => !stored.includes(partId));
    if (unknown !== undefined) {
      throw badRequest(`Cannot complete the upload: it has no part "${unknown}"`, "part_ids");
    }
    const sizes = partIds.map((partId) => Bun.file(pathOf(id, partId)).size);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes !== request.bytes) {
      throw badRequest(
        `Cannot complete the upload: the parts have ${bytes} bytes, and it was created for ${request.bytes}`,
        "part_ids",
      );
    }
    const hash = md5 === undefined ? undefined : createHash("md5");
    const digest = startDigest();
    async function fill(writer: FileWriter): Promise<void> {
      for (const partId of partIds) {
        for await (const chunk of Bun.file(pathOf(id, partId)).stream()) {
          hash?.update(chunk);
          writer.write(chunk);
          await writer.settle();
        }
      }
    }
    let sha256 = "";
    try {
      await writeFile(path, fill, digest.update);
    } finally {
      sha256 = await digest.finish();
    }
    const actual = hash?.digest("hex");
    if (md5?.toLowerCase() !== actual) {
      throw badRequest(`Cannot complete the upload: its md5 is ${actual}, not "${md5}"`, "md5");
    }
    return sha256;
  }

  async function listParts(id: string): Promise<readonly string[]> {
    const names = await readdir(join(directory, id));
    return names.filter((name) => name.startsWith("part_"));
  }

  async function sizeOfParts(id: string): Promise<number> {
    const parts = await listParts(id);
    return parts.reduce((sum, name) => sum + Bun.file(pathOf(id, name)).size, 0);
  }

  async function removeParts(id: string): Promise<void> {
    const parts = await listParts(id);
    await Promise.all(parts.map((name) => rm(pathOf(id, name), { force: true })));
  }

  return {
    async createUpload(fields) {
      const request = parse(requestSchema, fields, "create the upload");
      const id = `upload_${makeToken()}`;
      const created_at = Math.floor(Date.now() / 1000);
      return await exclusive(id, async () => {
        await mkdir(join(directory, id), { recursive: true, mode: 0o700 });
        return await write(id, {
          request,
          created_at,
          status: "pending",
          part_ids: [],
          file: null,
        });
      });
    },

    async addUploadPart(id, data, signal) {
      await requirePending(id, "add a part to");
      const partId = `part_${makeToken()}`;
      const draft = pathOf(id, `draft_${partId}`);
      try {
        await writeFile(draft, async (writer) => {
          for await (const chunk of data.stream()) {
            signal.throwIfAborted();
            writer.write(chunk);
            await writer.settle();
          }
        });
        // Behind whatever completes or cancels the upload meanwhile.
        await exclusive(id, async () => {
          const { request } = await requirePending(id, "add a part to");
          const bytes = (await sizeOfParts(id)) + data.size;
          if (bytes > request.bytes) {
            throw badRequest(
              `Cannot add the part: with it the parts have ${bytes} bytes, and the upload was created for ${request.bytes}`,
              "data",
            );
          }
          // A part that nobody hears of would only take the place of its repetition.
          signal.throwIfAborted();
          await rename(draft, pathOf(id, partId));
        });
      } finally {
        await rm(draft, { force: true });
      }
      return { id: partId, created_at: Math.floor(Date.now() / 1000), upload_id: id };
    },

    completeUpload: (id, fields, signal) => exclusive(id, () => complete(id, fields, signal)),

    cancelUpload: (id) =>
      exclusive(id, async () => {
        const record = await requirePending(id, "cancel");
        const cancelled = await write(id, { ...record, status: "cancelled" });
        await removeParts(id);
        return cancelled;
      }),

    async has(id) {
      return await read(id).then(
        () => true,
        () => false,
      );
    },

    async sweep() {
      const ids = await readdir(directory).catch(() => []);
      for (const id of ids) {
        await exclusive(id, async () => {
          const record = await read(id).catch(() => undefined);
          // What is over stays as long again, so that a late repetition finds its answer.
          if (record !== undefined && ageOf(record) < 2 * lifetimeSeconds) return;
          await rm(join(directory, id), { recursive: true, force: true });
        });
      }
    },
  };
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  fields: Fields,
  action: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, fields);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const param = v.getDotPath(issue) ?? "";
  if (issue.type === "strict_object" && issue.expected === "never") {
    throw badRequest(`Cannot ${action}: the field "${param}" is not known`, param);
  }
  const missing = issue.received === "undefined";
  throw badRequest(`Cannot ${action}: "${param}" ${missing ? "is missing" : issue.message}`, param);
}

function describe(id: string, record: UploadRecord): UploadFields {
  const { request, created_at, file, sha256 } = record;
  const { bytes, filename, purpose } = request;
  const expires_at = created_at + lifetimeSeconds;
  const status = statusOf(record);
  const digest = sha256 === undefined ? {} : { sha256 };
  return { id, bytes, created_at, filename, purpose, status, expires_at, file, ...digest };
}

function statusOf(record: UploadRecord): "pending" | "completed" | "cancelled" | "expired" {
  return record.status === "pending" && ageOf(record) >= lifetimeSeconds
    ? "expired"
    : record.status;
}

function ageOf(record: UploadRecord): number {
  return Date.now() / 1000 - record.created_at;
}

function makeToken(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Runs the tasks of one id one after the other. */
function createQueues() {
  const queues = new Map<string, Promise<unknown>>();
  return async <Result>(id: string, task: () => Promise<Result>): Promise<Result> => {
    const result = (queues.get(id) ?? Promise.resolve()).then(task);
    const settled = result.catch(() => undefined);
    queues.set(id, settled);
    try {
      return await result;
    } finally {
      if (queues.get(id) === settled) queues.delete(id);
    }
  };
}
