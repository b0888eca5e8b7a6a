import { ApiError } from "../../src/errors.ts";
import type { Token } from "./token-client.ts";

/** What the tokens of one backend need. */
export interface TokenCacheOptions {
  /** The backend's name, for errors. */
  readonly backend: string;
  /** Asks for a new token; never runs twice at a time. */
  readonly fetchToken: () => Promise<Token>;
  /** Told why a token could not be renewed while the one at hand still serves. */
  readonly reportFailure: (reason: string) => void;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/**
 * Gives a token that is valid now. `refused` says that the one given before for the same `signal`
 * was not accepted.
 */
export type GetToken = (refused: boolean, signal: AbortSignal) => Promise<string>;

interface KeptToken {
  readonly value: string;
  readonly renewAt: number;
  readonly expiresAt: number;
}

const renewBeforeSeconds = 300;
const retryAfterMilliseconds = 30_000;

/**
 * Keeps one token and renews it in the background five minutes before it expires, or after half
 * its life if that is later, so that calls wait for the first token only.
 */
export function createTokenCache(options: TokenCacheOptions): GetToken {
  const { now = Date.now } = options;
  // The token that a call was sent with, by the signal of the call.
  const given = new WeakMap<AbortSignal, string>();
  let kept: KeptToken | undefined;
  let pending: Promise<KeptToken> | undefined;

  async function renew(): Promise<KeptToken> {
    const start = now();
    const { value, lifetime } = await options.fetchToken();
    const useful = Math.max(lifetime - renewBeforeSeconds, lifetime / 2);
    return { value, renewAt: start + useful * 1000, expiresAt: start + lifetime * 1000 };
  }

  function renewOnce(): Promise<KeptToken> {
    pending ??= renew()
      .then((token) => {
        kept = token;
        return token;
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  }

  function renewInBackground(token: KeptToken): void {
    renewOnce().catch((error: unknown) => {
      if (kept === token) kept = { ...token, renewAt: now() + retryAfterMilliseconds };
      options.reportFailure(error instanceof Error ? error.message : String(error));
    });
  }

  async function takeToken(signal: AbortSignal): Promise<string> {
    if (kept !== undefined && now() < kept.expiresAt) {
      if (now() >= kept.renewAt && pending === undefined) renewInBackground(kept);
      return kept.value;
    }
    return (await waitFor(renewOnce(), signal, options.backend)).value;
  }

  return async (refused, signal) => {
    if (refused && kept?.value === given.get(signal)) kept = undefined;
    const value = await takeToken(signal);
    given.set(signal, value);
    return value;
  };
}

/** Others may wait for the same promise: an abort ends only this waiting. */
async function waitFor<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
  backend: string,
): Promise<Result> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(explainAbort(signal.reason, backend));
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) abort();
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function explainAbort(reason: unknown, backend: string): unknown {
  if (!(reason instanceof DOMException) || reason.name !== "TimeoutError") return reason;
  const message = `Cannot get a token for backend "${backend}": it took too long`;
  return new ApiError(504, message, { code: "upstream_timeout", retry: true, cause: reason });
}
