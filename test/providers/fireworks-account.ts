import fireworks from "../../providers/fireworks/index.ts";
import { ApiError } from "../../src/errors.ts";
import type { FileFields, FileUpload, JobFields, JobRequest } from "../../src/provider.ts";
import {
  type FakeFireworks,
  type FakeFireworksOptions,
  startFakeFireworks,
} from "../fakes/fireworks.ts";
import { connectBackend, last, makeUpload, type WholeBackend } from "./backends.ts";

/** Never aborted. */
export const never = new AbortController().signal;

/** A base model of the service's library. */
export const model = "accounts/fireworks/models/qwen3-8b";

/** One example of a dataset. */
export const line =
  '{"messages":[{"role":"user","content":"2"},{"role":"assistant","content":"4"}]}';

/** Three examples, with a blank line and both kinds of line ends. */
export const content = new Blob([`${line}\n \t\r\n${line}\r\n${line}`]);

/** A backend in front of a fake of its own, and short ways to use it. */
export interface FireworksAccount {
  readonly fake: FakeFireworks;
  readonly backend: WholeBackend;
  upload(fields?: Partial<FileUpload>): Promise<FileFields>;
  /** Starts a job on a file of its own, unless `fields` names one. */
  createJob(fields?: Partial<JobRequest>): Promise<JobFields>;
  /** The JSON of the last request that came. */
  lastBody(): Record<string, unknown>;
}

const fakes: FakeFireworks[] = [];

/** Stops the fakes that `startAccount` has started. */
export async function stopFakes(): Promise<void> {
  for (const fake of fakes.splice(0)) await fake.stop();
}

/** Starts a fake and connects a backend with `more` options to it. */
export async function startAccount(
  fakeOptions: FakeFireworksOptions = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<FireworksAccount> {
  const fake = await startFakeFireworks(fakeOptions);
  fakes.push(fake);
  const { apiKey: api_key, accountId: account_id, url: api_base } = fake;
  const backend = connectBackend(fireworks, { api_key, account_id, api_base, timeout: 5, ...more });
  const upload = (fields: Partial<FileUpload> = {}) =>
    backend.uploadFile(makeUpload(content, fields), never);
  return {
    fake,
    backend,
    upload,
    createJob: async (fields = {}) =>
      await backend.createJob({ model, training_file: (await upload()).id, ...fields }, never),
    lastBody: () => JSON.parse(last(fake.requests).body.toString("utf8")),
  };
}

/** The `ApiError` that a call throws; throws itself where it throws another or none. */
export async function catchError(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("It did not fail");
}
