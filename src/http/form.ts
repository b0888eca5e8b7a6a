import { badRequest } from "../errors.ts";
import { readBody } from "./body.ts";
import { createDigestSink, type DigestSink } from "./digest-sink.ts";
import { createCollector, type FilePart, type FormFields, fileTooLarge } from "./form-parts.ts";
import { createFormParser } from "./multipart.ts";
import { type FormRelay, openRelay, type RelayRules } from "./relay.ts";
import { createSpool } from "./spool.ts";

/** A multipart form that came as a body: exactly one file, and the fields beside it. */
export interface Form extends FormFields {
  readonly file: FormFile;
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

// Room for boundaries, part headers and fields beside the file.
const overheadBytes = 8 * 1024 * 1024;
// RFC 2046, section 5.1.1: other boundaries are not what every service understands.
const plainBoundary = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;
// What is smaller stays in memory anyway.
const minRelayBytes = 1024 * 1024;

/**
 * Reads a multipart form, fields and file in any order. Throws 400, 408, 413 or 507. Where `rules`
 * allow it, a large file is left to be read by the relay.
 */
export function readForm(request: Request, limits: FormLimits): Promise<Form>;
export function readForm(
  request: Request,
  limits: FormLimits,
  rules: RelayRules,
): Promise<Form | FormRelay>;
export async function readForm(
  request: Request,
  limits: FormLimits,
  rules?: RelayRules,
): Promise<Form | FormRelay> {
  const boundary = readBoundary(request.headers.get("content-type") ?? "");
  const length = Number(request.headers.get("content-length") ?? 0);
  const most = limits.maxFileBytes + overheadBytes;
  if (length > most) throw fileTooLarge(limits);
  const spool = createSpool(limits.spoolDirectory);
  let relayed: { file: FilePart; before: FormFields; digest: DigestSink } | undefined;
  const collector = createCollector(limits, (file, before) => {
    const isSmall = length - file.start < minRelayBytes;
    if (isSmall || !plainBoundary.test(boundary) || rules?.mayRelay(before) !== true) return spool;
    relayed = { file, before, digest: createDigestSink() };
    return relayed.digest;
  });
  const parser = createFormParser(boundary, collector);
  const chunks = readBody(request, limits.idleSeconds);
  let bytes = 0;

  async function read(): Promise<Uint8Array | undefined> {
    const { done, value } = await chunks.next();
    if (done) {
      parser.end();
      return undefined;
    }
    bytes += value.length;
    if (bytes > most) throw fileTooLarge(limits);
    parser.push(value);
    return value;
  }

  try {
    for (let chunk = await read(); chunk !== undefined; chunk = await read()) {
      if (relayed !== undefined && rules !== undefined) {
        const { digest, ...opened } = relayed;
        const skip = async () => (await chunks.next()).done !== true;
        const close = async () => void (await chunks.return());
        const source = { ...opened, boundary, length, chunk, end: bytes, read, skip, close };
        return openRelay(source, collector, rules, digest);
      }
      await spool.settle();
    }
    const { file, hint, fields } = collector.finish();
    const { content, sha256 } = await spool.finish(file.type);
    const { filename } = file;
    return { hint, fields, file: { content, filename, sha256 }, discard: spool.discard };
  } catch (error) {
    await chunks.return();
    await spool.discard();
    await relayed?.digest.discard();
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
