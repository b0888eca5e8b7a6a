import * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import { parseJson } from "../../src/upstream/failures.ts";
import type { TokenRequest } from "./token-requests.ts";

/** An access token. */
export interface Token {
  readonly value: string;
  /** Seconds from the moment it was asked for. */
  readonly lifetime: number;
}

const maxAnswerBytes = 64 * 1024;
const maxReason = 500;

// Entra ID answers with numbers, the services for managed identities with text.
const Seconds = v.union([
  v.number(),
  v.pipe(v.string(), v.regex(/^\d{1,12}$/), v.transform(Number)),
]);
const TokenAnswer = v.object({
  access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
  expires_in: v.nullish(Seconds),
  /** Unix seconds. */
  expires_on: v.nullish(Seconds),
});
const TokenError = v.object({
  error: v.string(),
  error_description: v.optional(v.string(), ""),
});

/**
 * Asks for one token. Every failure is a 502 or 504 that names the backend and holds no secret; it
 * allows a retry where the service may be back soon, because nothing was asked of the backend yet.
 */
export async function fetchToken(
  backend: string,
  makeRequest: () => Promise<TokenRequest>,
  seconds: number,
): Promise<Token> {
  const { url, secrets, ...init } = await makeRequest();
  const { origin } = new URL(url);
  const get = `Cannot get a token for backend "${backend}" from ${origin}:`;
  const asked = Date.now();
  let status: number;
  let body: unknown;
  try {
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      keepalive: false,
      signal: AbortSignal.timeout(seconds * 1000),
    });
    status = response.status;
    body = parseJson(await readText(response));
  } catch (cause) {
    throw explainFailure(get, cause, seconds);
  }
  if (status !== 200) throw explainRefusal(get, status, body, secrets);
  const result = v.safeParse(TokenAnswer, body);
  const lifetime = result.success ? readLifetime(result.output, asked) : undefined;
  if (!result.success || lifetime === undefined) {
    const message = `${get} its answer holds no token with a lifetime`;
    throw new ApiError(502, message, { code: "upstream_invalid_answer", retry: true });
  }
  return { value: result.output.access_token, lifetime };
}

function readLifetime(
  { expires_in, expires_on }: v.InferOutput<typeof TokenAnswer>,
  asked: number,
): number | undefined {
  if (typeof expires_in === "number") return expires_in;
  return typeof expires_on === "number" ? expires_on - asked / 1000 : undefined;
}

function explainFailure(get: string, cause: unknown, seconds: number): ApiError {
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    const details = { code: "upstream_timeout", retry: true, cause };
    return new ApiError(504, `${get} it took more than ${seconds} seconds`, details);
  }
  const code = cause instanceof Error && "code" in cause ? ` (${cause.code})` : "";
  const details = { code: "upstream_unreachable", retry: true, cause };
  return new ApiError(502, `${get} the connection failed${code}`, details);
}

function explainRefusal(
  get: string,
  status: number,
  body: unknown,
  secrets: readonly string[],
): ApiError {
  const said = v.safeParse(TokenError, body);
  const { error, error_description: text } = said.success
    ? said.output
    : { error: "", error_description: "" };
  // Entra ID ends with ids and the time of the request, which help nobody but its operators.
  const reason = [error, text.split(/\s+Trace ID:/)[0]?.trim()].filter(Boolean).join(": ");
  const shown = hideSecrets(reason, secrets).slice(0, maxReason).toWellFormed();
  const end = shown === "" ? "" : `: ${shown}`;
  if (status === 429 || status >= 500) {
    const message = `${get} it failed with status ${status}${end}`;
    return new ApiError(502, message, { code: "upstream_error", retry: true });
  }
  const message = `${get} it refuses the request with status ${status}${end}`;
  return new ApiError(502, message, { code: "upstream_authentication_error", retry: false });
}

function hideSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
}

/** The text of an answer as far as a token may be long; more of it is no token. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) return "";
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
