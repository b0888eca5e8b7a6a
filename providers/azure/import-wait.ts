import { setTimeout } from "node:timers/promises";
import type * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import type { JobRequest } from "../../src/provider.ts";
import type { Upstream } from "../../src/upstream/client.ts";
import { isDeleted, StoredFile } from "./objects.ts";

// A job whose file is still being imported is refused by Azure in words that say nothing of it.

const firstPause = 250;
const longestPause = 5000;
const maxDetails = 500;

type FileParam = "training_file" | "validation_file";

/** Whether the files of a job can be used; throws a 400 that names the one that never can. */
export async function isImported(
  upstream: Upstream,
  request: JobRequest,
  signal: AbortSignal,
): Promise<boolean> {
  return (await findPending(upstream, request, signal)) === undefined;
}

/**
 * Waits until the files of a job can be used. Throws a 400 that names the file that is not after
 * `seconds`; it may be retried, for no job has been asked for.
 */
export async function waitForImport(
  upstream: Upstream,
  request: JobRequest,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    const left = end - performance.now();
    if (left > 0) await sleep(Math.min(pause, left), signal);
    const param = await findPending(upstream, request, signal);
    if (param === undefined) return;
    if (left > 0) continue;
    throw new ApiError(
      400,
      `Cannot create the job: Azure is still importing the file "${request[param]}"; wait until its status is "processed", then try again`,
      { param, code: "file_not_ready", retry: true },
    );
  }
}

/** The field of the file that is still being imported. */
async function findPending(
  upstream: Upstream,
  request: JobRequest,
  signal: AbortSignal,
): Promise<FileParam | undefined> {
  for (const param of ["training_file", "validation_file"] as const) {
    const id = request[param];
    if (!id) continue;
    const file = await readFile(upstream, id, signal);
    if (file === undefined) continue;
    if (file.status === "error" || isDeleted(file)) throw refuseFile(file, param);
    if (/^(uploaded|pending|running)$/.test(file.status)) return param;
  }
  return undefined;
}

type Stored = v.InferOutput<typeof StoredFile>;

/** Undefined for a file that Azure does not have: its answer to the job says so in its own words. */
async function readFile(
  upstream: Upstream,
  id: string,
  signal: AbortSignal,
): Promise<Stored | undefined> {
  try {
    return await upstream.get(["files", id], {}, StoredFile, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.retry !== undefined) throw error;
    const { status, message, type, param, code, headers } = error;
    if (status === 400 || status === 404) return undefined;
    // No job has been asked for yet.
    const retry = status === 429 || status >= 500;
    throw new ApiError(status, message, { type, param, code, headers, retry, cause: error });
  }
}

function refuseFile(file: Stored, param: FileParam): ApiError {
  const details = file.status_details;
  const reason =
    file.status !== "error"
      ? "it is deleted"
      : typeof details === "string" && details !== ""
        ? `Azure could not import it: ${details.slice(0, maxDetails).toWellFormed()}`
        : "Azure could not import it";
  return new ApiError(400, `Cannot create the job with the file "${file.id}": ${reason}`, {
    param,
    code: "invalid_file",
  });
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
