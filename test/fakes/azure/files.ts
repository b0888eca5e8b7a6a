import * as v from "valibot";
import { type Item, Refusal, requireNoBody, withEnds } from "../openai/answers.ts";
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

const purposes = ["fine-tune", "fine-tune-results", "assistants", "assistants_output", "batch"];
const importEntries = {
  purpose: v.picklist(purposes),
  filename: v.pipe(v.string(), v.nonEmpty()),
  content_url: v.pipe(v.string(), v.url()),
};
const Expiry = v.strictObject({ anchor: v.literal("created_at"), seconds: v.number() });
const Import = v.strictObject(importEntries);
const ExpiringImport = v.strictObject({ ...importEntries, expires_after: v.optional(Expiry) });

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
  files.set(object.id, { object, content, coming: [] });
  return object;
}

/** A file that came in: it goes through the states of `importing` from now on. */
function takeFile(
  state: FakeAzureState,
  now: number,
  content: Buffer,
  fields: Record<string, unknown>,
): Item {
  const object = storeFile(state, now, content, fields);
  state.files.get(object.id)?.coming.push(...state.importing);
  return object;
}

/** Routes from `/files` on. */
export function answerFiles(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, v1 } = call;
  const operation = `${request.method} ${action}`;
  if (operation === "POST " && id === undefined) return upload(call, state);
  if (operation === "POST " && id === "import" && !v1) return importFile(call, state);
  requireNoBody(request);
  checkParameters(call, id === undefined ? ["purpose"] : []);
  if (operation === "GET " && id === undefined) {
    const purpose = request.query.get("purpose");
    if (purpose !== null && !purposes.includes(purpose)) {
      throw new Refusal(400, "Bad purpose", { param: "purpose" });
    }
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
  if (operation === "GET ") {
    file.object.status = file.coming.shift() ?? file.object.status;
    return answerJson(file.object);
  }
  if (operation === "GET content") {
    const headers = { "content-type": "application/octet-stream" };
    return { status: 200, headers, body: file.content };
  }
  if (operation !== "DELETE ") return undefined;
  state.files.delete(file.object.id);
  return answerJson({ object: "file", deleted: true, id });
}

function upload(call: Call, state: FakeAzureState): FakeAnswer {
  const { request, now, expires } = call;
  checkParameters(call, []);
  const { fields, file } = readForm(request, "file");
  const { purpose, ...others } = Object.fromEntries(fields);
  if (purpose !== "fine-tune") throw new Refusal(400, "Bad purpose", { param: "purpose" });
  const [unknown] = Object.keys(others).filter(
    (name) => !expires || !/^expires_after\[(anchor|seconds)\]$/.test(name),
  );
  if (unknown !== undefined) throw new Refusal(400, `Unknown field ${unknown}`, { param: unknown });
  const { "expires_after[seconds]": seconds } = others;
  const expiry = seconds === undefined ? {} : { expires_at: now + Number(seconds) };
  const object = takeFile(state, now, file.content, { filename: file.filename, ...expiry });
  return answerJson(object, 201, { location: `${request.path}/${object.id}` });
}

function importFile(call: Call, state: FakeAzureState): FakeAnswer {
  checkParameters(call, []);
  const { purpose, filename } = readJson(call, call.expires ? ExpiringImport : Import);
  const object = takeFile(state, call.now, Buffer.from("{}\n"), { purpose, filename });
  // Azure does not know the size before it has fetched the file.
  object.bytes = null;
  return answerJson(object, 201, { location: call.request.path });
}
