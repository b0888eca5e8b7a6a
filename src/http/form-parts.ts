import { ApiError, badRequest } from "../errors.ts";
import { hintField } from "./exchange.ts";
import type { FormLimits } from "./form.ts";
import type { FormListener } from "./multipart.ts";
import type { PartHeaders } from "./part-headers.ts";

/** What a form holds beside its file. */
export interface FormFields {
  readonly hint: string | undefined;
  /** Every other field, in the order they came, `a[b]` names as sent. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** The headers of the file, and where its content begins in the form, in bytes. */
export interface FilePart {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly start: number;
}

/** Takes the content of the file. */
export interface FileSink {
  /** Takes bytes that stay as they are; nothing is waited for. */
  write(chunk: Uint8Array): void;
}

/** Hears of a form's parts and keeps what they are. All throw a 400 or a 413. */
export interface Collector extends FormListener {
  /** Whether a line of the content begins as a boundary does. */
  hasLookalike(): boolean;
  /** How much of the file has come, in bytes. */
  fileBytes(): number;
  /** What the whole form was; throws where it had no file. */
  finish(): FormFields & { readonly file: FilePart };
}

const maxFields = 100;
const maxFieldBytes = 64 * 1024;

/**
 * Takes a form's parts: fields go to memory, the file to what `openSink` gives for it and for what
 * came before it.
 */
export function createCollector(
  limits: FormLimits,
  openSink: (file: FilePart, before: FormFields) => FileSink,
): Collector {
  const fields: (readonly [string, string])[] = [];
  let hint: string | undefined;
  let file: FilePart | undefined;
  let sink: FileSink | undefined;
  let fileBytes = 0;
  let hasLookalike = false;
  let field: { name: string; chunks: Uint8Array[]; bytes: number } | undefined;

  function openFile({ name, filename = "", type }: PartHeaders, start: number): void {
    if (name !== limits.fileField) {
      throw badRequest(`Cannot take the file "${name}": it must be in "${limits.fileField}"`, name);
    }
    if (file !== undefined) {
      throw badRequest(`Cannot take two files: "${name}" is given twice`, name);
    }
    if (filename === "") throw badRequest("Cannot take the file: it has no filename", name);
    file = { name, filename, type, start };
    sink = openSink(file, { hint, fields: [...fields] });
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
    onPart(headers, start) {
      if (headers.name.length > 200) {
        const name = headers.name.slice(0, 200);
        throw badRequest(`Cannot read the form: the name of "${name}…" is too long`, name);
      }
      if (headers.filename === undefined) openField(headers.name);
      else openFile(headers, start);
    },

    onData(chunk) {
      if (field === undefined) {
        fileBytes += chunk.length;
        if (fileBytes > limits.maxFileBytes) throw fileTooLarge(limits);
        sink?.write(chunk);
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

    onPartEnd() {
      if (field === undefined) return;
      const { name, chunks } = field;
      const value = decodeField(name, Buffer.concat(chunks));
      field = undefined;
      if (name !== hintField) fields.push([name, value]);
      else if (hint === undefined) hint = value;
      else throw badRequest(`Cannot take the field "${name}": it is given twice`, name);
    },

    onLookalike() {
      // What came before the file is written anew.
      hasLookalike ||= file !== undefined;
    },

    hasLookalike: () => hasLookalike,
    fileBytes: () => fileBytes,

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

/** The 413 for a file over the limit. */
export function fileTooLarge({ fileField, maxFileBytes }: FormLimits): ApiError {
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
