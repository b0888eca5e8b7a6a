import { checkGemini, convertToGemini, detectFormat } from "../../src/dataset/gemini/convert.ts";
import { ApiError } from "../../src/errors.ts";
import type { FileReport, FileUpload } from "../../src/provider.ts";
import { type Folder, ownObjectName } from "./ids.ts";
import type { Storage, StoredObject } from "./storage.ts";
import type { NewObject } from "./storage-upload.ts";
import type { OnUnsupported } from "./uploads.ts";

/** Writes one line to the gateway's log. */
export type Log = (
  level: "warn",
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

/** What is kept beside a file that was converted. */
export type Companion = "original" | "report.json";

const companions: readonly Companion[] = ["original", "report.json"];
const cleanSeconds = 30;

/** The object of what is kept beside a file. */
export function companionName(folder: Folder, id: string, companion: Companion): string {
  return `${folder.prefix}${id}.${companion}`;
}

/**
 * Stores a file in Gemini's format, and beside one that had to be converted what came and what was
 * changed. The object that tuning reads comes last, for it is what makes the file exist; where
 * anything fails nothing is left but images and documents, which other files may share.
 */
export async function storeFile(
  storage: Storage,
  id: string,
  upload: FileUpload,
  onUnsupported: OnUnsupported,
  log: Log,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { content, sha256, filename, purpose } = upload;
  const converted = (await detectFormat(content, signal)) !== "gemini";
  const examples = converted ? undefined : (await checkGemini(content, signal)).examples;
  const metadata = {
    id,
    filename: filename.toWellFormed(),
    purpose,
    sha256,
    bytes: String(content.size),
    converted: String(converted),
    ...(examples === undefined ? {} : { examples: String(examples) }),
  };
  const name = ownObjectName(storage.folder, id);
  const contentType = "application/jsonl";
  try {
    if (!converted) {
      return await create(storage, { ...fromBlob(name, content, metadata), contentType }, signal);
    }
    const original = companionName(storage.folder, id, "original");
    await create(storage, fromBlob(original, content, metadata), signal);
    const open = () => convert(storage, id, content, onUnsupported, signal);
    return await create(storage, { name, contentType, metadata, open }, signal);
  } catch (error) {
    await removeFile(storage, id, converted, log);
    throw error;
  }
}

/** What storing a file would leave out; throws what it would refuse. */
export async function checkConversion(
  content: Blob,
  onUnsupported: OnUnsupported,
  signal: AbortSignal,
): Promise<FileReport> {
  if ((await detectFormat(content, signal)) === "gemini") return await checkGemini(content, signal);
  const storeMedia = async () => "gs://bucket/media";
  const { lines, report } = convertToGemini(content, { onUnsupported, storeMedia }, signal);
  for await (const _ of lines);
  return report();
}

function fromBlob(
  name: string,
  content: Blob,
  metadata: Readonly<Record<string, string>> = {},
): NewObject {
  const { size } = content;
  const contentType = "application/octet-stream";
  return { name, contentType, metadata, size, open: () => content.stream() };
}

async function create(
  storage: Storage,
  object: NewObject,
  signal: AbortSignal,
): Promise<StoredObject> {
  const stored = await storage.create(object, signal);
  if (stored !== undefined) return stored;
  const message = "Cannot store the file: its upload was lost, and the bucket has a part of it";
  throw new ApiError(502, message, { code: "upstream_error", retry: false });
}

/** The converted lines; their end, without which the object is not made, waits for the report. */
async function* convert(
  storage: Storage,
  id: string,
  content: Blob,
  onUnsupported: OnUnsupported,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const storeMedia = (bytes: Uint8Array, mimeType: string) =>
    keepMedia(storage, bytes, mimeType, signal);
  const { lines, report } = convertToGemini(content, { onUnsupported, storeMedia }, signal);
  yield* lines;
  const name = companionName(storage.folder, id, "report.json");
  // Where the upload had to begin anew it is there already, and says the same.
  await storage.create(fromBlob(name, new Blob([JSON.stringify(report())])), signal);
}

/** Keeps an image or a document by the hash of its content, once for all files; returns its URI. */
async function keepMedia(
  { folder, find, create, remove }: Storage,
  bytes: Uint8Array,
  mimeType: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  const name = `${folder.prefix}media/${hash}.${mimeType.slice(mimeType.indexOf("/") + 1)}`;
  const found = await find({ bucket: folder.bucket, name }, signal);
  const md5 = new Bun.CryptoHasher("md5").update(bytes).digest("base64");
  // Of what arrived broken and could not be removed then, no other file may make use.
  if (found !== undefined && found.md5Hash !== md5) await remove(name, signal);
  if (found?.md5Hash !== md5) {
    const content = { name, contentType: mimeType, metadata: {}, size: bytes.length };
    const open = async function* () {
      yield bytes;
    };
    await create({ ...content, open }, signal);
  }
  return `gs://${folder.bucket}/${name}`;
}

/** Removes all there is of a file, also for a client that has gone. */
async function removeFile(
  storage: Storage,
  id: string,
  converted: boolean,
  log: Log,
): Promise<void> {
  const signal = AbortSignal.timeout(cleanSeconds * 1000);
  const own = ownObjectName(storage.folder, id);
  await removeObject(storage, own, log, signal);
  if (converted) await removeCompanions(storage, id, log, signal);
}

/** Removes what is kept beside a file; what cannot be removed is told to the log. */
export async function removeCompanions(
  storage: Storage,
  id: string,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    companions.map((companion) =>
      removeObject(storage, companionName(storage.folder, id, companion), log, signal),
    ),
  );
}

async function removeObject(
  storage: Storage,
  name: string,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await storage.remove(name, signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log("warn", "An object could not be removed from the bucket", { object: name, reason });
  }
}
