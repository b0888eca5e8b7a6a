import { createHash } from "node:crypto";
import * as v from "valibot";
import { type FakeAnswer, type FakeRequest, type FakeServer, startServer } from "../server.ts";
import {
  answerError,
  checkQuery,
  listObjects,
  readRange,
  StorageRefusal,
} from "./storage-answers.ts";

/** An object of the fake bucket. */
export interface FakeObject {
  readonly name: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly generation: string;
  readonly timeCreated: string;
}

/** What goes wrong with the next chunk that is sent. */
export type ChunkFault =
  /** Keeps that many bytes of it. */
  | { readonly keep: number }
  /** Forgets the session. */
  | { readonly expire: 404 | 410 }
  /** Changes a byte on the way. */
  | { readonly corrupt: true };

/** How a fake of Cloud Storage behaves. */
export interface FakeStorageOptions {
  /** Whether an access token is let in; `fake-access-token` alone if absent. */
  readonly accepts?: (token: string) => boolean;
  /** The largest page of a list; 1000 if absent. */
  readonly pageSize?: number;
}

/** A running fake of Cloud Storage with the bucket `bucket`. */
export interface FakeStorage extends FakeServer {
  readonly bucket: "bucket";
  /** By name. */
  readonly objects: Map<string, FakeObject>;
  /** How many uploads have neither ended nor been given up. */
  countOpenSessions(): number;
  /** Befall chunks in the order in which they are added. */
  readonly chunkFaults: ChunkFault[];
  /** Stores an object as if it had been uploaded. */
  addObject(name: string, content: string | Buffer, fields?: Partial<FakeObject>): FakeObject;
}

interface Session {
  readonly name: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  content: Buffer;
  /** Set once the upload has ended: what is asked later is answered alike. */
  finished?: FakeObject;
}

// https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
const chunkUnit = 256 * 1024;
// https://cloud.google.com/storage/quotas#objects
const maxMetadataBytes = 8 * 1024;
const bucket = "bucket";

const NewObject = v.strictObject({
  name: v.pipe(v.string(), v.nonEmpty(), v.maxBytes(1024)),
  contentType: v.string(),
  metadata: v.record(v.string(), v.string()),
});

/** Starts a server that behaves as the JSON API of Cloud Storage does. */
export async function startFakeStorage(options: FakeStorageOptions = {}): Promise<FakeStorage> {
  const { accepts = (token) => token === "fake-access-token", pageSize = 1000 } = options;
  const objects = new Map<string, FakeObject>();
  const sessions = new Map<string, Session>();
  const chunkFaults: ChunkFault[] = [];
  let generation = 1_700_000_000_000_000;

  function addObject(
    name: string,
    content: string | Buffer,
    fields: Partial<FakeObject> = {},
  ): FakeObject {
    generation += 1;
    const object = {
      name,
      content: Buffer.from(content),
      contentType: "application/octet-stream",
      metadata: {},
      generation: String(generation),
      timeCreated: new Date().toISOString(),
      ...fields,
    };
    objects.set(name, object);
    return object;
  }

  function startSession(request: FakeRequest): FakeAnswer {
    checkQuery(request, ["uploadType", "ifGenerationMatch"]);
    const { query } = request;
    if (query.get("uploadType") !== "resumable") throw new StorageRefusal(400, "Bad upload type");
    const result = v.safeParse(NewObject, readJson(request));
    if (!result.success)
      throw new StorageRefusal(400, `Invalid object: ${result.issues[0].message}`);
    const { name, contentType, metadata } = result.output;
    if (request.headers.get("x-upload-content-type") !== contentType) {
      throw new StorageRefusal(400, "The types of the content differ");
    }
    const bytes = Buffer.byteLength(Object.entries(metadata).flat().join(""));
    if (bytes > maxMetadataBytes) throw new StorageRefusal(400, "The metadata is too large");
    if (query.get("ifGenerationMatch") !== "0") throw new StorageRefusal(400, "Not a new object");
    if (objects.has(name)) throw conditionNotMet();
    const id = crypto.randomUUID();
    sessions.set(id, { name, contentType, metadata, content: Buffer.alloc(0) });
    const host = request.headers.get("host");
    const location = `http://${host}/upload/storage/v1/b/${bucket}/o?uploadType=resumable&upload_id=${id}`;
    return { status: 200, headers: { location, "x-guploader-uploadid": id }, body: "" };
  }

  function continueSession(request: FakeRequest): FakeAnswer {
    checkQuery(request, ["uploadType", "upload_id"]);
    const id = request.query.get("upload_id") ?? "";
    const session = sessions.get(id);
    if (session === undefined) throw new StorageRefusal(404, "No such upload");
    if (request.method === "DELETE") {
      sessions.delete(id);
      return { status: 499, headers: {}, body: "" };
    }
    if (request.method !== "PUT") throw new StorageRefusal(405, "Method not allowed");
    if (session.finished !== undefined) return answerObject(session.finished);
    const range = readRange(request.headers.get("content-range"));
    if (request.headers.get("content-length") !== String(range.length)) {
      throw new StorageRefusal(400, "The length of the chunk is not that of its range");
    }
    if (range.length > 0) keepChunk(id, session, range.start, range.total, request.body);
    if (range.total !== session.content.length) return answerOpen(session);
    if (objects.has(session.name)) throw conditionNotMet();
    session.finished = addObject(session.name, session.content, {
      contentType: session.contentType,
      metadata: session.metadata,
    });
    return answerObject(session.finished);
  }

  function keepChunk(
    id: string,
    session: Session,
    start: number,
    total: number | undefined,
    body: Buffer,
  ): void {
    if (total === undefined && body.length % chunkUnit !== 0) {
      throw new StorageRefusal(400, "A chunk is not a multiple of 256 KiB");
    }
    const { length } = session.content;
    if (start > length) throw new StorageRefusal(400, "A chunk is missing");
    const fault = chunkFaults.shift();
    if (fault !== undefined && "expire" in fault) {
      sessions.delete(id);
      throw new StorageRefusal(fault.expire, "The upload has expired");
    }
    // As Google's documentation says, what is kept already is ignored when it comes again.
    const fresh = body.subarray(length - start);
    const kept = fault !== undefined && "keep" in fault ? fresh.subarray(0, fault.keep) : fresh;
    session.content = Buffer.concat([session.content, kept]);
    if (fault === undefined || !("corrupt" in fault)) return;
    session.content[length] = (session.content[length] ?? 0) ^ 1;
  }

  function useObject(request: FakeRequest, name: string): FakeAnswer {
    const object = objects.get(name);
    const wanted = request.query.get("generation");
    if (object === undefined || (wanted !== null && wanted !== object.generation)) {
      throw new StorageRefusal(404, `No such object: ${bucket}/${name}`);
    }
    if (request.method === "DELETE") {
      checkQuery(request, ["generation"]);
      objects.delete(name);
      return { status: 204, headers: {}, body: "" };
    }
    if (request.method !== "GET") throw new StorageRefusal(405, "Method not allowed");
    checkQuery(request, ["alt", "generation"]);
    if (request.query.get("alt") !== "media") return answerObject(object);
    return answerContent(object, request.headers.get("range"));
  }

  function answer(request: FakeRequest): FakeAnswer {
    const { path, method, headers } = request;
    const [, token = ""] = /^Bearer (\S+)$/.exec(headers.get("authorization") ?? "") ?? [];
    if (!accepts(token)) throw new StorageRefusal(401, "Invalid Credentials");
    const [, upload, encoded = "", name] =
      /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(path) ?? [];
    if (encoded === "") throw new StorageRefusal(404, "Not Found");
    if (decodeURIComponent(encoded) !== bucket) {
      throw new StorageRefusal(404, "The specified bucket does not exist.");
    }
    if (upload !== undefined) {
      return method === "POST" ? startSession(request) : continueSession(request);
    }
    if (name !== undefined) return useObject(request, decodeURIComponent(name));
    if (method !== "GET") throw new StorageRefusal(405, "Method not allowed");
    return answerJson(listObjects(request, [...objects.values()], pageSize, toResource));
  }

  const server = await startServer((request) => {
    try {
      return answer(request);
    } catch (error) {
      if (error instanceof StorageRefusal) return answerError(error);
      throw error;
    }
  });
  const countOpenSessions = () =>
    [...sessions.values()].filter(({ finished }) => finished === undefined).length;
  return { ...server, bucket, objects, countOpenSessions, chunkFaults, addObject };
}

function conditionNotMet(): StorageRefusal {
  return new StorageRefusal(412, "At least one of the pre-conditions you specified did not hold.");
}

function readJson(request: FakeRequest): unknown {
  if (!request.headers.get("content-type")?.startsWith("application/json")) {
    throw new StorageRefusal(400, "The object is not described in JSON");
  }
  return JSON.parse(request.body.toString());
}

function answerOpen({ content }: Session): FakeAnswer {
  const range = content.length === 0 ? {} : { range: `bytes=0-${content.length - 1}` };
  return { status: 308, headers: range, body: "" };
}

function answerContent({ content, contentType }: FakeObject, range: string | null): FakeAnswer {
  const headers = { "content-type": contentType };
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return { status: 200, headers, body: content };
  const start = Number(first);
  if (start >= content.length) {
    return { status: 416, headers: {}, body: "Requested range not satisfiable" };
  }
  const end = last ? Math.min(Number(last), content.length - 1) : content.length - 1;
  const part = { ...headers, "content-range": `bytes ${start}-${end}/${content.length}` };
  return { status: 206, headers: part, body: content.subarray(start, end + 1) };
}

function toResource({ name, content, contentType, metadata, generation, timeCreated }: FakeObject) {
  return {
    kind: "storage#object",
    id: `${bucket}/${name}/${generation}`,
    name,
    bucket,
    generation,
    contentType,
    size: String(content.length),
    md5Hash: createHash("md5").update(content).digest("base64"),
    timeCreated,
    updated: timeCreated,
    // ProtoJSON leaves out what is empty.
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

function answerObject(object: FakeObject): FakeAnswer {
  return answerJson(toResource(object));
}

function answerJson(value: unknown): FakeAnswer {
  const headers = { "content-type": "application/json; charset=UTF-8" };
  return { status: 200, headers, body: JSON.stringify(value) };
}
