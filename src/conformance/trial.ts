import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import type { Backend, FileFields, FileUpload, JobFields } from "../provider.ts";
import type { Candidate, OptionalMethod, Service } from "./candidate.ts";

/** Something that every provider does; `run` throws where this one does not. */
export interface Check {
  readonly name: string;
  /** The optional methods without which there is nothing to check. */
  readonly needs?: readonly OptionalMethod[];
  /** Whether only backends that call a service can be checked. */
  readonly remote?: true;
  run(trial: Trial): Promise<void>;
}

/** A backend under check, and the service behind it. */
export interface Trial {
  readonly candidate: Candidate;
  readonly service: Service;
  /** A method that the provider leaves out is undefined, whatever its type says. */
  readonly backend: WholeBackend;
  /** Makes another backend of the same name. */
  connect(options: unknown): WholeBackend;
}

/** A backend of which a check uses what it needs to be there. */
export type WholeBackend = Required<Omit<Backend, "close" | "cursors">> &
  Pick<Backend, "close" | "cursors">;

/** The name that every backend under check has. */
export const backendName = "under-check";

/** The part of an import's URL that lets whoever has it read the file. */
export const urlSecret = "sig-of-the-source-that-nobody-else-may-have";

/** Never aborted. */
export const never = new AbortController().signal;

/** Whether a check is one for this provider. */
export function concerns(check: Check, candidate: Candidate): boolean {
  if (check.remote && !candidate.remote) return false;
  return (check.needs ?? []).every((method) => candidate.methods.includes(method));
}

/** Runs one check on a service and a backend of its own; the log must hold no secret then. */
export async function runCheck(check: Check, candidate: Candidate): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "tunegate-conformance-"));
  const backends: Backend[] = [];
  const logLines: string[] = [];
  let service: Service | undefined;
  try {
    const started = await candidate.start(directory);
    service = started;
    const connect = (options: unknown): WholeBackend => {
      const backend = createBackend(candidate, options, directory, logLines);
      backends.push(backend);
      // A method that is missing throws when it is called, and says which it is.
      return backend as WholeBackend;
    };
    const backend = connect(started.options);
    await check.run({ candidate, service: started, backend, connect });
    checkSecrets(logLines.join("\n"), started, "the log");
  } finally {
    for (const backend of backends) await backend.close?.();
    await service?.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function createBackend(
  { provider }: Candidate,
  options: unknown,
  directory: string,
  logLines: string[],
): Backend {
  return provider.create(v.parse(provider.options, options), {
    name: backendName,
    directory,
    serves: { files: true, jobs: true },
    command: [process.execPath],
    secrets: [],
    log: (level, message, fields) => {
      logLines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    },
  });
}

/** Throws where `text`, which is `what`, holds a secret. */
export function checkSecrets(text: string, service: Service, what: string): void {
  for (const secret of [urlSecret, ...service.listSecrets()]) {
    // The whole of it in the message would be a leak of its own.
    assert.ok(
      !text.includes(secret),
      `${what} holds a secret that begins with ${secret.slice(0, 4)}`,
    );
  }
}

/** The training file of a service, as it comes in. */
export function makeUpload({ sample }: Service, fields: Partial<FileUpload> = {}): FileUpload {
  const { content, filename } = sample;
  return {
    content: new Blob([new Uint8Array(content)]),
    sha256: createHash("sha256").update(content).digest("hex"),
    filename,
    purpose: "fine-tune",
    extra: [],
    ...fields,
  };
}

/** Stores the training file. */
export async function uploadSample({ backend, service }: Trial): Promise<FileFields> {
  return await backend.uploadFile(makeUpload(service), never);
}

/** Starts a job on a training file of its own, or on `trainingFile`. */
export async function startJob(trial: Trial, trainingFile?: string): Promise<JobFields> {
  const { backend, service } = trial;
  const training_file = trainingFile ?? (await uploadSample(trial)).id;
  return await backend.createJob({ model: service.model, training_file }, never);
}

/** A job that has succeeded. */
export async function completeJob(trial: Trial): Promise<JobFields> {
  const { id } = await startJob(trial);
  if (trial.service.finishJob === undefined) throw new Error("The service cannot finish jobs");
  trial.service.finishJob(id);
  return await waitForStatus(trial, id, ["succeeded"]);
}

/** Asks for a job until it has one of `statuses`; throws where it ends otherwise. */
export async function waitForStatus(
  { backend }: Trial,
  id: string,
  statuses: readonly string[],
): Promise<JobFields> {
  for (;;) {
    const job = await backend.getJob(id, never);
    if (statuses.includes(job.status)) return job;
    const over = ["succeeded", "failed", "cancelled"].includes(job.status);
    assert.ok(!over, `job ${id} is ${job.status}: ${JSON.stringify(job.error)}`);
    await Bun.sleep(10);
  }
}

/** What a call throws; throws itself where it does not. */
export async function catchFailure(call: () => Promise<unknown>): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await call();
  } catch (error) {
    return error;
  }
  throw new Error(`it did not fail but answered ${JSON.stringify(answer)?.slice(0, 200)}`);
}
