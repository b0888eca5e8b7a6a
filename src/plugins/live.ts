import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiError } from "../errors.ts";
import type { Backend, Provider } from "../provider.ts";
import { type CheckResult, catchProblem, makeRuntime, type PluginReport } from "./conformance.ts";
import { findRule } from "./contract.ts";
import type { PluginFile } from "./files.ts";
import { guardBackend } from "./guard.ts";
import { createPluginBackend } from "./load.ts";
import { type MethodName, methods } from "./methods.ts";

type Probe = readonly [method: MethodName, name: string, run: (backend: Backend) => unknown];

const signal = new AbortController().signal;
const unknownId = "tunegate-none";
const mostItems = 5;

// Nothing here changes anything at the service.
const probes: readonly Probe[] = [
  [
    "checkAccess",
    "checkAccess() is content with the service",
    ({ checkAccess }) => checkAccess?.(signal),
  ],
  [
    "listJobs",
    "listJobs() lists jobs, the newest first",
    (backend) => readNewest(backend.listJobs({ limit: mostItems }, signal)),
  ],
  [
    "listFiles",
    "listFiles() lists files, the newest first",
    (backend) => readNewest(backend.listFiles?.({ limit: mostItems, order: "desc" }, signal)),
  ],
  ["listModels", "listModels() lists models", (backend) => readFirst(backend.listModels?.(signal))],
  [
    "getJob",
    "an unknown id of a job is a 404 or a 400, in getJob()",
    (backend) => expectAbsent(backend.getJob?.(unknownId, signal)),
  ],
  [
    "getFile",
    "an unknown id of a file is a 404 or a 400, in getFile()",
    (backend) => expectAbsent(backend.getFile?.(unknownId, signal)),
  ],
  [
    "readFile",
    "an unknown id of a file is a 404 or a 400, in readFile()",
    (backend) => expectAbsent(backend.readFile?.(unknownId, undefined, signal)),
  ],
];

/** Checks a plugin against its true service, with an entry's options; only reads. */
export async function checkLive(
  file: PluginFile,
  provider: Provider,
  options: unknown,
): Promise<PluginReport> {
  const directory = await mkdtemp(join(tmpdir(), "tunegate-plugin-"));
  const runtime = makeRuntime(directory);
  const made = createPluginBackend(file, provider, options, runtime);
  const { name, log } = runtime;
  const guard = { plugin: file.name, backend: name, timeoutSeconds: 30, log };
  const backend = guardBackend(made, guard);
  const present = new Set(Object.keys(backend));
  const results: CheckResult[] = [];
  try {
    for (const [method, check, run] of probes) {
      if (!present.has(method)) continue;
      const failure = await catchProblem(async () => await run(backend));
      results.push({ name: check, rule: findRule(check), ...(failure && { failure }) });
    }
  } finally {
    await backend.close?.();
    await rm(directory, { recursive: true, force: true });
  }
  const names = Object.keys(methods).filter((one) => present.has(one));
  return { methods: names as MethodName[], results };
}

async function readFirst<Item>(list: AsyncIterable<Item> | undefined): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of list ?? []) if (items.push(item) >= mostItems) break;
  return items;
}

async function readNewest(
  list: AsyncIterable<{ readonly id: string; readonly created_at: number }> | undefined,
): Promise<void> {
  const items = await readFirst(list);
  for (const [at, item] of items.entries()) {
    const before = items[at - 1];
    if (before === undefined || before.created_at >= item.created_at) continue;
    throw new Error(`"${item.id}" is newer than "${before.id}", which comes before it`);
  }
}

async function expectAbsent(call: Promise<unknown> | undefined): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ApiError && [400, 404].includes(error.status)) return;
    throw error;
  }
  throw new Error(`it answered for the id "${unknownId}"`);
}
