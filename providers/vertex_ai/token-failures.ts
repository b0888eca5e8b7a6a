import * as v from "valibot";

const Text = v.fallback(v.optional(v.string()), undefined);
/** An error of Google's HTTP library; the body is OAuth's, or google.rpc.Status. */
const Refusal = v.object({
  response: v.object({
    status: v.number(),
    data: v.fallback(
      v.object({
        error: v.optional(v.union([v.string(), v.object({ message: Text, status: Text })])),
        error_description: Text,
      }),
      {},
    ),
  }),
});

/** Why a credential could not be exchanged for a token. */
export interface TokenFailure {
  /** Completes a sentence. */
  readonly reason: string;
  /** The token service, not the credential, is at fault, and at another time it may not be. */
  readonly mayPass: boolean;
}

/**
 * Of the library's own errors, which may hold what was sent, only codes are told; of the service's,
 * nothing that looks like a token or is one of `secrets`.
 */
export function explainTokenFailure(cause: unknown, secrets: readonly string[]): TokenFailure {
  const refusal = v.safeParse(Refusal, cause);
  if (refusal.success) {
    const { status, data } = refusal.output.response;
    const { error, error_description } = data;
    const said =
      typeof error === "object" ? [error.status, error.message] : [error, error_description];
    const text = said.filter((part) => part).join(": ");
    const end = text === "" ? "" : `: ${hideSecrets(text, secrets)}`;
    if (status === 429 || status >= 500) {
      return { reason: `its token service fails with status ${status}${end}`, mayPass: true };
    }
    const reason = `Google's token service refuses the credential with status ${status}${end}`;
    return { reason, mayPass: false };
  }
  const code = findCode(cause);
  const end = code === undefined ? "" : ` (${code})`;
  // The library's own errors hold the call that failed.
  if (cause instanceof Error && "config" in cause) {
    return { reason: `its token service cannot be reached${end}`, mayPass: true };
  }
  return { reason: `the credential cannot be exchanged for a token${end}`, mayPass: false };
}

function hideSecrets(text: string, secrets: readonly string[]): string {
  let hidden = text;
  for (const secret of secrets) hidden = hidden.replaceAll(secret, "…");
  return hidden
    .replaceAll(/[\w+/=.-]{32,}/g, "…")
    .slice(0, 300)
    .toWellFormed();
}

/** The code of an error or of what caused it: a word such as `ECONNREFUSED`. */
function findCode(error: unknown): string | undefined {
  let cause = error;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    if ("code" in cause && /^[A-Za-z][\w-]{1,60}$/.test(String(cause.code)))
      return String(cause.code);
    cause = cause.cause;
  }
  return undefined;
}
