import { type NamedBackend, unsupported } from "../backends.ts";
import { followClient } from "../client-signal.ts";
import type { DatasetReport } from "../dataset/report.ts";
import { badRequest } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Exchange, readQuery } from "../http/exchange.ts";
import { readForm } from "../http/form.ts";
import type { FormFields } from "../http/form-parts.ts";
import type { FormRelay } from "../http/relay.ts";
import { hintedBackend, toEntry } from "../location.ts";
import { completeFile } from "../objects.ts";
import type { FileUpload } from "../provider.ts";
import { answerWith, changing } from "./answers.ts";
import { readDryRun } from "./dry-run.ts";

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
