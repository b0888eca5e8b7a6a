import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { createLocalBackend } from "../../../providers/local/backend.ts";
import local from "../../../providers/local/index.ts";
import {
  findProcesses,
  isRunning,
  type ProcessIdentity,
} from "../../../providers/local/process-identity.ts";
import type {
  Backend,
  EventFields,
  Fields,
  FileFields,
  FileUpload,
  JobFields,
  JobRequest,
} from "../../../src/provider.ts";
import { makeDirectory } from "../../support/directory.ts";
import type { WholeBackend } from "../backends.ts";

export const never = new AbortController().signal;

/** What a test may set of a backend. */
export interface BackendSetup {
  readonly options?: Fields;
  readonly serves?: { readonly files: boolean; readonly jobs: boolean };
  readonly grace?: number;
  readonly secrets?: readonly string[];
}

/** A directory of one test, with the backends that it makes on it. */
export interface Place {
  readonly path: string;
  /** What the backends logged. */
  readonly logged: string[];
  start(setup?: BackendSetup): WholeBackend & Pick<Backend, "cursors"> & { close(): Promise<void> };
  /** The process numbers of the trainers that run on this directory. */
  trainers(): number[];
  /** Ends all backends and trainers and removes the directory. */
  remove(): Promise<void>;
}

/** Makes an empty place. */
export function makePlace(): Place {
  const directory = makeDirectory();
  const path = join(directory.path, "backend");
  const logged: string[] = [];
  const started: Backend[] = [];
  const seen = new Map<number, ProcessIdentity>();
  const trainers = () => {
    for (const [description, identity] of findProcesses("TUNEGATE_JOB")) {
      if (description.startsWith(`${path}/`)) seen.set(identity.pid, identity);
    }
    // One that is ending has lost its environment before it has ended.
    return [...seen.values()].filter(isRunning).map(({ pid }) => pid);
  };
  return {
    path,
    logged,
    start({ options = {}, serves = { files: true, jobs: true }, grace, secrets } = {}) {
      const backend = createBackend(
        path,
        options,
        serves,
        grace,
        (line) => logged.push(line),
        secrets,
      );
      started.push(backend);
      return requireAll(backend);
    },
    trainers,
    async remove() {
      for (const backend of started) await backend.close?.();
      for (const pid of trainers()) process.kill(-pid, "SIGKILL");
      while (trainers().length > 0) await Bun.sleep(10);
      directory.remove();
    },
  };
}

/** A backend as the gateway makes it, save for its log and `grace`. */
export function createBackend(
  directory: string,
  options: Fields,
  serves: { readonly files: boolean; readonly jobs: boolean },
  grace: number | undefined,
  log: (line: string) => void,
  secrets: readonly string[] = [],
): Backend {
  const schema = v.object({
    trainer: v.optional(v.array(v.string())),
    models: v.array(v.string()),
    methods: v.array(v.picklist(["supervised", "dpo", "reinforcement"])),
    max_concurrent_jobs: v.number(),
  });
  const runtime = {
    name: "local",
    directory,
    serves,
    command: [process.execPath],
    secrets,
    log: (level: string, message: string, fields?: Fields) =>
      log(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
  };
  const checked = v.parse(schema, v.parse(local.options, options));
  return createLocalBackend(checked, runtime, grace);
}

function requireAll(backend: Backend) {
  return backend as WholeBackend & Backend & { close(): Promise<void> };
}

/** Writes a trainer of which `body` is what it does; returns the command. */
export async function writeTrainer(place: Place, body: string): Promise<string[]> {
  const path = `${place.path}-trainer-${crypto.randomUUID()}.ts`;
  await Bun.write(
    path,
    `import { appendFileSync, existsSync, readFileSync, writeSync } from "node:fs";
const job = JSON.parse(readFileSync(process.env.TUNEGATE_JOB, "utf8"));
const say = (line) => writeSync(1, JSON.stringify(line) + "\\n");
const metrics = (step, total_steps) =>
  say({ type: "metrics", step, total_steps, train_loss: 1 / step, train_mean_token_accuracy: 0.5 });
const result = () => say({ type: "result", trained_tokens: 1234, model: job.output_directory });
${body}
`,
  );
  chmodSync(path, 0o600);
  return [process.execPath, path];
}

/** A trainer that ends at once, and well. */
export const quickTrainer = "metrics(1, 2); metrics(2, 2); result();";

/** A trainer that prints a step each few milliseconds until a file `enough` is beside it. */
export const endlessTrainer = `
for (let step = 1; !existsSync("enough"); step += 1) {
  metrics(step, 1000000);
  await Bun.sleep(5);
}
result();`;

/** A trainer that starts a worker which ignores SIGTERM, tells its number, and goes on endlessly. */
export const parentTrainer = `
const code = 'process.on("SIGTERM", () => {}); console.log("up");' +
  'setInterval(() => require("fs").existsSync(process.env.TUNEGATE_JOB) || process.exit(), 200)';
const worker = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
await worker.stdout.getReader().read();
say({ type: "message", level: "info", message: "worker " + worker.pid });
${endlessTrainer}
process.exit(0);`;

/** The number of the worker of a `parentTrainer`. */
export async function readWorker(backend: WholeBackend, id: string): Promise<number> {
  for (;;) {
    const text = (await readMessages(backend, id)).find((one) => one.startsWith("worker "));
    if (text !== undefined) return Number(text.slice("worker ".length));
    await Bun.sleep(10);
  }
}

/** Whether a process runs that has not ended. */
export function isAlive(pid: number): boolean {
  const state = readState(pid);
  return state !== undefined && state !== "Z";
}

/** The letter for the state of a process; undefined where there is none. */
export function readState(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2)[0];
  } catch {
    return undefined;
  }
}

/** Chat examples, one a line. */
export function makeExamples(count: number): Blob {
  const lines = Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      messages: [
        { role: "user", content: `What is ${index} and ${index}?` },
        { role: "assistant", content: `It is ${2 * index}.` },
      ],
    }),
  );
  return new Blob([`${lines.join("\n")}\n`]);
}

/** Uploads a file, a training file of twelve examples unless told otherwise. */
export async function upload(
  backend: Backend,
  fields: Partial<FileUpload> = {},
): Promise<FileFields> {
  return await backend.uploadFile(
    {
      content: makeExamples(12),
      filename: "train.jsonl",
      purpose: "fine-tune",
      sha256: "",
      extra: [],
      ...fields,
    },
    never,
  );
}

/** Creates a job with a training file of its own. */
export async function createJob(
  backend: Backend,
  fields: Partial<JobRequest> = {},
): Promise<JobFields> {
  const { id } = await upload(backend);
  return await backend.createJob({ model: "tiny-lm", training_file: id, ...fields }, never);
}

/** Asks for a job until it has one of the statuses. */
export async function waitForStatus(
  backend: WholeBackend,
  id: string,
  ...statuses: readonly string[]
): Promise<JobFields> {
  for (;;) {
    const job = await backend.getJob(id, never);
    if (statuses.includes(job.status)) return job;
    if (["succeeded", "failed", "cancelled"].includes(job.status)) {
      throw new Error(`The job is ${job.status}: ${JSON.stringify(job.error)}`);
    }
    await Bun.sleep(10);
  }
}

/** Waits until something is so. */
export async function waitFor(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(10);
}

/** All of a list. */
export async function collect<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  return await Array.fromAsync(list);
}

/** All events of a job, newest first. */
export async function readEvents(backend: WholeBackend, id: string): Promise<EventFields[]> {
  return await collect(backend.listJobEvents(id, { limit: 100 }, never));
}

/** The messages of all events of a job, oldest first. */
export async function readMessages(backend: WholeBackend, id: string): Promise<string[]> {
  return (await readEvents(backend, id)).map(({ message }) => message).reverse();
}

/** What a call was refused with. */
export async function refusal(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("Nothing was refused");
}
