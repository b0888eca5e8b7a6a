/** What the client should read: thrown anywhere, turned into OpenAI's error body in one place. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** OpenAI's `error.type`, such as `invalid_request_error`. */
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  /** Extra headers of the answer, such as `retry-after` and the upstream's `x-request-id`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Becomes `x-should-retry`, which the OpenAI SDKs obey; absent leaves the choice to the SDK.
   * True only where it is certain that nothing was stored or started.
   */
  readonly retry: boolean | undefined;
  /** Fields of the answer's body beside `error`. */
  readonly beside: Readonly<Record<string, unknown>>;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.status = status;
    this.type = details.type ?? (status >= 500 ? "server_error" : "invalid_request_error");
    this.param = details.param ?? null;
    this.code = details.code ?? null;
    this.headers = details.headers ?? {};
    this.retry = details.retry;
    this.beside = details.beside ?? {};
  }
}

/** Everything of an `ApiError` but status and message; `cause` goes to the log only. */
export interface ApiErrorDetails {
  readonly type?: string | undefined;
  readonly param?: string | null | undefined;
  readonly code?: string | null | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly retry?: boolean | undefined;
  readonly beside?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** What the operator should read at start: printed without a stack, then the process exits with 1. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** OpenAI's 400 for a request that names the field at fault (`param`). */
export function badRequest(
  message: string,
  param: string | null,
  code: string | null = null,
): ApiError {
  return new ApiError(400, message, { param, code });
}

/** OpenAI's own 404 for a file id that no backend knows. */
export function fileNotFound(id: string): ApiError {
  return new ApiError(404, `No such File object: ${id}`, { param: "id" });
}

/** OpenAI's own 404 for a fine-tuning job id that no backend knows. */
export function jobNotFound(id: string): ApiError {
  return new ApiError(404, `Could not find fine tune: ${id}`, {
    param: "fine_tune_id",
    code: "fine_tune_not_found",
  });
}

/** OpenAI's own 404 for a model that no backend knows. */
export function modelNotFound(id: string): ApiError {
  return new ApiError(404, `The model "${id}" does not exist`, {
    param: "model",
    code: "model_not_found",
  });
}

/** OpenAI's own 404 for an upload id that no backend knows. */
export function uploadNotFound(id: string): ApiError {
  return new ApiError(404, `No such Upload object: ${id}`, { param: "upload_id" });
}
