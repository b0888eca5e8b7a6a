import * as v from "valibot";
import { ApiError } from "../errors.ts";
import type { Deadline } from "./deadline.ts";
import { ContentError } from "./form.ts";
import type { Incoming } from "./http/transport.ts";

/** What the errors of a service's calls need to know of it. */
export interface Service {
  readonly backend: string;
  readonly requestIdHeaders: readonly string[];
  readonly readError?: ErrorReader;
}

/** What a service says in an error, in the words of OpenAI's error object. */
export interface ErrorFields {
  readonly message?: string | undefined;
  readonly type?: string | undefined;
  readonly param?: string | undefined;
  readonly code?: string | undefined;
}

/** Reads the JSON of an error answer; undefined for what it does not know. */
export type ErrorReader = (body: unknown) => ErrorFields | undefined;

const maxErrorBytes = 64 * 1024;
const maxMessage = 2000;
const maxForeignText = 500;

/** The service's own id of a call, if it tells. */
export function requestIdFrom(service: Service, answer: Incoming): string | null {
  for (const name of service.requestIdHeaders) {
    const id = answer.header(name);
    if (id !== null && id !== "") return id;
  }
  return null;
}

/** The 502 for an answer that cannot be used; `problem` is a sentence that begins with "it". */
export function refuseAnswer(
  service: Service,
  problem: string,
  requestId: string | null,
  cause?: unknown,
): ApiError {
  return new ApiError(502, `Cannot use the answer of backend "${service.backend}": ${problem}`, {
    code: "upstream_invalid_answer",
    headers: idHeader(requestId),
    cause,
  });
}

function idHeader(requestId: string | null): Record<string, string> {
  return requestId === null ? {} : { "x-request-id": requestId };
}

// The codes of Bun's fetch and sockets. Those of `neverSent` come before the first byte of the request.
const neverSent = new Map([
  ["ECONNREFUSED", "connection refused"],
  ["ENOTFOUND", "its host name is unknown"],
  ["EAI_AGAIN", "its host name cannot be looked up at the moment"],
  ["EAI_NONAME", "its host name is unknown"],
  ["ENODATA", "its host name has no address"],
]);
const connectionFailures = new Map([
  ["ECONNRESET", "the connection was closed before the answer was complete"],
  ["ETIMEDOUT", "the connection timed out"],
  ["EPROTO", "the TLS connection failed"],
  ["Malformed_HTTP_Response", "what answers there does not speak HTTP"],
]);

/** How far a call has come that failed. */
export interface CallProgress {
  /** Of the answer, if it has begun. */
  readonly requestId?: string | null;
  /** False where the service cannot have the whole request, so that it cannot have acted on it. */
  readonly sentWhole?: boolean;
}

/**
 * What to throw when `fetch` or the reading of an answer threw `cause`: the client's own abort, a
 * 504, the failure of the content that was to be sent, or a 502.
 */
export function explainFailure(
  service: Service,
  cause: unknown,
  deadline: Deadline,
  { requestId = null, sentWhole = true }: CallProgress = {},
): unknown {
  if (deadline.client.aborted) return deadline.client.reason;
  if (cause instanceof ContentError) return cause.cause;
  const headers = idHeader(requestId);
  const get = `Cannot ${sentWhole ? "get an answer from" : "send the whole file to"} backend "${service.backend}":`;
  const retry = sentWhole ? undefined : true;
  if (deadline.isOver) {
    const message = `${get} it took ${sentWhole ? "more than" : "nothing for"} ${deadline.seconds} seconds`;
    return new ApiError(504, message, { code: "upstream_timeout", headers, retry, cause });
  }
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = neverSent.get(code);
  if (reason !== undefined) {
    const message = `Cannot reach backend "${service.backend}": ${reason}`;
    return new ApiError(502, message, { code: "upstream_unreachable", retry: true, cause });
  }
  const message = `${get} ${connectionFailures.get(code) ?? describeCode(code)}`;
  return new ApiError(502, message, { code: "upstream_connection_failed", headers, retry, cause });
}

function describeCode(code: string): string {
  if (/CERT|TLS|SSL|SIGNATURE/.test(code)) return `its TLS certificate is not accepted (${code})`;
  return code === "" ? "the connection failed" : `the connection failed (${code})`;
}

/** The error for an answer whose status is not 2xx. */
export async function readRefusal(
  service: Service,
  answer: Incoming,
  deadline: Deadline,
): Promise<unknown> {
  const { status } = answer;
  const text = await readErrorText(answer);
  if (deadline.isAborted) return explainFailure(service, undefined, deadline);
  const headers = keepHeaders(service, answer);
  const use = `Cannot use backend "${service.backend}":`;
  const body = parseJson(text);
  const said = service.readError?.(body) ?? readOpenAIError(body) ?? {};
  if (status === 401) {
    // The service's own message repeats a part of the key; its code may tell of a missing role.
    const word = /^[A-Za-z_]{1,60}$/.test(said.code ?? "") ? ` (${said.code})` : "";
    const message = `${use} the service does not accept its credential${word}; correct it in the configuration`;
    const code = "upstream_authentication_error";
    return new ApiError(502, message, { code, headers, retry: false });
  }
  if (status < 400) {
    const message = `${use} it answers with a redirect (${status}); configure the address that it redirects to`;
    return new ApiError(502, message, { code: "upstream_redirect", headers, retry: false });
  }
  const reason = said.message ?? (body === undefined ? findPlainText(text) : undefined);
  if (status >= 500) {
    const end = reason === undefined ? "" : `: ${reason.slice(0, maxForeignText)}`;
    const message = `Cannot get an answer from backend "${service.backend}": it failed with status ${status}${end}`;
    const code = said.code ?? "upstream_error";
    return new ApiError(502, message, { code, param: said.param, headers });
  }
  const end = reason === undefined ? "" : `: ${reason}`;
  const own = `Cannot carry out the request: backend "${service.backend}" refused it with status ${status}${end}`;
  const message = (said.message ?? own).slice(0, maxMessage);
  return new ApiError(status, message, { ...said, headers });
}

function keepHeaders(service: Service, answer: Incoming): Record<string, string> {
  const headers = idHeader(requestIdFrom(service, answer));
  for (const name of ["retry-after", "retry-after-ms"]) {
    const value = answer.header(name);
    if (value !== null) headers[name] = value;
  }
  return headers;
}

/** The body as far as it came: the status is known, so a cut-off body takes nothing away. */
async function readErrorText(answer: Incoming): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of answer.stream()) {
      text += decoder.decode(chunk, { stream: true });
      bytes += chunk.length;
      if (bytes > maxErrorBytes) break;
    }
  } catch {
    return text;
  }
  return text;
}

/** The value of a JSON text; undefined for what is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a person can read of a body that is not JSON: neither markup nor the half of an object. */
function findPlainText(text: string): string | undefined {
  const plain = text.trim();
  return plain === "" || /^[<{[]/.test(plain) ? undefined : plain.slice(0, maxForeignText);
}

const Text = v.fallback(v.optional(v.string()), undefined);
const ErrorObject = v.object({
  message: Text,
  type: Text,
  param: Text,
  code: v.fallback(
    v.optional(v.union([v.string(), v.pipe(v.number(), v.transform(String))])),
    undefined,
  ),
});

/** Reads `{"error": {…}}`, `{"error": "…"}` and a bare `{"message": …}`. */
function readOpenAIError(body: unknown): ErrorFields | undefined {
  const nested = v.safeParse(v.object({ error: v.unknown() }), body);
  const error = nested.success ? nested.output.error : body;
  if (typeof error === "string") return { message: error };
  const result = v.safeParse(ErrorObject, error);
  if (!result.success) return undefined;
  const { message, ...rest } = result.output;
  return { ...rest, message: message === "" ? undefined : message };
}
