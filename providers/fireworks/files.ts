import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { ApiError, badRequest, fileNotFound } from "../../src/errors.ts";
import type { Backend, FileContent, FileFields, FileUpload } from "../../src/provider.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import {
  type Account,
  orAbsent,
  pathOf,
  readAll,
  removeObject,
  Status,
  Text,
  Time,
  toSeconds,
} from "./account.ts";

/** The operations on files that Fireworks AI has. */
export type FileOperations = Required<
  Pick<Backend, "uploadFile" | "getFile" | "listFiles" | "readFile" | "deleteFile">
>;

/** What is read of a dataset. */
const Dataset = v.object({
  name: v.string(),
  createTime: Time,
  displayName: Text,
  state: v.nullish(v.string(), "STATE_UNSPECIFIED"),
  status: Status,
});
type Dataset = v.InferOutput<typeof Dataset>;

const Download = v.object({
  filenameToSignedUrls: v.record(v.string(), v.pipe(v.string(), v.url())),
});

// Fireworks AI keeps no size, and what a dataset is for it does not know: a dataset is a file if it
// was made here, by an id that ends in its size. Names begin with a letter and have small ones.
const ownId = /^file-[0-9a-f]{24}-(\d{1,12})$/;
// What the one file in a dataset is called; the client's name of it is the dataset's display name.
const innerName = "data.jsonl";

/** Makes the operations on the files of one account, of which none may exceed `maxBytes`. */
export function createFiles(account: Account, maxBytes: number): FileOperations {
  const { upstream, name: owner } = account;
  const nameOf = (id: string) => {
    if (!ownId.test(id)) throw fileNotFound(id);
    return `${owner}/datasets/${id}`;
  };
  const read = async (id: string, signal: AbortSignal) =>
    await orAbsent(upstream.get(pathOf(nameOf(id)), {}, Dataset, signal), fileNotFound(id));

  async function store(id: string, upload: FileUpload, signal: AbortSignal): Promise<Dataset> {
    const { content, filename } = upload;
    const exampleCount = String(await countExamples(content, signal));
    const dataset = { displayName: filename, exampleCount, userUploaded: {} };
    const made = await upstream.post(
      pathOf(`${owner}/datasets`),
      { datasetId: id, dataset },
      Dataset,
      signal,
    );
    if (made.name !== nameOf(id)) throw upstream.refuse(`is about dataset "${made.name}"`);
    if (made.displayName !== filename) {
      throw badRequest(
        `Cannot store file: Fireworks AI changes its name to "${made.displayName}"; use another, shorter one`,
        "file",
      );
    }
    const form = { fields: [], file: { name: "file", filename: innerName, content } };
    await upstream.postForm(pathOf(nameOf(id), "upload"), form, AnyObject, signal);
    return await read(id, signal);
  }

  async function discard(id: string): Promise<void> {
    // Not the client's signal: it may be what has ended the upload.
    const { signal } = new AbortController();
    try {
      await removeObject(account, nameOf(id), () => read(id, signal), signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return;
      const reason = error instanceof Error ? error.message : String(error);
      account.log("warn", `Cannot delete dataset "${id}" of an upload that failed`, { reason });
    }
  }

  return {
    async uploadFile(upload, signal) {
      refuseUpload(upload, maxBytes);
      const id = `file-${randomBytes(12).toString("hex")}-${upload.content.size}`;
      signal.throwIfAborted();
      try {
        return toFile(await store(id, upload, signal));
      } catch (error) {
        await discard(id);
        throw error;
      }
    },
    getFile: async (id, signal) => toFile(await read(id, signal)),
    async *listFiles({ order }, signal) {
      const all = await readAll(account, "datasets", Dataset, signal);
      const own = all.filter(({ name }) => ownId.test(idOf(name)));
      yield* (order === "asc" ? own : own.reverse()).map(toFile);
    },
    readFile: async (id, range, signal) => await download(account, nameOf(id), id, range, signal),
    async deleteFile(id, signal) {
      const removal = removeObject(account, nameOf(id), () => read(id, signal), signal);
      await orAbsent(removal, fileNotFound(id));
    },
  };
}

function idOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

function toFile({ name, createTime, displayName, state, status }: Dataset): FileFields {
  const id = idOf(name);
  const failed = status && status.code !== "OK";
  return {
    id,
    bytes: Number(ownId.exec(id)?.[1] ?? Number.NaN),
    created_at: toSeconds(createTime),
    filename: displayName,
    purpose: "fine-tune",
    status: failed ? "error" : (states.get(state) ?? state),
    ...(failed && { status_details: status.message }),
  };
}

const states = new Map([
  ["STATE_UNSPECIFIED", "uploaded"],
  ["UPLOADING", "uploaded"],
  ["READY", "processed"],
]);

function refuseUpload(upload: FileUpload, maxBytes: number): void {
  const { content, purpose, expires_after, extra } = upload;
  if (purpose !== "fine-tune") {
    throw badRequest(
      `Cannot store file: Fireworks AI keeps files for training only, so that "purpose" must be "fine-tune", not "${purpose.slice(0, 60)}"`,
      "purpose",
    );
  }
  if (expires_after !== undefined) {
    throw badRequest(
      'Cannot store file: a dataset of Fireworks AI does not expire; leave out "expires_after"',
      "expires_after",
    );
  }
  const [unknown] = extra[0] ?? [];
  if (unknown !== undefined) {
    throw badRequest(`Cannot store file: unknown field "${unknown}"`, unknown);
  }
  if (content.size === 0) throw badRequest("Cannot store file: it is empty", "file");
  if (content.size > maxBytes) {
    throw badRequest(
      `Cannot store file: it has ${content.size} bytes, and Fireworks AI takes at most ${maxBytes} in one upload`,
      "file",
    );
  }
}

/** Counts lines that are not blank, which Fireworks AI wants to know before it gets them. */
async function countExamples(content: Blob, signal: AbortSignal): Promise<number> {
  let count = 0;
  let blank = true;
  for await (const chunk of content.stream()) {
    signal.throwIfAborted();
    for (const byte of chunk) {
      if (byte === 0x0a) blank = true;
      else if (blank && byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) {
        blank = false;
        count += 1;
      }
    }
  }
  return count;
}

async function download(
  { upstream, connectSigned }: Account,
  name: string,
  id: string,
  range: string | undefined,
  signal: AbortSignal,
): Promise<FileContent> {
  const path = pathOf(name, "getDownloadEndpoint");
  const asked = upstream.get(path, {}, Download, signal);
  const { filenameToSignedUrls } = await orAbsent(asked, fileNotFound(id));
  const [address, ...others] = Object.values(filenameToSignedUrls);
  const url = URL.parse(address ?? "");
  if (url === null || others.length > 0 || !/^https?:$/.test(url.protocol)) {
    throw upstream.refuse(`has ${others.length + (url === null ? 0 : 1)} URLs of one file`);
  }
  return await orAbsent(connectSigned(url).download([], range, signal), fileNotFound(id));
}
