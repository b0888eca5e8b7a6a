import * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import type { FileContent } from "../../src/provider.ts";
import { connectUpstream, type Query, type Upstream } from "../../src/upstream/client.ts";
import { createTransport } from "../../src/upstream/http/connect.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { readTokenPages } from "../../src/upstream/token-pages.ts";
import type { Credentials } from "./credentials.ts";
import { makeErrorReader, storageAdvice } from "./google-errors.ts";
import type { Folder, ObjectPlace } from "./ids.ts";
import type { UploadService } from "./storage-session.ts";
import { type NewObject, uploadObject } from "./storage-upload.ts";

/** Cloud Storage as one backend uses it. */
export interface StorageOptions {
  /** The backend's name in the configuration; every error names it. */
  readonly backend: string;
  readonly folder: Folder;
  /** Such as `https://storage.googleapis.com`. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Seconds, as `UpstreamOptions` has it. */
  readonly timeout: number;
  readonly credentials: Credentials;
  /** Milliseconds before each further try of an upload; growing to some seconds if absent. */
  readonly retryPauses?: readonly number[];
}

/** An object without its content. */
export type StoredObject = v.InferOutput<typeof StoredObject>;

/** Reads an object of Cloud Storage's JSON API; numbers of 64 bits come as strings. */
export const StoredObject = v.object({
  name: v.string(),
  bucket: v.string(),
  generation: v.pipe(v.string(), v.digits()),
  size: v.pipe(v.string(), v.digits(), v.transform(Number)),
  md5Hash: v.optional(v.string()),
  timeCreated: v.pipe(
    v.string(),
    v.isoTimestamp(),
    v.transform((time) => Math.floor(Date.parse(time) / 1000)),
  ),
  metadata: v.optional(v.record(v.string(), v.string()), {}),
});

/** How far and what to list. */
export interface ObjectQuery {
  /** Names begin with it. */
  readonly prefix: string;
  /** Names end with it. */
  readonly suffix: string;
  /** The first name that counts, in the order of UTF-8. */
  readonly from?: string | undefined;
  /** The first name that no longer counts. */
  readonly to?: string | undefined;
  /** The number of objects that are going to be read at first. */
  readonly limit: number;
}

/** The calls of Cloud Storage; all throw `ApiError`, or the reason of `signal`. */
export interface Storage {
  readonly folder: Folder;
  /** Undefined for an object that is not there. */
  find(place: ObjectPlace, signal: AbortSignal): Promise<StoredObject | undefined>;
  /** Objects of the folder's bucket by name. */
  list(query: ObjectQuery, signal: AbortSignal): AsyncIterable<StoredObject>;
  /** The content, or `range` of it, the value of a `range` header. */
  read(place: ObjectPlace, range: string | undefined, signal: AbortSignal): Promise<FileContent>;
  /**
   * Writes an object; undefined if one of that name is there. What arrives otherwise than it was
   * sent is deleted again, and a 502.
   */
  create(object: NewObject, signal: AbortSignal): Promise<StoredObject | undefined>;
  /** Whether there was such an object. */
  remove(name: string, signal: AbortSignal): Promise<boolean>;
  /** Tries whether objects can be listed. */
  check(signal: AbortSignal): Promise<void>;
}

// The largest page of Cloud Storage.
const maxPageSize = 1000;
const defaultPauses = [250, 500, 1000, 2000, 4000, 8000];

/** Makes the client of one bucket; contacts nothing. */
export function connectStorage(options: StorageOptions): Storage {
  const { folder, backend, baseUrl } = options;
  const service = {
    backend,
    headers: options.headers,
    authorize: options.credentials.authorize,
    timeout: options.timeout,
    readError: makeErrorReader(storageAdvice),
  };
  const connect = (query: Query): Upstream =>
    connectUpstream({ ...service, baseUrl: `${baseUrl}/storage/v1`, query });
  const api = connect({});
  const media = connect({ alt: "media" });
  const retryPauses = options.retryPauses ?? defaultPauses;
  const transport = createTransport(baseUrl);
  const uploads: UploadService = {
    ...service,
    baseUrl,
    transport,
    bucket: folder.bucket,
    retryPauses,
  };
  const objects = ["b", folder.bucket, "o"];

  const remove = (name: string, query: Query, signal: AbortSignal): Promise<boolean> =>
    exists(connect(query).remove([...objects, name], signal));

  async function* list(
    { prefix, suffix, from, to, limit }: ObjectQuery,
    signal: AbortSignal,
  ): AsyncGenerator<StoredObject> {
    const query = {
      prefix,
      // Not every emulator knows it, so the names are looked at below all the same.
      matchGlob: `**${suffix}`,
      startOffset: from,
      endOffset: to,
      maxResults: Math.min(limit + 1, maxPageSize),
    };
    for await (const object of readTokenPages(api, objects, query, "items", StoredObject, signal)) {
      if (object.name.startsWith(prefix) && object.name.endsWith(suffix)) yield object;
    }
  }

  async function create(object: NewObject, signal: AbortSignal): Promise<StoredObject | undefined> {
    const uploaded = await uploadObject(uploads, object, signal);
    if (uploaded === undefined) return undefined;
    const { json, bytes, md5 } = uploaded;
    const stored = v.safeParse(StoredObject, json);
    if (!stored.success) throw api.refuse("is not the object that was stored");
    const { md5Hash, size, generation } = stored.output;
    if (md5Hash === md5 && size === bytes) return stored.output;
    await remove(object.name, { generation }, signal);
    const message = `Cannot store the file in backend "${backend}": what arrived is not what was sent`;
    throw new ApiError(502, message, { code: "upstream_checksum_mismatch", retry: false });
  }

  const explained = <Value>(promise: Promise<Value>) =>
    promise.catch((error) => {
      throw explainBucket(backend, folder.bucket, error);
    });

  return {
    folder,
    find({ bucket, name }, signal) {
      const object = api.get(["b", bucket, "o", name], {}, StoredObject, signal);
      // Of a bucket that nobody configured it says enough that there is no such object.
      return explained(orMissing(object, bucket === folder.bucket ? "object" : "any"));
    },
    async *list(query, signal) {
      try {
        yield* list(query, signal);
      } catch (error) {
        throw explainBucket(backend, folder.bucket, error);
      }
    },
    read: ({ bucket, name }, range, signal) =>
      media.download(["b", bucket, "o", name], range, signal),
    create: (object, signal) => explained(create(object, signal)),
    remove: (name, signal) => explained(remove(name, {}, signal)),
    async check(signal) {
      const query = { prefix: folder.prefix, maxResults: 1 };
      await explained(api.get(objects, query, AnyObject, signal));
    },
  };
}

// Cloud Storage tells a missing object and a missing bucket apart by its words alone.
const missingBucket = /\bbucket\b.*\bexist/i;

/** Undefined where there is no such object; a missing bucket stays a failure unless it is `any`. */
async function orMissing<Value>(
  promise: Promise<Value>,
  missing: "object" | "any" = "object",
): Promise<Value | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    if (missing === "object" && missingBucket.test(error.message)) throw error;
    return undefined;
  }
}

async function exists(promise: Promise<unknown>): Promise<boolean> {
  return (await orMissing(promise)) !== undefined;
}

function explainBucket(backend: string, bucket: string, error: unknown): unknown {
  if (!(error instanceof ApiError) || error.status !== 404) return error;
  const message = `Cannot use backend "${backend}": the bucket "${bucket}" does not exist; create it, or correct "gcs_bucket_name"`;
  return new ApiError(502, message, {
    code: "upstream_bucket_not_found",
    retry: false,
    cause: error,
  });
}
