import type { NamedBackend } from "../backends.ts";
import { followClient } from "../client-signal.ts";
import { badRequest, uploadNotFound } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readQuery } from "../http/exchange.ts";
import { readForm } from "../http/form.ts";
import { readHint, readJson } from "../http/json.ts";
import { hintedBackend, toEntry } from "../location.ts";
import { completeFile, completePart, completeUpload } from "../objects.ts";
import type { Fields, FileFields } from "../provider.ts";
import { answerWith, changing } from "./answers.ts";

// OpenAI's API reference: a part may have 64 MB.
const maxPartBytes = 64 * 1024 * 1024;

/** POST /uploads */
export async function createUpload(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange);
  const { hint, fields } = await readJson(exchange.request, gateway.settings.idleSeconds);
  const backend = hintedBackend(gateway, exchange, query, hint) ?? gateway.backends.fallback;
  const upload = await changing(backend.uploads.createUpload(fields, gateway.stopping));
  const created_at = typeof upload.created_at === "number" ? upload.created_at : now();
  await gateway.ledger.record("upload", [toEntry(backend, { ...upload, created_at })]);
  return answerWith(exchange, completeUpload(upload), upload);
}

/** POST /uploads/{id}/parts */
export async function addUploadPart(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const query = readQuery(exchange);
  const form = await readForm(exchange.request, {
    fileField: "data",
    maxFileBytes: maxPartBytes,
    idleSeconds: gateway.settings.idleSeconds,
    spoolDirectory: gateway.settings.spoolDirectory,
  });
  try {
    const [unknown] = form.fields;
    if (unknown !== undefined) {
      throw badRequest(`Cannot add the part: the field "${unknown[0]}" is not known`, unknown[0]);
    }
    const hint = hintedBackend(gateway, exchange, query, form.hint);
    const backend = await locateUpload(gateway, id, hint);
    const signal = followClient(exchange.request.signal, gateway.stopping);
    const part = await changing(backend.uploads.addUploadPart(id, form.file.content, signal));
    return answerWith(exchange, completePart(part, id), part);
  } finally {
    await form.discard();
  }
}

/** POST /uploads/{id}/complete */
export async function completeUploadParts(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const [id = ""] = exchange.ids;
  const query = readQuery(exchange);
  const { hint, fields } = await readJson(exchange.request, gateway.settings.idleSeconds);
  const backend = await locateUpload(gateway, id, hintedBackend(gateway, exchange, query, hint));
  const upload = await changing(backend.uploads.completeUpload(id, fields, gateway.stopping));
  const { file, sha256 } = upload;
  if (!isFile(file)) return answerWith(exchange, completeUpload(upload), upload);
  const digest = typeof sha256 === "string" ? sha256 : undefined;
  await gateway.ledger.record("file", [toEntry(backend, file, digest)]);
  return answerWith(exchange, completeUpload({ ...upload, file: completeFile(file) }), upload);
}

/** POST /uploads/{id}/cancel */
export async function cancelUpload(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const [id = ""] = exchange.ids;
  const query = readQuery(exchange);
  const { idleSeconds } = gateway.settings;
  const bodyHint = await readHint(exchange.request, idleSeconds, "cancel an upload");
  const hint = hintedBackend(gateway, exchange, query, bodyHint);
  const backend = await locateUpload(gateway, id, hint);
  const upload = await changing(backend.uploads.cancelUpload(id, gateway.stopping));
  return answerWith(exchange, completeUpload(upload), upload);
}

/** A cloud's upload cannot be read back: the ledger, the disk or there being one cloud must tell. */
async function locateUpload(
  gateway: Gateway,
  id: string,
  hint: NamedBackend | undefined,
): Promise<NamedBackend> {
  if (hint !== undefined) return hint;
  const { all } = gateway.backends;
  const entry = await gateway.ledger.find("upload", id);
  const known = all.find(({ name }) => name === entry?.backend);
  if (known !== undefined) return known;
  for (const backend of all) if (await backend.assembly?.has(id)) return backend;
  const [only, second] = all.filter(({ assembly }) => assembly === undefined);
  if (only === undefined || second !== undefined) throw uploadNotFound(id);
  return only;
}

function isFile(value: unknown): value is FileFields {
  if (typeof value !== "object" || value === null) return false;
  const { id, created_at }: Fields = { ...value };
  return typeof id === "string" && typeof created_at === "number";
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
