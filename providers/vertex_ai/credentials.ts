import { ApiError } from "../../src/errors.ts";
import { type Account, openAccount } from "./accounts.ts";
import { CredentialError, readCredential } from "./credential-files.ts";
import { explainTokenFailure } from "./token-failures.ts";

/** The headers that carry a Google credential, renewed as they run out. */
export interface Credentials {
  /**
   * The headers for one call. `refused` says that the service answered 401 to the ones before:
   * the credential is then read and exchanged anew. Throws `ApiError`: 502 naming the backend if
   * the credential is of no use, 504 once `signal` times out.
   */
  authorize(refused: boolean, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
}

/** Whose credential it is. */
export interface CredentialSettings {
  /** The backend's name in the configuration; every error names it. */
  readonly backend: string;
  /** A path, JSON, or undefined for the application default. */
  readonly credential: string | undefined;
}

/** Makes the credentials of one backend; reads and contacts nothing before the first call. */
export function createCredentials(settings: CredentialSettings): Credentials {
  let account: Promise<Account> | undefined;
  let reading: Promise<Readonly<Record<string, string>>> | undefined;
  let renewing: Promise<Readonly<Record<string, string>>> | undefined;

  async function fetchHeaders(refused: boolean): Promise<Readonly<Record<string, string>>> {
    // Read anew, a key file may hold another key.
    if (refused) account = undefined;
    let secrets: readonly string[] = [];
    try {
      account ??= readCredential(settings.credential).then(openAccount);
      const loaded = await account;
      secrets = loaded.secrets;
      return await readHeaders(loaded);
    } catch (cause) {
      account = undefined;
      const { reason, mayPass } =
        cause instanceof CredentialError
          ? { reason: cause.message, mayPass: false }
          : explainTokenFailure(cause, secrets);
      const message = `Cannot use backend "${settings.backend}": ${reason}`;
      const code = mayPass ? "upstream_unreachable" : "upstream_authentication_error";
      // Surely nothing was sent to the service; but a bad credential would not do better.
      throw new ApiError(502, message, { code, retry: mayPass });
    }
  }

  function read(): Promise<Readonly<Record<string, string>>> {
    reading ??= fetchHeaders(false).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  function renew(): Promise<Readonly<Record<string, string>>> {
    renewing ??= fetchHeaders(true).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  return {
    authorize: (refused, signal) =>
      // What is being renewed is of no use to anybody any more.
      waitFor(settings.backend, refused || renewing !== undefined ? renew() : read(), signal),
  };
}

async function readHeaders({
  client,
  quotaProject,
}: Account): Promise<Readonly<Record<string, string>>> {
  const { token } = await client.getAccessToken();
  if (!token || !/^[\x21-\x7e]+$/.test(token)) {
    throw new CredentialError("the token service answers without an access token");
  }
  return {
    authorization: `Bearer ${token}`,
    ...(quotaProject === undefined ? {} : { "x-goog-user-project": quotaProject }),
  };
}

/** The call's own time must not end the exchange that other calls wait for. */
async function waitFor<Value>(
  backend: string,
  promise: Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(explainAbort(backend, signal.reason));
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function explainAbort(backend: string, reason: unknown): unknown {
  if (!(reason instanceof DOMException && reason.name === "TimeoutError")) return reason;
  const message = `Cannot get an answer from backend "${backend}": its token service took too long`;
  return new ApiError(504, message, { code: "upstream_timeout", retry: true, cause: reason });
}
