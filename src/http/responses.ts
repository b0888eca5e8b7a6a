import { ApiError } from "../errors.ts";
import { withRequestId } from "../provider.ts";

/** A JSON answer, of which `requestIdOf` knows the id; `content-length` is set by the server. */
export function jsonResponse(
  value: unknown,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): Response {
  const response = new Response(JSON.stringify(value), {
    status,
    headers: { ...headers, "content-type": "application/json", "x-request-id": requestId },
  });
  return withRequestId(response, requestId);
}

/** The one place that makes OpenAI's error body; `mask` takes secrets out of the message. */
export function errorResponse(
  error: ApiError,
  requestId: string,
  mask: (text: string) => string,
): Response {
  const headers: Record<string, string> = { ...error.headers };
  if (error.retry !== undefined) headers["x-should-retry"] = String(error.retry);
  const { type, param, code } = error;
  return jsonResponse(
    { error: { message: mask(error.message), type, param, code }, ...error.beside },
    headers["x-request-id"] ?? requestId,
    headers,
    error.status,
  );
}

/** What the client sees of a bug: nothing but the id under which the log has the rest. */
export function internalError(requestId: string): ApiError {
  return new ApiError(500, `The gateway failed; its log has the reason under ${requestId}`, {
    retry: false,
  });
}
