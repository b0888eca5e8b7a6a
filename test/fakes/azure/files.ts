import { type Item, Refusal, requireNoBody, withEnds } from "../openai/answers.ts";
import type { FakeAnswer } from "../server.ts";
import {
  answerJson,
  type Call,
  checkParameters,
  type FakeAzureState,
  makeId,
  readForm,
} from "./calls.ts";

/** Stores a file as if it had been uploaded at `createdAt`; `fields` override its object's. */
export function storeFile(
  { files }: FakeAzureState,
  createdAt: number,
  content: Buffer,
  fields: Record<string, unknown>,
): Item {
  const object: Item = {
    id: makeId("file-"),
    object: "file",
    status: "pending",
    bytes: content.length,
    purpose: "fine-tune",
    filename: "train.jsonl",
    created_at: createdAt,
    ...fields,
  };
  files.set(object.id, { object, content });
  return object;
}

/** Routes from `/files` on. */
export function answerFiles(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, v1, now } = call;
  const operation = `${request.method} ${action}`;
  if (operation === "POST " && id === undefined) {
    const { fields, file } = readForm(request, "file");
    const { purpose, ...others } = Object.fromEntries(fields);
    if (purpose !== "fine-tune") throw new Refusal(400, "Bad purpose", { param: "purpose" });
    const [unknown] = Object.keys(others).filter((name) => !name.startsWith("expires_after["));
    if (unknown !== undefined) throw new Refusal(400, `Unknown field ${unknown}`);
    const object = storeFile(state, now, file.content, { filename: file.filename });
    return answerJson(object, 201, { location: `${request.path}/${object.id}` });
  }
  requireNoBody(request);
  checkParameters(call, id === undefined ? ["purpose"] : []);
  if (operation === "GET " && id === undefined) {
    const purpose = request.query.get("purpose");
    const data = [...state.files.values()]
      .map(({ object }) => object)
      .filter((object) => purpose === null || object.purpose === purpose);
    const page = { object: "list", data };
    return answerJson(v1 ? { ...withEnds(page), has_more: false } : page);
  }
  const file = state.files.get(id ?? "");
  if (file === undefined) {
    throw new Refusal(404, `The specified file '${id}' was not found.`, { code: "notFound" });
  }
  if (operation === "GET ") return answerJson(file.object);
  if (operation === "GET content") {
    const headers = { "content-type": "application/octet-stream" };
    return { status: 200, headers, body: file.content };
  }
  if (operation !== "DELETE ") return undefined;
  state.files.delete(file.object.id);
  return answerJson({ object: "file", deleted: true, id });
}
