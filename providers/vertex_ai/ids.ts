import { badRequest } from "../../src/errors.ts";

/** Where a backend keeps its files: objects of `bucket` whose names begin with `prefix`. */
export interface Folder {
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
}

/** An object in Cloud Storage. */
export interface ObjectPlace {
  readonly bucket: string;
  readonly name: string;
}

/** A tuning job: the number that Google gave it, and where it runs. */
export interface JobPlace {
  readonly location: string;
  readonly number: string;
}

const mostMilliseconds = 0xffff_ffff_ffff;
const ownId = /^file-([0-9a-f]{12})[0-9a-f]{16}$/;
const foreignPrefix = "file-gs-";

/** Reads "bucket" or "bucket/prefix". */
export function parseFolder(text: string): Folder {
  const [bucket = "", ...rest] = text.replace(/\/+$/, "").split("/");
  return { bucket, prefix: rest.length === 0 ? "" : `${rest.join("/")}/` };
}

let lastTime = 0;

/**
 * A new id of a file: 12 hexadecimal digits count the milliseconds down, so that a bucket lists the
 * newest first, and 16 are random. Within a process each sorts before the earlier ones.
 */
export function createFileId(): string {
  lastTime = Math.max(Date.now(), lastTime + 1);
  const time = (mostMilliseconds - lastTime).toString(16).padStart(12, "0");
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex");
  return `file-${time}${random}`;
}

/** Whether a text has the form of `createFileId`. */
export function isOwnFileId(text: string): boolean {
  return ownId.test(text);
}

/** When an id of `createFileId` was made, in Unix seconds. */
export function readFileTime(id: string): number {
  const inverted = Number.parseInt(ownId.exec(id)?.[1] ?? "", 16);
  return Math.floor((mostMilliseconds - inverted) / 1000);
}

/** The object that tuning reads for a file of our own. */
export function ownObjectName(folder: Folder, id: string): string {
  return `${folder.prefix}${id}.jsonl`;
}

/** The id of a file by the name of its object; undefined for any other object. */
export function findOwnId(folder: Folder, name: string): string | undefined {
  if (!name.startsWith(folder.prefix) || !name.endsWith(".jsonl")) return undefined;
  const id = name.slice(folder.prefix.length, -".jsonl".length);
  return isOwnFileId(id) ? id : undefined;
}

/** Reads `gs://bucket/name`; undefined for any other text. */
export function parseGsUri(uri: string): ObjectPlace | undefined {
  const [, bucket, name] = /^gs:\/\/([a-z0-9][a-z0-9._-]{1,221})\/(.+)$/s.exec(uri) ?? [];
  if (bucket === undefined || name === undefined || !isObjectName(name)) return undefined;
  return { bucket, name };
}

// https://cloud.google.com/storage/docs/objects#naming
function isObjectName(name: string): boolean {
  if (name === "." || name === ".." || /[\r\n]/.test(name) || !name.isWellFormed()) return false;
  return Buffer.byteLength(name) <= 1024;
}

/** The object that a file id names, in any of its forms; undefined if it has none of them. */
export function findObject(id: string, folder: Folder | undefined): ObjectPlace | undefined {
  if (isOwnFileId(id)) {
    return folder && { bucket: folder.bucket, name: ownObjectName(folder, id) };
  }
  if (id.startsWith("gs://")) return parseGsUri(id);
  if (!id.startsWith(foreignPrefix)) return undefined;
  const encoded = id.slice(foreignPrefix.length);
  const place = parseGsUri(`gs://${Buffer.from(encoded, "base64url")}`);
  // One object has one id: what decodes alike but is spelt otherwise is none.
  return place && encodePlace(place) === id ? place : undefined;
}

/**
 * The `gs://` URI of a file by its id or itself such a URI, for the field `param` of a job request.
 * Throws a 400 for anything else, and where no bucket is configured for files of our own.
 */
export function toGsUri(id: string, folder: Folder | undefined, param: string): string {
  const place = findObject(id, folder);
  if (place !== undefined) return `gs://${place.bucket}/${place.name}`;
  const reason = isOwnFileId(id)
    ? 'the backend has no bucket; set "gcs_bucket_name"'
    : 'it is no file of this backend; upload one to it, or give the "gs://bucket/name" of an object';
  throw badRequest(`Cannot use the file "${id.slice(0, 200).toWellFormed()}": ${reason}`, param);
}

/**
 * The id of a file by its `gs://` URI: the short one for files of our own, else `file-gs-` and the
 * bucket and name in base64url. A text that is no such URI stays as it is.
 */
export function fromGsUri(uri: string, folder: Folder | undefined): string {
  const place = parseGsUri(uri);
  if (place === undefined) return uri;
  const own = folder?.bucket === place.bucket ? findOwnId(folder, place.name) : undefined;
  return own ?? encodePlace(place);
}

function encodePlace({ bucket, name }: ObjectPlace): string {
  return foreignPrefix + Buffer.from(`${bucket}/${name}`).toString("base64url");
}

/** The id of a tuning job; the location is part of it only where it is not `location`. */
export function toJobId(job: JobPlace, location: string): string {
  return `ftjob-${job.number}${job.location === location ? "" : `-${job.location}`}`;
}

/** Reads what `toJobId` made with the same `location`; undefined for any other text. */
export function fromJobId(id: string, location: string): JobPlace | undefined {
  const [, number, other] = /^ftjob-([1-9]\d{0,19})(?:-([a-z][a-z0-9-]{0,40}))?$/.exec(id) ?? [];
  if (number === undefined || other === location) return undefined;
  return { number, location: other ?? location };
}
