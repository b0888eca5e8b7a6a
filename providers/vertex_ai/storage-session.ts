import { ApiError } from "../../src/errors.ts";
import { Deadline } from "../../src/upstream/deadline.ts";
import {
  type ErrorReader,
  explainFailure,
  readRefusal,
  refuseAnswer,
} from "../../src/upstream/failures.ts";
import { type Incoming, isOk, type Transport } from "../../src/upstream/http/transport.ts";
import type { Credentials } from "./credentials.ts";

/** Where objects are uploaded to. */
export interface UploadService {
  /** The backend's name in the configuration; every error names it. */
  readonly backend: string;
  /** Such as `https://storage.googleapis.com`, without a slash at its end. */
  readonly baseUrl: string;
  /** To `baseUrl`. */
  readonly transport: Transport;
  readonly bucket: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly authorize: Credentials["authorize"];
  /** Seconds for one call. */
  readonly timeout: number;
  readonly readError: ErrorReader;
  /** Milliseconds before each further try of what has failed in passing. */
  readonly retryPauses: readonly number[];
}

/** A failure that may pass. */
interface Failed {
  readonly state: "failed";
  readonly error: unknown;
}

/** What an upload's session says after a call. */
export type SessionState =
  /** The object is complete; `json` is what it was answered with. */
  | { readonly state: "complete"; readonly json: unknown }
  /** So many bytes from the start are kept. */
  | { readonly state: "open"; readonly kept: number }
  /** The session is over or was never there. */
  | { readonly state: "lost" }
  /** Another object of that name has come meanwhile. */
  | { readonly state: "exists" }
  | Failed;

/** A resumable upload of Cloud Storage; https://cloud.google.com/storage/docs/resumable-uploads */
export interface UploadSession {
  /** Sends `bytes`, which begin at `start`; `total` is the size of the object once it is known. */
  send(
    bytes: Uint8Array,
    start: number,
    total: number | undefined,
    signal: AbortSignal,
  ): Promise<SessionState>;
  /** Asks how much is kept. */
  ask(total: number | undefined, signal: AbortSignal): Promise<SessionState>;
  /** Gives the session up, as far as the service can be reached. */
  cancel(): Promise<void>;
}

interface Call {
  readonly method: "POST" | "PUT" | "DELETE";
  /** Absolute, at `baseUrl`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

const cancelSeconds = 10;
const maxAnswerBytes = 1024 * 1024;
const passingCodes = ["upstream_connection_failed", "upstream_unreachable"];

/** What comes of the wish to upload an object. */
export type SessionStart =
  | { readonly state: "started"; readonly session: UploadSession }
  /** There is an object of that name. */
  | { readonly state: "exists" }
  | Failed;

/** Begins the upload of an object that must not be there. */
export async function startSession(
  service: UploadService,
  object: {
    readonly name: string;
    readonly contentType: string;
    readonly metadata: Readonly<Record<string, string>>;
  },
  signal: AbortSignal,
): Promise<SessionStart> {
  const bucket = encodeURIComponent(service.bucket);
  const call = {
    method: "POST",
    url: `${service.baseUrl}/upload/storage/v1/b/${bucket}/o?uploadType=resumable&ifGenerationMatch=0`,
    headers: {
      "content-type": "application/json; charset=UTF-8",
      "x-upload-content-type": object.contentType,
    },
    body: JSON.stringify(object),
  } as const;
  return await exchange<SessionStart>(service, call, signal, async (answer) => {
    if (answer.status === 412) return { state: "exists" };
    if (!isOk(answer)) return undefined;
    const address = findAddress(service, answer.header("location"));
    return { state: "started", session: openSession(service, address) };
  });
}

/** The session must be at the host that is configured: everything is sent there, the credential too. */
function findAddress(service: UploadService, location: string | null): string {
  const url = URL.parse(location ?? "", service.baseUrl);
  if (location === null || url === null) {
    throw refuseAnswer(connection(service), "it opens an upload without an address", null);
  }
  if (url.origin !== new URL(service.baseUrl).origin) {
    const problem = `it opens an upload at "${url.origin.slice(0, 200)}", not at the address that is configured as "storage_base"`;
    throw refuseAnswer(connection(service), problem, null);
  }
  return url.href;
}

function openSession(service: UploadService, url: string): UploadSession {
  const put = (range: string, body: Uint8Array, signal: AbortSignal) => {
    const headers = { "content-range": `bytes ${range}` };
    const call = { method: "PUT", url, headers, body } as const;
    return exchange<SessionState>(service, call, signal, async (answer) => {
      if (answer.status === 308) return { state: "open", kept: readKept(service, answer) };
      if (answer.status === 404 || answer.status === 410) return { state: "lost" };
      if (answer.status === 412) return { state: "exists" };
      if (!isOk(answer)) return undefined;
      return { state: "complete", json: JSON.parse(await answer.text(maxAnswerBytes)) };
    });
  };
  return {
    send: (bytes, start, total, signal) => {
      const span = bytes.length === 0 ? "*" : `${start}-${start + bytes.length - 1}`;
      return put(`${span}/${total ?? "*"}`, bytes, signal);
    },
    ask: (total, signal) => put(`*/${total ?? "*"}`, new Uint8Array(), signal),
    async cancel() {
      const { signal } = new AbortController();
      const hurried = { ...service, timeout: Math.min(service.timeout, cancelSeconds) };
      try {
        // Answered with 499 where it worked.
        const call = { method: "DELETE", url, headers: {}, body: "" } as const;
        await exchange(hurried, call, signal, async () => ({ state: "lost" }) as const);
      } catch {
        // Nothing is stored before the end of a session, and within a week it ends by itself.
        return;
      }
    },
  };
}

function readKept(service: UploadService, answer: Incoming): number {
  const range = answer.header("range");
  if (range === null) return 0;
  const [, last] = /^bytes=0-(\d{1,15})$/.exec(range) ?? [];
  if (last !== undefined) return Number(last) + 1;
  const problem = `it says "${range.slice(0, 100)}" of what it has kept`;
  throw refuseAnswer(connection(service), problem, null);
}

/**
 * Sends one call and reads its answer; `undefined` from `read` makes the answer a failure: one
 * that may pass is returned, any other thrown.
 */
async function exchange<State>(
  service: UploadService,
  call: Call,
  signal: AbortSignal,
  read: (answer: Incoming) => Promise<State | undefined>,
): Promise<State | Failed> {
  const deadline = new Deadline(service.timeout, signal);
  const attempt = async (refused: boolean) => {
    const credential = await service.authorize(refused, deadline.signal);
    const { method, url, headers, body } = call;
    const request = {
      method,
      path: url.slice(new URL(url).origin.length),
      headers: { "user-agent": "tunegate", ...service.headers, ...headers, ...credential },
      body,
      // A chunk counts by its place.
      isRepeatable: true,
    };
    return await service.transport(request, deadline);
  };
  try {
    let answer = await attempt(false);
    if (answer.status === 401) {
      answer.discard();
      answer = await attempt(true);
    }
    const state = await read(answer);
    if (state !== undefined) return state;
    const { status } = answer;
    const error = await readRefusal(connection(service), answer, deadline);
    if (status === 408 || status === 429 || status >= 500) return { state: "failed", error };
    throw error;
  } catch (cause) {
    if (cause instanceof ApiError && !deadline.isAborted) throw cause;
    const error = explainFailure(connection(service), cause, deadline);
    if (error instanceof ApiError && passingCodes.includes(error.code ?? "")) {
      return { state: "failed", error };
    }
    throw error;
  } finally {
    deadline.end();
  }
}

// The id of an upload's calls is the secret half of the session's address: no client may see it.
function connection({ backend, readError }: UploadService) {
  return { backend, readError, requestIdHeaders: [] };
}
