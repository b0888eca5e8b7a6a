import { ApiError, badRequest } from "../errors.ts";
import { readBody } from "./body.ts";
import { hintField } from "./exchange.ts";
import { createFormParser } from "./multipart.ts";
import type { PartHeaders } from "./part-headers.ts";
import { createSpool, type Spool } from "./spool.ts";

/** A multipart form that came as a body: exactly one file, and the fields beside it. */
export interface Form {
  readonly hint: string | undefined;
  readonly file: FormFile;
  /** Every other field, in the order they came, `a[b]` names as sent. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Removes what `file` keeps on disk; to be called on every way out. */
  discard(): Promise<void>;
}

/** The file of a form; `content` is in memory when small, else on disk. */
export interface FormFile {
  readonly content: Blob;
  readonly filename: string;
  /** Of the content, in hexadecimal. */
  readonly sha256: string;
}

/** What a form may hold. */
export interface FormLimits {
  /** The name of the file's field: `file` for files, `data` for parts of uploads. */
  readonly fileField: string;
  readonly maxFileBytes: number;
  /** How long the client may send nothing. */
  readonly idleSeconds: number;
  /** Where large files wait; made if missing. */
  readonly spoolDirectory: string;
}

const maxFields = 100;
const maxFieldBytes = 64 * 1024;
// Room for boundaries, part headers and fields beside the file.
const overheadBytes = 8 * 1024 * 1024;

/** Reads a multipart form, fields and file in any order. Throws 400, 408, 413 or 507. */
export async function readForm(request: Request, limits: FormLimits): Promise<Form> {
  const boundary = readBoundary(request.headers.get("content-type") ?? "");
  const most = limits.maxFileBytes + overheadBytes;
  if (Number(request.headers.get("content-length") ?? 0) > most) throw fileTooLarge(limits);
  const spool = createSpool(limits.spoolDirectory);
  const collector = createCollector(limits, spool);
  const parser = createFormParser(boundary, collector);
  let bytes = 0;
  try {
    for await (const chunk of readBody(request, limits.idleSeconds)) {
      bytes += chunk.length;
      if (bytes > most) throw fileTooLarge(limits);
      parser.push(chunk);
      await spool.settle();
    }
    parser.end();
    const { file, hint, fields } = collector.finish();
    const { content, sha256 } = await spool.finish(file.type);
    const { filename } = file;
    return { hint, fields, file: { content, filename, sha256 }, discard: spool.discard };
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

function readBoundary(type: string): string {
  if (!/^multipart\/form-data[ \t]*(?:;|$)/i.test(type)) {
    throw badRequest(
      `Cannot read the body: it must be multipart/form-data${type === "" ? "" : `, not "${type.slice(0, 100)}"`}`,
      null,
    );
  }
  const [, quoted, token] = /;[ \t]*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(type) ?? [];
  const boundary = quoted ?? token;
  if (boundary === undefined || boundary.length > 200) {
    throw badRequest(
      `Cannot read the body: its content-type has ${boundary === undefined ? "no boundary" : "a boundary of more than 200 characters"}`,
      null,
    );
  }
  return boundary;
}

/** Takes a form's parts: the file goes to the spool, fields to memory. */
function createCollector(limits: FormLimits, spool: Spool) {
  const fields: (readonly [string, string])[] = [];
  let hint: string | undefined;
  let file: { filename: string; type: string } | undefined;
  let field: { name: string; chunks: Uint8Array[]; bytes: number } | undefined;

  function openFile({ name, filename = "", type }: PartHeaders): void {
    if (name !== limits.fileField) {
      throw badRequest(`Cannot take the file "${name}": it must be in "${limits.fileField}"`, name);
    }
    if (file !== undefined) {
      throw badRequest(`Cannot take two files: "${name}" is given twice`, name);
    }
    if (filename === "") throw badRequest("Cannot take the file: it has no filename", name);
    file = { filename, type };
  }

  function openField(name: string): void {
    if (name === limits.fileField) {
      throw badRequest(`Cannot read the form: "${name}" must be a file, with a filename`, name);
    }
    if (fields.length >= maxFields) {
      throw badRequest(`Cannot read the form: it has more than ${maxFields} fields`, null);
    }
    field = { name, chunks: [], bytes: 0 };
  }

  return {
    onPart(headers: PartHeaders): void {
      if (headers.name.length > 200) {
        const name = headers.name.slice(0, 200);
        throw badRequest(`Cannot read the form: the name of "${name}…" is too long`, name);
      }
      if (headers.filename === undefined) openField(headers.name);
      else openFile(headers);
    },

    onData(chunk: Uint8Array): void {
      if (field === undefined) {
        spool.write(chunk);
        if (spool.size() > limits.maxFileBytes) throw fileTooLarge(limits);
        return;
      }
      field.bytes += chunk.length;
      field.chunks.push(chunk);
      if (field.bytes > maxFieldBytes) {
        throw badRequest(
          `Cannot read the form: the field "${field.name}" has more than ${maxFieldBytes} bytes`,
          field.name,
        );
      }
    },

    onPartEnd(): void {
      if (field === undefined) return;
      const { name, chunks } = field;
      const value = decodeField(name, Buffer.concat(chunks));
      field = undefined;
      if (name !== hintField) fields.push([name, value]);
      else if (hint === undefined) hint = value;
      else throw badRequest(`Cannot take the field "${name}": it is given twice`, name);
    },

    finish() {
      if (file !== undefined) return { file, hint, fields };
      const { fileField } = limits;
      throw badRequest(
        `Cannot read the form: the file is missing; send it as "${fileField}"`,
        fileField,
      );
    },
  };
}

function decodeField(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badRequest(`Cannot read the form: the field "${name}" is not UTF-8`, name);
  }
}

function fileTooLarge({ fileField, maxFileBytes }: FormLimits): ApiError {
  const advice =
    fileField === "file"
      ? "; larger files go up in parts (/v1/uploads), or raise general_settings.max_file_size_mb"
      : "";
  return new ApiError(
    413,
    `Cannot take "${fileField}": it has more than ${maxFileBytes} bytes${advice}`,
    { param: fileField, code: "file_too_large" },
  );
}
