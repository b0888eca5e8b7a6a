import { backendsWith, type NamedBackend, requireBackend, unsupported } from "../backends.ts";
import { followClient } from "../client-signal.ts";
import type { DatasetReport } from "../dataset/report.ts";
import { ApiError, badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readLimit, readQuery } from "../http/exchange.ts";
import { readForm } from "../http/form.ts";
import type { FormFields } from "../http/form-parts.ts";
import { readHint, readJson } from "../http/json.ts";
import type { FormRelay } from "../http/relay.ts";
import type { Source } from "../lists.ts";
import { hintedBackend, locate, readLocated, remember, toEntry } from "../location.ts";
import { completeFile } from "../objects.ts";
import { type FileFields, type FileQuery, type FileUpload, requestIdOf } from "../provider.ts";
import { answerList, answerWith, changing } from "./answers.ts";
import { readDryRun } from "./dry-run.ts";
import { readMergedPage } from "./pages.ts";

// OpenAI's API reference: both the default and the maximum of `limit`.
const maxFilesPerPage = 10_000;

/** POST /files */
export async function createFile(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange, ["dry_run"]);
  const dryRun = readDryRun(query);
  // A hint that leads nowhere is told before the file is read.
  const early = hintedBackend(gateway, exchange, query);
  const { maxFileBytes, idleSeconds, spoolDirectory } = gateway.settings;
  const limits = { fileField: "file", maxFileBytes, idleSeconds, spoolDirectory };
  const findBackend = ({ hint }: FormFields) =>
    early ?? hintedBackend(gateway, exchange, query, hint) ?? gateway.backends.fallback;
  const form = await readForm(exchange.request, limits, {
    mayRelay({ hint, fields }) {
      // A hint that comes after the file still counts.
      const isCertain =
        early !== undefined || hint !== undefined || gateway.backends.all.length === 1;
      if (dryRun || !isCertain) return false;
      const [, purpose] = fields.find(([name]) => name === "purpose") ?? [];
      const { files } = findBackend({ hint, fields });
      return files.relayUpload !== undefined && !gateway.reports.readsContent(purpose);
    },
    check(whole) {
      readFields(whole.fields);
      findBackend(whole);
    },
  });
  if ("form" in form) return await relayFile(gateway, exchange, findBackend(form.before), form);
  let handedOver = false;
  try {
    const upload = { ...form.file, ...readFields(form.fields) };
    const backend = findBackend(form);
    const { signal } = exchange.request;
    if (dryRun) return await answerInspection(gateway, exchange, backend, upload);
    handedOver = true;
    const { file, report } = await changing(
      gateway.reports.store(backend, upload, followClient(signal, gateway.stopping), form.discard),
    );
    await gateway.ledger.record("file", [toEntry(backend, file, upload.sha256)]);
    return answerWith(exchange, completeFile(file), file, warnOfErrors(file.id, report));
  } finally {
    if (!handedOver) await form.discard();
  }
}

/** Hands a file to its backend while it still comes. */
async function relayFile(
  gateway: Gateway,
  exchange: Exchange,
  backend: NamedBackend,
  relay: FormRelay,
): Promise<Response> {
  const signal = followClient(exchange.request.signal, gateway.stopping);
  try {
    if (backend.files.relayUpload === undefined) throw unsupported(backend, "relay a file");
    const file = await changing(backend.files.relayUpload(relay.form, signal));
    await gateway.ledger.record("file", [toEntry(backend, file, relay.sha256())]);
    return answerWith(exchange, completeFile(file), file);
  } catch (error) {
    await relay.drain();
    // A form that is cut off has changed nothing.
    throw relay.failure() ?? error;
  } finally {
    await relay.discard();
  }
}

/** A warning header (RFC 7234, code 199) for a dataset that was taken with its errors. */
function warnOfErrors(id: string, report: DatasetReport | undefined): Record<string, string> {
  const count = report?.errors.count ?? 0;
  if (count === 0) return {};
  const errors = count === 1 ? "1 error" : `${count} errors`;
  return {
    warning: `199 tunegate "the dataset has ${errors}: see /v1/files/${encodeURIComponent(id)}/report"`,
  };
}

/** What an upload with `dry_run=true` is answered with: nothing is kept. */
async function answerInspection(
  gateway: Gateway,
  exchange: Exchange,
  backend: NamedBackend,
  upload: FileUpload,
): Promise<Response> {
  const report = await gateway.reports.inspect(backend, upload, exchange.request.signal);
  if (report === undefined) {
    throw badRequest(
      'Cannot report on the file: only files with the purpose "fine-tune" are datasets',
      "purpose",
    );
  }
  const { filename, sha256 } = upload;
  const about = { object: "file.report", backend: backend.name, filename, sha256 };
  // What has errors is refused before a backend could convert it.
  if (report.errors.count > 0) return answerWith(exchange, { ...about, ...report });
  const conversion = await backend.files.checkFile?.(upload, exchange.request.signal);
  const carried = conversion === undefined ? {} : { conversion };
  return answerWith(exchange, { ...about, ...report, ...carried });
}

const uploadFields = ["purpose", "expires_after[anchor]", "expires_after[seconds]"];

function readFields(
  fields: FormFields["fields"],
): Pick<FileUpload, "purpose" | "expires_after" | "extra"> {
  const known = new Map<string, string>();
  const extra: (readonly [string, string])[] = [];
  for (const field of fields) {
    const [name, value] = field;
    if (!uploadFields.includes(name)) extra.push(field);
    else if (known.has(name)) {
      throw badRequest(`Cannot take the field "${name}": it is given twice`, name);
    } else known.set(name, value);
  }
  const purpose = known.get("purpose");
  if (!purpose) {
    throw badRequest(
      'Cannot take the file: "purpose" is missing; for training, "fine-tune"',
      "purpose",
    );
  }
  const expiry = readExpiry(known);
  return { purpose, extra, ...(expiry && { expires_after: expiry }) };
}

function readExpiry(known: ReadonlyMap<string, string>): FileUpload["expires_after"] {
  const anchor = known.get("expires_after[anchor]");
  const text = known.get("expires_after[seconds]");
  if (anchor === undefined && text === undefined) return undefined;
  if (!anchor) {
    throw badRequest(
      'Cannot expire the file: "expires_after[anchor]" is missing',
      "expires_after[anchor]",
    );
  }
  if (text === undefined || !/^\d{1,12}$/.test(text)) {
    throw badRequest(
      'Cannot expire the file: "expires_after[seconds]" must be a whole number',
      "expires_after[seconds]",
    );
  }
  return { anchor, seconds: Number(text) };
}

/** POST /files/import, which OpenAI does not have and Azure has: the service fetches the file. */
export async function importFile(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange);
  const { hint, fields } = await readJson(exchange.request, gateway.settings.idleSeconds);
  const backend =
    hintedBackend(gateway, exchange, query, hint) ??
    requireBackend(gateway.backends, "files", "importFile", "import a file");
  if (backend.files.importFile === undefined) throw unsupported(backend, "import a file");
  const file = await changing(backend.files.importFile(fields, gateway.stopping));
  await gateway.ledger.record("file", [toEntry(backend, file)]);
  return answerWith(exchange, completeFile(file), file);
}

/** GET /files */
export async function listFiles(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const query = readQuery(exchange, ["after", "limit", "order", "purpose"]);
  const limit = readLimit(query, maxFilesPerPage, maxFilesPerPage);
  const order = query.values.get("order") ?? "desc";
  if (order !== "asc" && order !== "desc") {
    throw badRequest('Cannot order the files: "order" must be "asc" or "desc"', "order");
  }
  const purpose = query.values.get("purpose") || undefined;
  const hint = hintedBackend(gateway, exchange, query);
  const { signal } = exchange.request;
  const sources = fileSources(gateway, hint, { order, ...(purpose !== undefined && { purpose }) });
  const after = query.values.get("after");
  const page = await readMergedPage(
    gateway,
    sources,
    { kind: "file", limit, order, after },
    signal,
  );
  return answerList(gateway, exchange, page, { complete: completeFile, ends: true });
}

function fileSources(
  gateway: Gateway,
  hint: NamedBackend | undefined,
  query: Omit<FileQuery, "limit" | "after">,
): readonly Source<FileFields>[] {
  const able = hint === undefined ? backendsWith(gateway.backends, "files", "listFiles") : [hint];
  if (able.length === 0) throw unsupported(gateway.backends.fallback, "list files");
  return able.map((backend) => {
    const { files, name } = backend;
    if (files.listFiles === undefined) throw unsupported(backend, "list files");
    const list = files.listFiles.bind(files);
    return {
      backend: name,
      startsAfter: files.cursors?.includes("files") ?? false,
      read: (page, signal) => list({ ...query, ...page }, signal),
      ...(query.purpose !== undefined && {
        keep: (file: FileFields) => file.purpose === query.purpose,
      }),
    };
  });
}

/** GET /files/{id} */
export async function getFile(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const { signal } = exchange.request;
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const read = async (backend: NamedBackend) => {
    if (backend.files.getFile === undefined) throw unsupported(backend, "retrieve a file");
    return await backend.files.getFile(id, signal);
  };
  const { location, found: file } = await readLocated(gateway, "file", id, hint, signal, read);
  await remember(gateway, "file", location, file);
  return answerWith(exchange, completeFile(file), file);
}

/** DELETE /files/{id} */
export async function deleteFile(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const query = readQuery(exchange);
  const { idleSeconds } = gateway.settings;
  const bodyHint = await readHint(exchange.request, idleSeconds, "delete a file");
  const hint = hintedBackend(gateway, exchange, query, bodyHint);
  const { backend } = await locate(gateway, "file", id, hint, exchange.request.signal);
  if (backend.files.deleteFile === undefined) throw unsupported(backend, "delete a file");
  await changing(backend.files.deleteFile(id, gateway.stopping));
  await gateway.ledger.forget("file", id);
  await gateway.reports.forget(backend.name, id);
  return answerWith(exchange, { id, object: "file", deleted: true });
}

/** GET /files/{id}/report, which OpenAI does not have: what is known of a file's lines. */
export async function getFileReport(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const { signal } = exchange.request;
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const { backend } = await locate(gateway, "file", id, hint, signal);
  const report = await gateway.reports.find(backend.name, id);
  const conversion = await backend.files.readFileReport?.(id, signal);
  if (report === undefined && conversion === undefined) {
    throw new ApiError(
      404,
      `Cannot report on file "${id}": its content was not checked here when it was uploaded`,
      { param: "id", code: "report_not_found" },
    );
  }
  const carried = conversion === undefined ? {} : { conversion };
  return answerWith(exchange, { object: "file.report", file_id: id, ...report, ...carried });
}

/** GET /files/{id}/content */
export async function getFileContent(gateway: Gateway, exchange: Exchange): Promise<Response> {
  const id = exchange.ids[0] ?? "";
  const { signal, headers } = exchange.request;
  const hint = hintedBackend(gateway, exchange, readQuery(exchange));
  const { backend } = await locate(gateway, "file", id, hint, signal);
  if (backend.files.readFile === undefined) throw unsupported(backend, "download a file");
  const content = await backend.files.readFile(id, headers.get("range") ?? undefined, signal);
  const { body } = content;
  return new Response(body instanceof Blob ? body : holdWhileWaiting(body, exchange), {
    status: content.status ?? 200,
    headers: {
      "content-type": "application/octet-stream",
      "x-request-id": requestIdOf(content) ?? exchange.requestId,
      ...content.headers,
    },
  });
}

/** A backend may be quiet for longer than a connection may: the time is the backend's to limit. */
function holdWhileWaiting(
  body: ReadableStream<Uint8Array>,
  { holdOpen }: Exchange,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      holdOpen(true);
      const { done, value } = await reader.read();
      holdOpen(false);
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
