import { Busboy, type BusboyHeaders } from "@fastify/busboy";
import { ApiError, badRequest } from "../errors.ts";
import { readBody } from "./body.ts";
import { hintField } from "./exchange.ts";
import { createSpool } from "./spool.ts";

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
const formOverheadBytes = maxFields * maxFieldBytes;

/** Reads a multipart form from a request, fields and file in any order. Throws 400, 408, 413 or 507. */
export async function readForm(request: Request, limits: FormLimits): Promise<Form> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw badRequest(
      `Cannot read the body: it must be multipart/form-data${type === "" ? "" : `, not "${type.slice(0, 100)}"`}`,
      null,
    );
  }
  if (!/;\s*boundary\s*=\s*("[^"]+"|[^\s;"]+)/i.test(type)) {
    throw badRequest("Cannot read the body: its content-type has no boundary", null);
  }
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > limits.maxFileBytes + formOverheadBytes) throw fileTooLarge(limits);
  const reader = createReader(type, limits);
  try {
    for await (const chunk of readBody(request, limits.idleSeconds)) await reader.push(chunk);
    return await reader.end();
  } catch (error) {
    await reader.discard();
    throw error;
  }
}

function createReader(type: string, limits: FormLimits) {
  const headers: BusboyHeaders = { "content-type": type };
  const parser = new Busboy({
    headers,
    preservePath: true,
    limits: {
      fields: maxFields,
      fieldSize: maxFieldBytes,
      files: 2,
      fileSize: Number.POSITIVE_INFINITY,
    },
  });
  const fields: (readonly [string, string])[] = [];
  const spool = createSpool(limits.spoolDirectory);
  let hint: string | undefined;
  let named: { filename: string; type: string } | undefined;
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
  };

  parser.on("field", (name, value, nameCut, valueCut) => {
    if (nameCut || valueCut) fail(tooLargeField(name));
    else if (name === limits.fileField) {
      fail(badRequest(`Cannot read the form: "${name}" must be a file, with a filename`, name));
    } else if (name === hintField) hint = value;
    else fields.push([name, value]);
  });
  parser.on("file", (name, stream, filename, _encoding, mimeType) => {
    stream.on("error", fail);
    if (name !== limits.fileField) {
      fail(badRequest(`Cannot take the file "${name}": it must be in "${limits.fileField}"`, name));
    } else if (named !== undefined) {
      fail(badRequest(`Cannot take two files: "${name}" is given twice`, name));
    }
    if (!filename) fail(badRequest("Cannot take the file: it has no filename", name));
    if (failure !== undefined) return void stream.resume();
    named = { filename: unescapeFilename(filename), type: mimeType };
    stream.on("data", spool.write);
  });
  parser.on("fieldsLimit", () =>
    fail(badRequest(`Cannot read the form: it has more than ${maxFields} fields`, null)),
  );
  parser.on("error", (error) => fail(brokenForm(error)));
  const finished = new Promise<void>((resolve) => {
    parser.once("finish", resolve);
    parser.once("error", () => resolve());
  });

  async function check(): Promise<void> {
    if (spool.size() > limits.maxFileBytes) fail(fileTooLarge(limits));
    if (failure === undefined) await spool.settle();
    if (failure !== undefined) throw failure;
  }

  return {
    async push(chunk: Uint8Array): Promise<void> {
      parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      await check();
    },
    async end(): Promise<Form> {
      parser.end();
      await finished;
      await check();
      if (named === undefined) {
        throw badRequest(
          `Cannot read the form: the file is missing; send it as "${limits.fileField}"`,
          limits.fileField,
        );
      }
      const content = await spool.finish(named.type);
      return {
        hint,
        file: { content, filename: named.filename },
        fields,
        discard: spool.discard,
      };
    },
    discard: spool.discard,
  };
}

/** Undoes what browsers and SDKs do to file names (WHATWG's multipart/form-data encoding). */
function unescapeFilename(name: string): string {
  return name.replaceAll("%22", '"').replaceAll("%0D", "\r").replaceAll("%0A", "\n");
}

function brokenForm(error: unknown): ApiError {
  const reason = error instanceof Error ? error.message : String(error);
  return badRequest(`Cannot read the form: it is cut off or malformed (${reason})`, null);
}

function tooLargeField(name: string): ApiError {
  return badRequest(
    `Cannot read the form: the field "${name.slice(0, 100)}" has more than ${maxFieldBytes} bytes`,
    name.slice(0, 100),
  );
}

function fileTooLarge(limits: FormLimits): ApiError {
  return new ApiError(
    413,
    `Cannot take "${limits.fileField}": it has more than ${limits.maxFileBytes} bytes${limits.fileField === "file" ? "; larger files go up in parts (/v1/uploads), or raise general_settings.max_file_size_mb" : ""}`,
    { param: limits.fileField, code: "file_too_large" },
  );
}
