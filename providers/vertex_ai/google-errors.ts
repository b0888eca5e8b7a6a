import * as v from "valibot";
import type { ErrorFields, ErrorReader } from "../../src/upstream/failures.ts";

/** What the operator can do about a refusal, as whole sentences. */
export interface Advice {
  /** After a 403. */
  readonly forbidden: string;
  /** After a 429. */
  readonly exhausted: string;
}

/** What to grant and to raise for Vertex AI. */
export const tuningAdvice: Advice = {
  forbidden:
    'Grant the account of "vertex_credentials" roles/aiplatform.user on the project, and enable the API aiplatform.googleapis.com there',
  exhausted:
    'Wait for a running job to end, or raise the quota "Global concurrent tuning jobs" of the project',
};

/** What to grant and to raise for Cloud Storage. */
export const storageAdvice: Advice = {
  forbidden:
    'Grant the account of "vertex_credentials" roles/storage.objectAdmin on the bucket of "gcs_bucket_name"',
  exhausted: "Wait a little, or raise the quotas of Cloud Storage in the project",
};

const Text = v.fallback(v.optional(v.string()), undefined);
const Violations = v.fallback(v.optional(v.array(v.object({ field: Text })), []), []);
const Reasons = v.fallback(v.optional(v.array(v.object({ reason: Text })), []), []);

/** google.rpc.Status as it comes over HTTP, and the older form of Cloud Storage. */
const ErrorBody = v.object({
  error: v.object({
    code: v.fallback(v.optional(v.number()), undefined),
    message: Text,
    status: Text,
    details: v.fallback(
      v.optional(
        v.array(v.fallback(v.object({ fieldViolations: Violations }), { fieldViolations: [] })),
        [],
      ),
      [],
    ),
    errors: Reasons,
  }),
});

// The words of OpenAI's `error.type` for Google's statuses; anything else is the request's fault.
const types: Readonly<Record<string, string>> = {
  permission_denied: "permission_error",
  resource_exhausted: "rate_limit_error",
  internal: "server_error",
  unavailable: "server_error",
  deadline_exceeded: "server_error",
  unknown: "server_error",
};
const statuses: Readonly<Record<number, string>> = {
  403: "permission_denied",
  404: "not_found",
  429: "resource_exhausted",
};

/** Reads Google's errors: its status becomes the code, the field at fault `param`. */
export function makeErrorReader(advice: Advice): ErrorReader {
  return (body): ErrorFields | undefined => {
    const result = v.safeParse(ErrorBody, body);
    if (!result.success) return undefined;
    const { code, message, status, details, errors } = result.output.error;
    const word =
      status?.toLowerCase() ??
      statuses[code ?? 0] ??
      errors[0]?.reason?.replace(/([A-Z])/g, "_$1").toLowerCase();
    const field = details.flatMap(({ fieldViolations }) => fieldViolations)[0]?.field;
    const help =
      word === "permission_denied"
        ? advice.forbidden
        : word === "resource_exhausted"
          ? advice.exhausted
          : undefined;
    return {
      message: message && help ? `${message.replace(/[.\s]+$/, "")}. ${help}` : message || help,
      type: types[word ?? ""] ?? "invalid_request_error",
      code: word,
      param: field,
    };
  };
}
