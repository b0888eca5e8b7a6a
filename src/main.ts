#!/usr/bin/env bun
import { existsSync } from "node:fs";
import { defaultProvider, preferredProvider, providers } from "../providers/index.ts";
import { type Arguments, readArguments, usage } from "./commands/arguments.ts";
import { describeGateway, startGateway } from "./commands/serve.ts";
import { type Config, loadConfig } from "./config/config.ts";
import { StartError } from "./errors.ts";
import { version } from "./executable.ts";
import { createLog, print, printError } from "./log.ts";
import { train } from "./trainer/train.ts";

async function main(words: readonly string[]): Promise<void> {
  const options = readArguments(words);
  if (options.command === "help") print(usage);
  else if (options.command === "version") print(version);
  else if (options.command === "train") await runTrainer();
  else if (options.command === "check") await check(options);
  else await serve(options);
}

async function readConfig(options: Arguments): Promise<Config> {
  const file = options.config ?? (existsSync("config.yaml") ? "config.yaml" : undefined);
  return await loadConfig(file, process.env, { providers, defaultProvider });
}

async function check(options: Arguments): Promise<void> {
  const config = await readConfig(options);
  const names = config.backends.map(({ name }) => name).join(", ");
  print(`${config.fileName ?? "The built-in configuration"} is valid; backends: ${names}`);
  if (config.unused.length > 0) print(`not used: ${config.unused.join(", ")}`);
}

async function serve(options: Arguments): Promise<void> {
  const config = await readConfig(options);
  // Whatever is written from here on is for its owner only.
  process.umask(0o077);
  const log = createLog({
    level: options.logLevel,
    format: process.stderr.isTTY ? "text" : "json",
    secrets: config.secrets,
  });
  // One request that goes wrong in an unforeseen way must not take all the others with it.
  for (const event of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(event, (error) =>
      log.write("error", "The gateway failed", { reason: explain(error) }),
    );
  }
  const gateway = await startGateway({ ...options, config, providers, preferredProvider, log });
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

async function runTrainer(): Promise<void> {
  const stopped = new AbortController();
  process.once("SIGTERM", () => stopped.abort(new Error("stopped by SIGTERM")));
  process.once("SIGINT", () => stopped.abort(new Error("stopped by SIGINT")));
  try {
    await train(process.env, print, stopped.signal);
  } catch (error) {
    // The last lines become the job's error message, so they are for its owner: no stack.
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** What an operator should read of an error: a sentence, or of a bug the stack. */
function explain(error: unknown): string {
  if (error instanceof StartError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  await main(Bun.argv.slice(2));
} catch (error) {
  printError(explain(error));
  process.exit(1);
}
