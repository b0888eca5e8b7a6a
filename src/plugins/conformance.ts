import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import type { Candidate, OptionalMethod, Service } from "../conformance/candidate.ts";
import { checks } from "../conformance/checks/index.ts";
import { backendName, concerns, runCheck } from "../conformance/trial.ts";
import { StartError } from "../errors.ts";
import type { Backend, Provider, Runtime } from "../provider.ts";
import { findRule } from "./contract.ts";
import type { PluginFile } from "./files.ts";
import { explainImportError, messageOf } from "./import-errors.ts";
import { createPluginBackend } from "./load.ts";
import { type MethodName, methods } from "./methods.ts";
import { requiredMethods } from "./shape.ts";

/** What became of one check. */
export interface CheckResult {
  readonly name: string;
  /** Why it failed; absent where it passed. */
  readonly failure?: string;
  /** The sentence of the contract that it holds a backend to. */
  readonly rule: string;
}

/** All that was found out about a plugin. */
export interface PluginReport {
  readonly methods: readonly MethodName[];
  readonly results: readonly CheckResult[];
}

const checkSeconds = 30;

/** The file with a plugin's fake: `acme.fake.ts` beside `acme.ts`, `fake.ts` beside `index.ts`. */
export function findFake({ name, path }: PluginFile): string | undefined {
  const folder = dirname(path);
  const stem = /^index\./.test(basename(path)) ? "fake" : `${name}.fake`;
  return ["ts", "js"].map((end) => join(folder, `${stem}.${end}`)).find((file) => existsSync(file));
}

/** Runs every check that concerns a plugin against its own fake. Throws a `StartError`. */
export async function checkPlugin(
  file: PluginFile,
  provider: Provider,
  fake: string,
): Promise<PluginReport> {
  const start = await importFake(file, fake);
  const known: Provider = {
    ...provider,
    create: (options, runtime) =>
      listMembers(createPluginBackend(file, provider, options, runtime)),
  };
  const tried = await tryService(file, known, start);
  const optional = tried.methods.filter((name) => !requiredMethods.some((one) => one === name));
  const candidate: Candidate = {
    provider: known,
    methods: optional as OptionalMethod[],
    remote: tried.remote,
    start,
  };
  const results: CheckResult[] = [];
  for (const check of checks) {
    if (!concerns(check, candidate)) continue;
    const { name } = check;
    const failure = await catchProblem(() => runCheck(check, candidate));
    results.push({ name, rule: findRule(name), ...(failure !== undefined && { failure }) });
  }
  return { methods: tried.methods, results };
}

/** Those of an instance of a class too, which has its methods from elsewhere. */
function listMembers(backend: Backend): Backend {
  const members: Record<string, unknown> = {};
  for (const name of [...Object.keys(methods), "cursors", "close"]) {
    const member: unknown = Reflect.get(backend, name);
    if (member === undefined) continue;
    members[name] = typeof member === "function" ? member.bind(backend) : member;
  }
  // Each member that a backend has is in it.
  return members as unknown as Backend;
}

type StartService = Candidate["start"];

async function importFake(file: PluginFile, fake: string): Promise<StartService> {
  let module: unknown;
  try {
    module = await import(fake);
  } catch (cause) {
    const reason = explainImportError(cause, { name: file.name, path: fake });
    throw new StartError(`Cannot check provider "${file.name}": ${reason}`, { cause });
  }
  const { startService }: { startService?: unknown } = Object(module);
  if (typeof startService !== "function") {
    throw new StartError(
      `Cannot check provider "${file.name}": ${fake} exports no startService(directory)`,
    );
  }
  return async (directory) => await startService(directory);
}

/** Starts the service once, to see what there is to check. */
async function tryService(file: PluginFile, provider: Provider, start: StartService) {
  const directory = await mkdtemp(join(tmpdir(), "tunegate-plugin-"));
  let service: Service | undefined;
  try {
    service = await start(directory);
    const options = v.safeParse(provider.options, service.options);
    if (!options.success) {
      const path = v.getDotPath(options.issues[0]) ?? "";
      throw new StartError(
        `Cannot check provider "${file.name}": it does not take the options of its fake: ${path}: ${options.issues[0].message}`,
      );
    }
    const backend = provider.create(options.output, makeRuntime(directory));
    const present = new Set(Object.keys(backend));
    await backend.close?.();
    const names = Object.keys(methods).filter((name) => present.has(name));
    return { methods: names as MethodName[], remote: service.redirect !== undefined };
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(
      `Cannot check provider "${file.name}": its fake does not start: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    await service?.stop?.();
    await rm(directory, { recursive: true, force: true });
  }
}

/** A runtime for a backend that is looked at and thrown away. */
export function makeRuntime(directory: string): Runtime {
  return {
    name: backendName,
    directory,
    serves: { files: true, jobs: true },
    command: [process.execPath],
    secrets: [],
    log: () => undefined,
  };
}

/** What `run` fails with, as a text; undefined where it does not. */
export async function catchProblem(run: () => Promise<unknown>): Promise<string | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`it took more than ${checkSeconds} seconds`)),
    checkSeconds * 1000,
  );
  try {
    await Promise.race([run(), late.promise]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : messageOf(error);
  } finally {
    clearTimeout(timer);
  }
}
