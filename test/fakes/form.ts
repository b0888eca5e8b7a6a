/** A multipart/form-data body, read by the letter of RFC 7578. */
export interface ParsedForm {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly files: readonly ParsedFile[];
}

/** A part with a filename; `filename` as it was sent, escapes included. */
export interface ParsedFile {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly content: Buffer;
}

/** Throws an Error that says what is wrong with the body. */
export function parseForm(contentType: string | null, body: Buffer): ParsedForm {
  const match = /^multipart\/form-data; boundary=("?)([\w'()+,./:=?-]{1,70})\1$/.exec(
    contentType ?? "",
  );
  const boundary = match?.[2];
  if (boundary === undefined) throw new Error(`bad content-type "${contentType}"`);
  const opening = `--${boundary}\r\n`;
  if (!body.subarray(0, opening.length).equals(Buffer.from(opening))) {
    throw new Error("the body does not begin with the boundary");
  }
  const fields: [string, string][] = [];
  const files: ParsedFile[] = [];
  const separator = Buffer.from(`\r\n--${boundary}`);
  let start = opening.length;
  while (start < body.length) {
    const end = body.indexOf(separator, start);
    if (end < 0) throw new Error("a part has no end");
    const { name, filename, type, content } = parsePart(body.subarray(start, end));
    if (filename === undefined) fields.push([name, content.toString("utf8")]);
    else files.push({ name, filename, type, content });
    const next = end + separator.length;
    const mark = body.subarray(next, next + 2).toString("latin1");
    // What follows is an epilogue, which means nothing (RFC 2046, section 5.1.1).
    if (mark === "--") return { fields, files };
    if (mark !== "\r\n") throw new Error("a boundary does not end its line");
    start = next + 2;
  }
  throw new Error("the body does not end with the boundary");
}

function parsePart(part: Buffer): {
  name: string;
  filename: string | undefined;
  type: string;
  content: Buffer;
} {
  const split = part.indexOf("\r\n\r\n");
  if (split < 0) throw new Error("a part has no end of its headers");
  const lines = part.subarray(0, split).toString("utf8").split("\r\n");
  const disposition = /^Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]*)")?$/i;
  let name: string | undefined;
  let filename: string | undefined;
  let type = "";
  for (const line of lines) {
    const found = disposition.exec(line);
    const typed = /^Content-Type: (\S.*)$/i.exec(line);
    if (found !== null && name === undefined) [, name, filename] = found;
    else if (typed !== null && type === "") type = typed[1] ?? "";
    else throw new Error(`bad part header ${JSON.stringify(line)}`);
  }
  if (name === undefined) throw new Error("a part has no name");
  if (filename !== undefined && type === "") throw new Error("a file has no content type");
  return { name, filename, type, content: part.subarray(split + 4) };
}
