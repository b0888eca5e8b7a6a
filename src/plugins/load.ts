import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { StartError } from "../errors.ts";
import type { Backend, Provider, Runtime } from "../provider.ts";
import { findPluginFiles, type PluginFile } from "./files.ts";
import { guardBackend } from "./guard.ts";
import { explainImportError, locate, locateFrame, messageOf } from "./import-errors.ts";
import { methods } from "./methods.ts";
import { forgetModules, provideModules } from "./modules.ts";
import {
  findBackendProblem,
  findProviderProblem,
  isBackend,
  isProvider,
  type ShapeProblem,
} from "./shape.ts";

/** What plugins are loaded with. */
export interface PluginOptions {
  readonly directory: string;
  /** The names of the providers that are built in. */
  readonly taken: readonly string[];
  /** How long one call of a plugin may take. */
  readonly timeoutSeconds: number;
}

const importSeconds = 30;

/**
 * The providers of a folder by name, each of whose backends is guarded; read anew each time. A
 * `StartError` names file, line and reason of all that cannot be used.
 */
export async function loadPlugins(
  options: PluginOptions,
): Promise<Readonly<Record<string, Provider>>> {
  const files = findPluginFiles(options.directory);
  for (const { name, path } of files) {
    const same = options.taken.find((one) => one.toLowerCase() === name.toLowerCase());
    if (same === undefined) continue;
    throw new StartError(
      `Cannot load provider "${name}" from ${path}: "${same}" is built in; give the file another name`,
    );
  }
  // Links may lead elsewhere.
  forgetModules([options.directory, ...files.map(({ path }) => dirname(realpathSync(path)))]);
  const loaded: [string, Provider][] = [];
  const mistakes: string[] = [];
  for (const file of files) {
    try {
      const provider = await loadPlugin(file);
      loaded.push([file.name, guardProvider(file, provider, options.timeoutSeconds)]);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      mistakes.push(error.message);
    }
  }
  if (mistakes.length > 0) throw new StartError(mistakes.join("\n"));
  return Object.fromEntries(loaded);
}

/** The provider that a file default-exports, as it is. Throws a `StartError`. */
export async function loadPlugin(file: PluginFile): Promise<Provider> {
  provideModules();
  const exported: unknown = await importFile(file);
  if (!isProvider(exported)) throw refuse(file, findProviderProblem(exported));
  return exported;
}

async function importFile(file: PluginFile): Promise<unknown> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`its import took more than ${importSeconds} seconds`)),
    importSeconds * 1000,
  );
  try {
    const module: unknown = await Promise.race([import(file.path), late.promise]);
    return Object(module).default;
  } catch (cause) {
    const reason = explainImportError(cause, file);
    throw new StartError(`Cannot load provider "${file.name}": ${reason}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

function refuse(file: PluginFile, problem: ShapeProblem | undefined): StartError {
  const place = problem?.word === undefined ? file.path : locate(file.path, problem.word);
  return new StartError(`Cannot load provider "${file.name}": ${place}: it ${problem?.message}`);
}

/** Makes a plugin's backend, as it is; throws a `StartError` where it is none. */
export function createPluginBackend(
  file: PluginFile,
  provider: Provider,
  options: unknown,
  runtime: Runtime,
): Backend {
  let made: unknown;
  try {
    made = provider.create(options, runtime);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const place = locateFrame(cause, file.path);
    throw new StartError(
      `Cannot make backend "${runtime.name}" of provider "${file.name}": ${place}: create() threw ${messageOf(cause)}`,
      { cause },
    );
  }
  if (!isBackend(made)) throw refuse(file, findBackendProblem(made));
  for (const name of Object.keys(methods)) {
    const member: unknown = Reflect.get(made, name);
    if (member !== undefined && typeof member !== "function") {
      throw refuse(file, { word: name, message: `made a backend whose ${name} is no function` });
    }
  }
  return made;
}

function guardProvider(file: PluginFile, provider: Provider, timeoutSeconds: number): Provider {
  const { options, datasets, prices } = provider;
  return {
    options,
    ...(datasets !== undefined && { datasets }),
    ...(prices !== undefined && { prices }),
    create(options, runtime) {
      const backend = createPluginBackend(file, provider, options, runtime);
      const { name, log } = runtime;
      return guardBackend(backend, { plugin: file.name, backend: name, timeoutSeconds, log });
    },
  };
}
