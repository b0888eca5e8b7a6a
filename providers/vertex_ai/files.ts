import * as v from "valibot";
import { ApiError, badRequest, fileNotFound } from "../../src/errors.ts";
import type { Backend, FileFields, FileQuery, FileReport } from "../../src/provider.ts";
import {
  createFileId,
  type Folder,
  findObject,
  findOwnId,
  isOwnFileId,
  type ObjectPlace,
  ownObjectName,
  readFileTime,
} from "./ids.ts";
import type { Storage, StoredObject } from "./storage.ts";
import {
  checkConversion,
  companionName,
  type Log,
  removeCompanions,
  storeFile,
} from "./store-file.ts";
import { checkUpload } from "./uploads.ts";

/** The operations on files that a bucket carries out. */
export type FileOperations = Required<
  Pick<
    Backend,
    | "uploadFile"
    | "checkFile"
    | "getFile"
    | "listFiles"
    | "readFile"
    | "deleteFile"
    | "readFileReport"
  >
>;

// Only the newest first can be read page by page; these are held in memory at a time.
const maxAscending = 100_000;

const Report = v.object({
  examples: v.number(),
  warnings: v.array(v.object({ line: v.number(), code: v.string(), message: v.string() })),
  warningCount: v.number(),
});

/** Makes the operations on the files of one bucket. */
export function createFiles(storage: Storage, log: Log): FileOperations {
  const { folder } = storage;

  /** Throws OpenAI's 404 for what is no file of this backend. */
  async function requireFile(id: string, signal: AbortSignal) {
    const place = placeOf(id, folder);
    const object = await storage.find(place, signal);
    if (object === undefined) throw fileNotFound(id);
    return { place, object };
  }

  async function deleteFile(id: string, signal: AbortSignal): Promise<void> {
    if (!isOwnFileId(id)) {
      throw badRequest(
        `Cannot delete the file "${id.slice(0, 200).toWellFormed()}": it was not stored through this gateway`,
        "id",
      );
    }
    if (!(await storage.remove(ownObjectName(folder, id), signal))) throw fileNotFound(id);
    // Without its object the file is gone for everyone; what it leaves is no client's concern.
    await removeCompanions(storage, id, log, signal);
  }

  async function readFileReport(id: string, signal: AbortSignal): Promise<FileReport> {
    const { object } = await requireFile(id, signal);
    if (!isConverted(id, object)) {
      const { examples } = object.metadata;
      if (isOwnFileId(id) && examples !== undefined) {
        return { examples: Number(examples), warnings: [], warningCount: 0 };
      }
      const message = `Cannot report on the file "${id}": it was not stored through this gateway`;
      throw new ApiError(404, message, { param: "id" });
    }
    const place = { bucket: folder.bucket, name: companionName(folder, id, "report.json") };
    const { body } = await storage.read(place, undefined, signal);
    const text = await new Response(body).text();
    const report = v.safeParse(v.pipe(v.string(), v.parseJson(), Report), text);
    if (report.success) return report.output;
    throw new ApiError(502, `Cannot report on the file "${id}": its report is damaged`, {
      code: "upstream_invalid_answer",
    });
  }

  return {
    async uploadFile(upload, signal) {
      const onUnsupported = checkUpload(upload);
      const id = createFileId();
      return toFile(id, await storeFile(storage, id, upload, onUnsupported, log, signal));
    },
    async checkFile(upload, signal) {
      const onUnsupported = checkUpload(upload);
      return await checkConversion(upload.content, onUnsupported, signal);
    },
    async getFile(id, signal) {
      const { object } = await requireFile(id, signal);
      return toFile(id, object);
    },
    listFiles: (query, signal) =>
      query.order === "desc"
        ? listNewestFirst(storage, query, signal)
        : listOldestFirst(storage, query, signal),
    async readFile(id, range, signal) {
      const { place, object } = await requireFile(id, signal);
      const source = isConverted(id, object)
        ? { bucket: folder.bucket, name: companionName(folder, id, "original") }
        : place;
      const content = await storage.read(source, range, signal);
      // Whatever type an object of others has, no browser should open it.
      const headers = { ...content.headers, "content-type": "application/octet-stream" };
      return { ...content, headers };
    },
    deleteFile,
    readFileReport,
  };
}

/**
 * The object of a file that clients may see: one of our own by its id, or another that is below the
 * configured folder. What we keep beside our files has no id, or the ids of others would not be
 * needed to read them.
 */
function placeOf(id: string, folder: Folder): ObjectPlace {
  const place = findObject(id, folder);
  if (place === undefined) throw fileNotFound(id);
  if (isOwnFileId(id)) return place;
  const { bucket, name } = place;
  const inFolder = bucket === folder.bucket && name.startsWith(folder.prefix);
  const rest = name.slice(folder.prefix.length);
  if (inFolder && !/^(file-[0-9a-f]{28}\.|media\/)/.test(rest)) return place;
  const message = `Cannot find the file "${id.slice(0, 200).toWellFormed()}": of other objects only those below "gs://${folder.bucket}/${folder.prefix}" can be read`;
  throw new ApiError(404, message, { param: "id" });
}

function isConverted(id: string, { metadata }: StoredObject): boolean {
  return isOwnFileId(id) && metadata.converted === "true";
}

function toFile(id: string, object: StoredObject): FileFields {
  const { name, size, timeCreated, metadata } = object;
  const own = isOwnFileId(id);
  const { filename, purpose, bytes } = own ? metadata : {};
  return {
    id,
    bytes: /^\d{1,15}$/.test(bytes ?? "") ? Number(bytes) : size,
    created_at: own ? readFileTime(id) : timeCreated,
    filename: filename ?? name.slice(name.lastIndexOf("/") + 1),
    purpose: purpose ?? "fine-tune",
    status: "processed",
  };
}

async function* listNewestFirst(
  storage: Storage,
  query: FileQuery,
  signal: AbortSignal,
): AsyncGenerator<FileFields> {
  const from = query.after === undefined ? undefined : cursor(storage, query.after);
  yield* listOwn(storage, { from, limit: query.limit }, signal, query.after);
}

async function* listOldestFirst(
  storage: Storage,
  query: FileQuery,
  signal: AbortSignal,
): AsyncGenerator<FileFields> {
  const to = query.after === undefined ? undefined : cursor(storage, query.after);
  const files: FileFields[] = [];
  for await (const file of listOwn(storage, { to, limit: maxAscending }, signal)) {
    if (files.length === maxAscending) {
      throw badRequest(
        `Cannot list the files oldest first: the bucket has more than ${maxAscending}; "desc" would work`,
        "order",
      );
    }
    files.push(file);
  }
  yield* files.reverse();
}

function cursor({ folder }: Storage, after: string): string {
  if (isOwnFileId(after)) return ownObjectName(folder, after);
  throw fileNotFound(after);
}

/** Files of our own, by the names of their objects: the newest first. */
async function* listOwn(
  storage: Storage,
  range: {
    readonly from?: string | undefined;
    readonly to?: string | undefined;
    readonly limit: number;
  },
  signal: AbortSignal,
  except?: string,
): AsyncGenerator<FileFields> {
  const { folder } = storage;
  const query = { ...range, prefix: `${folder.prefix}file-`, suffix: ".jsonl" };
  for await (const object of storage.list(query, signal)) {
    const id = findOwnId(folder, object.name);
    if (id !== undefined && id !== except) yield toFile(id, object);
  }
}
