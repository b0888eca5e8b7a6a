import { badRequest } from "../errors.ts";

/** What the headers of a part say of it. */
export interface PartHeaders {
  readonly name: string;
  /** Present, if perhaps empty, on files. */
  readonly filename?: string;
  /** The content-type as sent; empty where there is none. */
  readonly type: string;
}

/** Reads the headers of a part of multipart/form-data (RFC 7578); throws a 400. */
export function parsePartHeaders(bytes: Uint8Array): PartHeaders {
  const headers = new Map<string, string>();
  for (const line of bytes.length === 0 ? [] : decode(bytes).split("\r\n")) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw malformed(`has the header line "${cut(line)}"`);
    if (headers.has(name.toLowerCase())) throw malformed(`has two headers "${cut(name)}"`);
    headers.set(name.toLowerCase(), value.trimEnd());
  }
  const encoding = headers.get("content-transfer-encoding") ?? "binary";
  if (!/^(?:7bit|8bit|binary)$/i.test(encoding)) {
    throw malformed(`has the transfer encoding "${cut(encoding)}"; send it as it is`);
  }
  const parameters = parseDisposition(headers.get("content-disposition") ?? "");
  const name = parameters.get("name");
  if (!name) throw malformed("has no name");
  const filename = parameters.get("filename*") ?? parameters.get("filename");
  const type = headers.get("content-type") ?? "";
  return { name, type, ...(filename !== undefined && { filename }) };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("has headers that are not UTF-8");
  }
}

function parseDisposition(value: string): ReadonlyMap<string, string> {
  const kind = /^form-data[ \t]*(?=;|$)/i.exec(value);
  if (kind === null) throw malformed('lacks the header "Content-Disposition: form-data"');
  const parameters = new Map<string, string>();
  const pattern = /;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))[ \t]*/y;
  pattern.lastIndex = kind[0].length;
  while (pattern.lastIndex < value.length) {
    const at = pattern.lastIndex;
    const [, key = "", quoted, token = ""] = pattern.exec(value) ?? [];
    if (key === "") throw malformed(`has the disposition "${cut(value.slice(at))}"`);
    const name = key.toLowerCase();
    if (parameters.has(name)) throw malformed(`has two parameters "${cut(name)}"`);
    parameters.set(
      name,
      name === "filename*" ? decodeExtended(token) : unescapeName(quoted ?? token),
    );
  }
  return parameters;
}

/** Undoes what clients do to names: `%22` (WHATWG, curl, httpx) and `\"` (older curl). */
function unescapeName(value: string): string {
  const plain = value.replace(/\\(["\\])/g, "$1");
  return plain.replaceAll("%22", '"').replaceAll("%0D", "\r").replaceAll("%0A", "\n");
}

/** RFC 8187: `UTF-8''na%C3%AFve.txt`. */
function decodeExtended(value: string): string {
  const [, encoded] = /^utf-8'[^']*'(.*)$/i.exec(value) ?? [];
  try {
    if (encoded !== undefined) return decodeURIComponent(encoded);
  } catch {
    // Told below, like every other form that it may not have.
  }
  throw malformed(`has the parameter filename*="${cut(value)}"`);
}

function cut(text: string): string {
  return text.slice(0, 100);
}

function malformed(reason: string) {
  return badRequest(`Cannot read the form: a part ${reason}`, null);
}
