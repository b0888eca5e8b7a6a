#!/usr/bin/env bun
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { defaultProvider, preferredProvider, providers } from "../providers/index.ts";
import { type Arguments, readArguments, usage } from "./commands/arguments.ts";
import { describeTrial, tryBackends } from "./commands/check.ts";
import { createReloader, watchPaths } from "./commands/reload.ts";
import { describeGateway, startGateway } from "./commands/serve.ts";
import { type Config, loadConfig } from "./config/config.ts";
import { ApiError, StartError } from "./errors.ts";
import { describeVersion } from "./executable.ts";
import { createLog, type Log, print, printError, showProgress, writeOutput } from "./log.ts";
import { findDefaultDirectory } from "./plugins/files.ts";

// What only one command needs is loaded by it alone, so that a server's memory has none of it.
async function main(words: readonly string[]): Promise<void> {
  if (words[0] === "dataset") return await inspectDataset(words.slice(1));
  if (words[0] === "plugin") return await workOnPlugin(words.slice(1));
  const options = readArguments(words);
  if (options.command === "help") print(usage);
  else if (options.command === "version") print(describeVersion());
  else if (options.command === "train") await runTrainer();
  else if (options.command === "check") await check(options);
  else if (options.command === "providers") await showProviders(options);
  else if (options.command === "health")
    print(
      await (await import("./commands/health.ts")).checkHealth({ ...options, timeoutSeconds: 5 }),
    );
  else await serve(options);
}

async function readConfig({
  config,
  providersDirectory,
}: Pick<Arguments, "config" | "providersDirectory">): Promise<Config> {
  const file = config ?? (existsSync("config.yaml") ? "config.yaml" : undefined);
  return await loadConfig(file, process.env, { providers, defaultProvider }, async (general) => {
    const directory = providersDirectory ?? findPluginDirectory(file, general.providers_dir);
    if (directory === undefined) return {};
    const taken = Object.keys(providers);
    const { loadPlugins } = await import("./plugins/load.ts");
    return await loadPlugins({ directory, taken, timeoutSeconds: general.plugin_timeout_seconds });
  });
}

function findPluginDirectory(file: string | undefined, configured: string | undefined) {
  if (configured === undefined) return findDefaultDirectory(file);
  return resolve(dirname(file ?? ""), configured);
}

async function workOnPlugin(words: readonly string[]): Promise<void> {
  const { runPlugin } = await import("./commands/plugin.ts");
  const isGood = await runPlugin(words, {
    print,
    taken: Object.keys(providers),
    readConfig: (config, plugins) =>
      loadConfig(config, process.env, { providers, defaultProvider }, async () => plugins),
  });
  endProgram(isGood);
}

async function showProviders(options: Arguments): Promise<void> {
  const config = await readConfig(options);
  const { describeProviders } = await import("./commands/providers.ts");
  print(await describeProviders(config, createConsoleLog(options, config)));
  endProgram(true);
}

/** Ends the process, for a plugin may have left something running. */
function endProgram(isGood: boolean): never {
  process.exit(isGood ? 0 : 1);
}

async function check(options: Arguments): Promise<void> {
  const config = await readConfig(options);
  const log = createConsoleLog(options, config);
  const trials = await tryBackends(config, config.providers, log, options.online);
  const names = config.backends.map(({ name }) => name);
  print(
    `${config.fileName ?? "The built-in configuration"} is valid; backends: ${names.join(", ")}`,
  );
  if (config.unused.length > 0) print(`not used: ${config.unused.join(", ")}`);
  const width = Math.max(...names.map((name) => name.length));
  for (const trial of trials) print(log.mask(describeTrial(trial, width)));
  endProgram(trials.every(({ failure }) => failure === undefined));
}

async function inspectDataset(words: readonly string[]): Promise<void> {
  const stopped = new AbortController();
  process.once("SIGINT", () => stopped.abort(new StartError("Stopped by SIGINT")));
  try {
    const { runDataset } = await import("./commands/dataset/command.ts");
    const isGood = await runDataset(words, {
      readConfig: (config) => readConfig({ config, providersDirectory: undefined }),
      print,
      printError,
      write: writeOutput,
      showProgress: (what, share) => showProgress(`${what} ${drawBar(share)}`),
      endProgress: () => showProgress(""),
      signal: stopped.signal,
    });
    if (!isGood) process.exit(1);
  } finally {
    showProgress("");
  }
}

function drawBar(share: number): string {
  const width = 30;
  const full = Math.min(width, Math.round(share * width));
  return `[${"#".repeat(full)}${" ".repeat(width - full)}] ${Math.floor(Math.min(share, 1) * 100)} %`;
}

function createConsoleLog(options: Arguments, config: Config): Log {
  return createLog({
    level: options.logLevel,
    format: process.stderr.isTTY ? "text" : "json",
    secrets: config.secrets,
  });
}

async function serve(options: Arguments): Promise<void> {
  const config = await readConfig(options);
  // Whatever is written from here on is for its owner only.
  process.umask(0o077);
  const log = createConsoleLog(options, config);
  // One request that goes wrong in an unforeseen way must not take all the others with it.
  for (const event of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(event, (error) =>
      log.write("error", "The gateway failed", { reason: explain(error) }),
    );
  }
  const gateway = await startGateway({
    ...options,
    config,
    providers: config.providers,
    preferredProvider,
    log,
  });
  const reload = createReloader(async () => {
    const next = await readConfig(options);
    const nextLog = createConsoleLog(options, next);
    await gateway.reload({ config: next, providers: next.providers, log: nextLog });
    return `backends: ${next.backends.map(({ name }) => name).join(", ")}`;
  }, log);
  process.on("SIGHUP", () => reload("SIGHUP"));
  if (options.watch) watchPaths(findWatched(options, config), () => reload("a change"));
  const stop = async (name: string) => {
    // The second signal, whichever it is, ends the process at once.
    process.removeAllListeners("SIGTERM").removeAllListeners("SIGINT");
    log.write("info", `Stopping on ${name}`);
    await gateway.stop();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  print(describeGateway(gateway, config.general.master_key !== undefined));
  if (config.unused.length > 0) {
    log.write("warn", `Not used from ${config.fileName}: ${config.unused.join(", ")}`);
  }
}

function findWatched(options: Arguments, { fileName, general }: Config): readonly string[] {
  const directory =
    options.providersDirectory ?? findPluginDirectory(fileName, general.providers_dir);
  return [fileName, directory].flatMap((path) =>
    path !== undefined && existsSync(path) ? [path] : [],
  );
}

async function runTrainer(): Promise<void> {
  const stopped = new AbortController();
  process.once("SIGTERM", () => stopped.abort(new Error("stopped by SIGTERM")));
  process.once("SIGINT", () => stopped.abort(new Error("stopped by SIGINT")));
  try {
    const { train } = await import("./trainer/train.ts");
    await train(process.env, print, stopped.signal);
  } catch (error) {
    // The last lines become the job's error message, so they are for its owner: no stack.
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** What an operator should read of an error: a sentence, or of a bug the stack. */
function explain(error: unknown): string {
  if (error instanceof StartError || error instanceof ApiError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  await main(Bun.argv.slice(2));
} catch (error) {
  printError(explain(error));
  process.exit(1);
}
