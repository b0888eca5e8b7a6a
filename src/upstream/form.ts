import { open } from "node:fs/promises";
import type { FileUpload, UploadForm } from "../provider.ts";

/** The body of a multipart/form-data request with one file. */
export interface FormBody {
  /** The fields before the file; names may have brackets, as in `a[b]`. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly file: FormFile;
}

/** The file of a form; `content` is read while it is sent and need not be in memory. */
export interface FormFile {
  /** The field's name. */
  readonly name: string;
  readonly filename: string;
  readonly content: Blob;
}

/** The form of `POST /files`; the file comes last, so that the fields are known before it. */
export function makeFileForm(upload: FileUpload): FormBody {
  const { content, filename, purpose, expires_after: expiry, extra } = upload;
  const fields: [string, string][] = [["purpose", purpose]];
  if (expiry !== undefined) {
    fields.push(["expires_after[anchor]", expiry.anchor]);
    fields.push(["expires_after[seconds]", String(expiry.seconds)]);
  }
  for (const [name, value] of extra) fields.push([name, value]);
  return { fields, file: { name: "file", filename, content } };
}

/** The form of `POST /uploads/{id}/parts`. */
export function makePartForm(data: Blob): FormBody {
  return { fields: [], file: { name: "data", filename: "part", content: data } };
}

/** Wraps what went wrong while the content of a form was read: not the service's failure. */
export class ContentError extends Error {
  override readonly name = "ContentError";
}

/** Encodes a form as a stream whose length is known. */
export function encodeForm({ fields, file }: FormBody): UploadForm {
  const boundary = `form-${crypto.randomUUID()}`;
  const { name, filename, content } = file;
  const head = encodeFormHead(boundary, fields, { name, filename, type: content.type });
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: head.length + content.size + tail.length,
    pieces: readParts(head, content, tail),
  };
}

/** What comes before the content of a form's file. */
export function encodeFormHead(
  boundary: string,
  fields: FormBody["fields"],
  file: { readonly name: string; readonly filename: string; readonly type: string },
): Uint8Array {
  return Buffer.from(
    `${encodeFields(boundary, fields)}--${boundary}\r\n${disposition(file.name)}; filename="${escapeName(file.filename)}"\r\n` +
      `Content-Type: ${file.type || "application/octet-stream"}\r\n\r\n`,
  );
}

/** Fields of a form, each with the boundary before it and the line's end after it. */
export function encodeFields(boundary: string, fields: FormBody["fields"]): string {
  return fields
    .map(([name, value]) => `--${boundary}\r\n${disposition(name)}\r\n\r\n${value}\r\n`)
    .join("");
}

function disposition(name: string): string {
  return `Content-Disposition: form-data; name="${escapeName(name)}"`;
}

/** As WHATWG's multipart/form-data encoding algorithm says. */
function escapeName(name: string): string {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

async function* readParts(
  head: Uint8Array,
  content: Blob,
  tail: Uint8Array,
): AsyncGenerator<Uint8Array, void> {
  yield head;
  try {
    yield* readPieces(content);
  } catch (cause) {
    throw new ContentError("Cannot read the file that is to be sent", { cause });
  }
  yield tail;
}

/**
 * The same form, of which `onTaken` is called before its last byte is handed over: until then no
 * receiver can have the whole of it. Fails where the form does not have the length that it says.
 */
export function watchForm(form: UploadForm, onTaken: () => void): UploadForm {
  async function* readWatched(): AsyncGenerator<Uint8Array, void> {
    let bytes = 0;
    for await (const piece of form.pieces) {
      bytes += piece.length;
      if (bytes > form.length) break;
      if (bytes === form.length) onTaken();
      yield piece;
    }
    if (bytes === form.length) return;
    const cause = new Error(`Cannot send a form: it has ${bytes} bytes, not ${form.length}`);
    throw new ContentError(cause.message, { cause });
  }
  return { ...form, pieces: readWatched() };
}

const pieceBytes = 512 * 1024;

/** The bytes of a Blob; those of a file come in one buffer that is used over and over. */
async function* readPieces(content: Blob): AsyncGenerator<Uint8Array, void> {
  const path = pathOf(content);
  if (path === undefined) return yield* content.stream();
  const handle = await open(path);
  try {
    const piece = new Uint8Array(pieceBytes);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, pieceBytes);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Where a `Bun.file()` is; undefined for other Blobs and for parts of a file. */
function pathOf(content: Blob): string | undefined {
  if (!("exists" in content && "name" in content && typeof content.name === "string")) return;
  return Bun.file(content.name).size === content.size ? content.name : undefined;
}
