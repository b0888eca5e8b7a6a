import { createHash } from "node:crypto";
import * as v from "valibot";
import type { FakeAnswer, FakeRequest } from "../server.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  makeToken,
  Refusal,
  readJson,
  requireNoBody,
} from "./answers.ts";
import { type Files, readForm, storeFile } from "./files.ts";

/** An upload object and the parts that have come. */
export interface StoredUpload {
  readonly object: Item;
  readonly mimeType: string;
  readonly parts: Map<string, Buffer>;
}

/** The uploads of a fake account. */
export type Uploads = Map<string, StoredUpload>;

const CreateSchema = v.strictObject({
  filename: v.string(),
  purpose: v.picklist(["assistants", "batch", "fine-tune", "vision"]),
  bytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8 * 1024 ** 3)),
  mime_type: v.string(),
  expires_after: v.optional(
    v.strictObject({
      anchor: v.literal("created_at"),
      seconds: v.pipe(v.number(), v.integer(), v.minValue(3600), v.maxValue(2_592_000)),
    }),
  ),
});

const CompleteSchema = v.strictObject({
  part_ids: v.array(v.string()),
  md5: v.optional(v.string()),
});

/** `POST /uploads`. */
export function createUpload(uploads: Uploads, now: number, request: FakeRequest): FakeAnswer {
  const { filename, purpose, bytes, mime_type } = readJson(request, CreateSchema);
  const object: Item = {
    id: `upload_${makeToken(24)}`,
    object: "upload",
    bytes,
    created_at: now,
    filename,
    purpose,
    status: "pending",
    expires_at: now + 3600,
    file: null,
  };
  uploads.set(object.id, { object, mimeType: mime_type, parts: new Map() });
  return answerJson(object);
}

/** Routes below `/uploads/{id}`; `rest` is what follows the id. */
export function answerUpload(
  uploads: Uploads,
  files: Files,
  now: number,
  request: FakeRequest,
  id: string,
  rest: string,
): FakeAnswer | undefined {
  if (request.method !== "POST" || !["parts", "complete", "cancel"].includes(rest))
    return undefined;
  checkQuery(request, []);
  const upload = uploads.get(id);
  if (upload === undefined) {
    throw new Refusal(404, `No such Upload object: ${id}`, { param: "upload_id" });
  }
  if (upload.object.status !== "pending") {
    throw new Refusal(400, `Upload ${id} is ${upload.object.status}.`, { param: "upload_id" });
  }
  if (rest === "parts") return addPart(upload, now, request);
  if (rest === "complete") return completeUpload(upload, files, now, request);
  requireNoBody(request);
  upload.object.status = "cancelled";
  return answerJson(upload.object);
}

function addPart(upload: StoredUpload, now: number, request: FakeRequest): FakeAnswer {
  const { file, fields } = readForm(request, "data");
  if (fields.length > 0) throw new Refusal(400, "Unrecognized request argument supplied.");
  if (file.content.length > 64 * 1024 * 1024) throw new Refusal(413, "Part is too large.");
  const id = `part_${makeToken(24)}`;
  upload.parts.set(id, file.content);
  return answerJson({ id, object: "upload.part", created_at: now, upload_id: upload.object.id });
}

function completeUpload(
  upload: StoredUpload,
  files: Files,
  now: number,
  request: FakeRequest,
): FakeAnswer {
  const { part_ids, md5 } = readJson(request, CompleteSchema);
  const parts = part_ids.map((id) => {
    const part = upload.parts.get(id);
    if (part === undefined) throw new Refusal(400, `No such part: ${id}`, { param: "part_ids" });
    return part;
  });
  const content = Buffer.concat(parts);
  const { object } = upload;
  if (content.length !== object.bytes) {
    throw new Refusal(400, `Expected ${object.bytes} bytes, got ${content.length}.`);
  }
  if (md5 !== undefined && md5 !== createHash("md5").update(content).digest("hex")) {
    throw new Refusal(400, "The md5 does not match.", { param: "md5" });
  }
  const { filename, purpose } = object;
  object.status = "completed";
  object.file = storeFile(files, now, {
    filename: String(filename),
    purpose: String(purpose),
    content,
    type: upload.mimeType,
  });
  return answerJson(object);
}
