import { backendsWith, type NamedBackend, requireBackend, unsupported } from "../backends.ts";
import { ApiError, badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readLimit, readQuery } from "../http/exchange.ts";
import { readHint, readJson } from "../http/json.ts";
import type { Source } from "../lists.ts";
import { hintedBackend, locate, readLocated, remember, toEntry } from "../location.ts";
import { completeFile } from "../objects.ts";
import { type FileFields, type FileQuery, requestIdOf } from "../provider.ts";
import { answerList, answerWith, changing } from "./answers.ts";
import { readMergedPage } from "./pages.ts";

// OpenAI's API reference: both the default and the maximum of `limit`.
const maxFilesPerPage = 10_000;

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
