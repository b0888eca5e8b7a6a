import { ApiError, badRequest } from "../errors.ts";
import type { Fields } from "../provider.ts";
import { readBody } from "./body.ts";
import { hintField } from "./exchange.ts";

/** The most bytes that a JSON body may have. */
export const maxJsonBytes = 1024 * 1024;

/** A JSON object that came as a body, and the hint that was in it. */
export interface JsonBody {
  readonly hint: string | undefined;
  readonly fields: Fields;
}

/** Reads a JSON object; an empty body is an empty object. Throws 400, 408 or 413. */
export async function readJson(request: Request, idleSeconds: number): Promise<JsonBody> {
  const text = decode(await readBytes(request, idleSeconds));
  if (text.trim() === "") return { hint: undefined, fields: {} };
  const value = parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("Cannot read the body: it must be a JSON object", null);
  }
  const { [hintField]: hint, ...fields }: Record<string, unknown> = { ...value };
  if (hint !== undefined && hint !== null && typeof hint !== "string") {
    throw badRequest(`Cannot route the request: "${hintField}" must be a string`, hintField);
  }
  return { hint: hint ?? undefined, fields };
}

/** Reads a body that may be empty or hold the hint, and nothing else; `action` is for the error. */
export async function readHint(
  request: Request,
  idleSeconds: number,
  action: string,
): Promise<string | undefined> {
  const { hint, fields } = await readJson(request, idleSeconds);
  const [name] = Object.keys(fields);
  if (name === undefined) return hint;
  const known = name.slice(0, 100);
  throw badRequest(
    `Cannot ${action}: the field "${known}" is not known`,
    known,
    "unknown_parameter",
  );
}

async function readBytes(request: Request, idleSeconds: number): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > maxJsonBytes) throw bodyTooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readBody(request, idleSeconds)) {
    size += chunk.length;
    if (size > maxJsonBytes) throw bodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("Cannot read the body: it is not UTF-8", null);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^JSON Parse error: /, "") : "";
    throw badRequest(`Cannot read the body: it is not valid JSON (${reason})`, null);
  }
}

function bodyTooLarge(): ApiError {
  return new ApiError(413, `Cannot read the body: JSON may have at most ${maxJsonBytes} bytes`, {
    code: "request_too_large",
  });
}
