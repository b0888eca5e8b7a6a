import { ApiError } from "../../src/errors.ts";
import type { FileContent } from "../../src/provider.ts";

/**
 * The bytes at `path` as a download named `filename`. `range` is a request's `Range` header: one
 * range of bytes is answered with 206, or 416 where the file is shorter; others are not understood
 * and the answer is the whole file, as RFC 9110 allows.
 */
export function readContent(
  path: string,
  filename: string,
  range: string | undefined,
): FileContent {
  const file = Bun.file(path, { type: "application/octet-stream" });
  const headers = {
    "content-type": "application/octet-stream",
    "content-disposition": formatDisposition(filename),
  };
  const part = range === undefined ? undefined : parseRange(range, file.size);
  if (part === undefined) {
    return { body: file, headers: { ...headers, "content-length": String(file.size) } };
  }
  if (part.start >= part.end) {
    throw new ApiError(416, `Cannot read file: it has ${file.size} bytes, range "${range}" none`, {
      param: "range",
      headers: { "content-range": `bytes */${file.size}` },
    });
  }
  return {
    body: file.slice(part.start, part.end, "application/octet-stream"),
    status: 206,
    headers: {
      ...headers,
      "content-length": String(part.end - part.start),
      "content-range": `bytes ${part.start}-${part.end - 1}/${file.size}`,
    },
  };
}

// The end is exclusive; an empty part is one that cannot be satisfied.
function parseRange(range: string, size: number) {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(range.trim()) ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") return { start: Math.max(size - Number(last), 0), end: size };
  if (last !== "" && Number(last) < Number(first)) return undefined;
  return { start: Number(first), end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

// RFC 6266: a name in ASCII for all, and the true one as RFC 5987 spells it where they differ.
function formatDisposition(filename: string): string {
  const name = filename.toWellFormed();
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  if (plain === name) return `attachment; filename="${name}"`;
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
