import { open } from "node:fs/promises";
import type { FileUpload } from "../provider.ts";
import type { OutgoingStream } from "./http/transport.ts";

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

/** A form on its way out, and what is told of it. */
export interface EncodedForm extends OutgoingStream {
  readonly contentType: string;
  /** Whether the last byte has been taken: until then no receiver can have the whole form. */
  isTaken(): boolean;
}

/** Who hears of a form on its way out. */
export interface FormProgress {
  /** The receiver has taken another chunk. */
  readonly onProgress: () => void;
  /** The receiver takes the last one. */
  readonly onTaken: () => void;
}

/** Encodes a form as a stream whose length is known. */
export function encodeForm(form: FormBody, listener: FormProgress): EncodedForm {
  const boundary = `form-${crypto.randomUUID()}`;
  const { name, filename, content } = form.file;
  const encoder = new TextEncoder();
  const fields = form.fields.map(
    ([field, value]) => `--${boundary}\r\n${disposition(field)}\r\n\r\n${value}\r\n`,
  );
  const head = encoder.encode(
    `${fields.join("")}--${boundary}\r\n${disposition(name)}; filename="${escapeName(filename)}"\r\n` +
      `Content-Type: ${content.type || "application/octet-stream"}\r\n\r\n`,
  );
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);
  let taken = false;
  const onTaken = () => {
    taken = true;
    listener.onTaken();
  };
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: head.length + content.size + tail.length,
    pieces: readParts(head, content, tail, { ...listener, onTaken }),
    isTaken: () => taken,
  };
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
  { onProgress, onTaken }: FormProgress,
): AsyncGenerator<Uint8Array, void> {
  yield head;
  onProgress();
  let bytes = 0;
  try {
    for await (const piece of readPieces(content)) {
      bytes += piece.length;
      yield piece;
      onProgress();
    }
  } catch (cause) {
    throw new ContentError("Cannot read the file that is to be sent", { cause });
  }
  if (bytes !== content.size) {
    const cause = new Error(`Cannot send a file: it has ${bytes} bytes, not ${content.size}`);
    throw new ContentError(cause.message, { cause });
  }
  onTaken();
  yield tail;
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
