import * as v from "valibot";
import { Refusal, requireNoBody } from "../openai/answers.ts";
import type { FakeAnswer } from "../server.ts";
import {
  answerJson,
  type Call,
  checkParameters,
  type FakeAzureState,
  makeId,
  readForm,
  readJson,
} from "./calls.ts";
import { storeFile } from "./files.ts";

const CreateUpload = v.strictObject({
  purpose: v.string(),
  filename: v.string(),
  bytes: v.number(),
  mime_type: v.string(),
});
const CompleteUpload = v.strictObject({
  part_ids: v.array(v.string()),
  md5: v.optional(v.string()),
});

/** Routes from `/uploads` on. */
export function answerUploads(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, now } = call;
  checkParameters(call, []);
  if (request.method !== "POST") return undefined;
  if (id === undefined) {
    const { filename, bytes, purpose } = readJson(call, CreateUpload);
    const object = { id: makeId("upload_"), object: "upload", created_at: now, status: "pending" };
    const expiry = { expires_at: now + 7200, file: null };
    state.uploads.set(object.id, {
      object: { ...object, filename, bytes, purpose, ...expiry },
      parts: new Map(),
    });
    return answerJson(state.uploads.get(object.id)?.object);
  }
  const upload = state.uploads.get(id);
  if (upload === undefined) throw new Refusal(404, "No such upload.", { code: "notFound" });
  if (action === "parts") {
    const part = { id: makeId("part_"), object: "upload.part", created_at: now, upload_id: id };
    upload.parts.set(part.id, readForm(request, "data").file.content);
    return answerJson({ ...part, azure_block_id: "AAAA" });
  }
  if (upload.object.status !== "pending") {
    throw new Refusal(409, `The upload is ${upload.object.status}.`, { code: "conflict" });
  }
  if (action === "complete") {
    const { part_ids } = readJson(call, CompleteUpload);
    const parts = part_ids.map((part) => {
      const content = upload.parts.get(part);
      if (content !== undefined) return content;
      throw new Refusal(400, `There is no part '${part}'.`, { param: "part_ids" });
    });
    const { filename, purpose } = upload.object;
    upload.object.file = storeFile(state, now, Buffer.concat(parts), { filename, purpose });
    upload.object.status = "completed";
    return answerJson(upload.object);
  }
  if (action !== "cancel") return undefined;
  requireNoBody(request);
  upload.object.status = "cancelled";
  return answerJson(upload.object);
}
