import { parseForm } from "../form.ts";
import type { FakeAnswer, FakeRequest } from "../server.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  makeToken,
  Refusal,
  requireNoBody,
  takePage,
  withEnds,
} from "./answers.ts";

/** A file object and its bytes. */
export interface StoredFile {
  readonly object: Item;
  readonly content: Buffer;
  /** The type of the uploaded part. */
  readonly type: string;
}

/** The files of a fake account. */
export type Files = Map<string, StoredFile>;

const purposes = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/** Stores a file as if it had been uploaded at `createdAt`, Unix seconds. */
export function storeFile(
  files: Files,
  createdAt: number,
  file: { filename: string; purpose: string; content: Buffer; type?: string; lifetime?: number },
): Item {
  const object: Item = {
    id: `file-${makeToken(22)}`,
    object: "file",
    bytes: file.content.length,
    created_at: createdAt,
    filename: file.filename,
    purpose: file.purpose,
    status: "processed",
    expires_at: file.lifetime === undefined ? null : createdAt + file.lifetime,
    status_details: null,
  };
  const { content, type = "application/octet-stream" } = file;
  files.set(object.id, { object, content, type });
  return object;
}

/** `POST /files`. */
export function createFile(files: Files, now: number, request: FakeRequest): FakeAnswer {
  const form = readForm(request, "file");
  const fields = new Map(form.fields);
  if (fields.size !== form.fields.length) throw new Refusal(400, "Duplicate form field.");
  const unknown = [...fields.keys()].find((name) => !/^(purpose|expires_after\[\w+\])$/.test(name));
  if (unknown !== undefined) {
    throw new Refusal(400, `Unrecognized request argument supplied: ${unknown}`, {
      param: unknown,
    });
  }
  const purpose = fields.get("purpose");
  if (purpose === undefined) {
    throw new Refusal(400, "Missing required parameter: 'purpose'.", { param: "purpose" });
  }
  if (!purposes.includes(purpose)) {
    throw new Refusal(400, `'${purpose}' is not one of ${JSON.stringify(purposes)} - 'purpose'`, {
      param: "purpose",
    });
  }
  const { content, filename, type } = form.file;
  if (content.length === 0) throw new Refusal(400, "File is empty.", { param: "file" });
  if (purpose === "fine-tune" && !filename.endsWith(".jsonl")) {
    throw new Refusal(400, `Invalid file format for Fine-Tuning API. Must be .jsonl`);
  }
  const lifetime = readLifetime(fields);
  return answerJson(
    storeFile(files, now, {
      filename: filename.replaceAll("%22", '"').replaceAll("%0D", "\r").replaceAll("%0A", "\n"),
      purpose,
      content,
      type,
      ...(lifetime === undefined ? {} : { lifetime }),
    }),
  );
}

function readLifetime(fields: ReadonlyMap<string, string>): number | undefined {
  const anchor = fields.get("expires_after[anchor]");
  const seconds = fields.get("expires_after[seconds]");
  if (anchor === undefined && seconds === undefined) return undefined;
  const value = Number(seconds);
  if (anchor !== "created_at" || !Number.isInteger(value) || value < 3600 || value > 2_592_000) {
    throw new Refusal(400, "Invalid 'expires_after'.", { param: "expires_after" });
  }
  return value;
}

/** The one file of a form, which must be in the field `name`, and the other fields. */
export function readForm(request: FakeRequest, name: string) {
  let form: ReturnType<typeof parseForm>;
  try {
    form = parseForm(request.headers.get("content-type"), request.body);
  } catch (error) {
    throw new Refusal(400, `fake: ${error}`);
  }
  const [file, another] = form.files;
  if (file === undefined || another !== undefined || file.name !== name) {
    throw new Refusal(400, `fake: expected exactly one file, in '${name}'`, { param: name });
  }
  if (form.fields.some(([field]) => field === "custom_llm_provider" || field === "provider")) {
    throw new Refusal(400, "fake: a routing hint was forwarded");
  }
  return { file, fields: form.fields };
}

/** Routes below `/files/{id}`; `rest` is what follows the id. */
export function answerFile(
  files: Files,
  request: FakeRequest,
  id: string,
  rest: string,
): FakeAnswer | undefined {
  const file = files.get(id);
  const operation = `${request.method} ${rest}`;
  if (!["GET ", "DELETE ", "GET content"].includes(operation)) return undefined;
  requireNoBody(request);
  checkQuery(request, []);
  if (file === undefined) throw new Refusal(404, `No such File object: ${id}`, { param: "id" });
  if (operation === "GET ") return answerJson(file.object);
  if (operation === "GET content") return answerContent(request, file);
  files.delete(id);
  return answerJson({ object: "file", deleted: true, id });
}

function answerContent(request: FakeRequest, { object, content }: StoredFile): FakeAnswer {
  const headers = {
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename="${object.filename}"`,
  };
  const range = request.headers.get("range");
  if (range === null) return { status: 200, headers, body: content };
  const [, first = "", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
  if (first === "" || Number(first) >= content.length) {
    throw new Refusal(416, "The range cannot be satisfied.", { code: "invalid_range" });
  }
  const end = last === "" ? content.length - 1 : Math.min(Number(last), content.length - 1);
  return {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${first}-${end}/${content.length}` },
    body: content.subarray(Number(first), end + 1),
  };
}

/** `GET /files`. */
export function listFiles(files: Files, request: FakeRequest): FakeAnswer {
  requireNoBody(request);
  checkQuery(request, ["purpose", "limit", "order", "after"]);
  const { query } = request;
  const order = query.get("order") ?? "desc";
  if (order !== "asc" && order !== "desc") {
    throw new Refusal(400, "Invalid 'order'.", { param: "order" });
  }
  const purpose = query.get("purpose");
  const items = [...files.values()]
    .map(({ object }) => object)
    .filter((object) => purpose === null || object.purpose === purpose);
  const page = takePage(request, items, {
    limit: 10_000,
    most: 10_000,
    ascending: order === "asc",
  });
  return answerJson({ object: "list", ...withEnds(page) });
}
