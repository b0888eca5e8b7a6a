import { parseArgs } from "node:util";
import type { Config } from "../config/config.ts";
import { StartError } from "../errors.ts";
import { checkPlugin, findFake } from "../plugins/conformance.ts";
import { findNameProblem, findPluginFile, isOwnSource } from "../plugins/files.ts";
import { checkLive } from "../plugins/live.ts";
import { loadPlugin } from "../plugins/load.ts";
import { renderReport } from "../plugins/report.ts";
import { writePlugin } from "../plugins/scaffold.ts";
import type { Provider } from "../provider.ts";

/** The text of `tunegate plugin --help`. */
const pluginUsage = `tunegate plugin: write a provider of your own, and check it

Usage
  tunegate plugin new NAME [options]   write a provider, a fake of its service and a test
  tunegate plugin test PATH [options]  check a provider against the contract

Options
      --dir DIR        with new: where to write (default: ./providers)
  -c, --config FILE    with test: ask the service itself, with the options of the provider's entry
                       in this configuration; only reads (default: the fake beside the provider)
      --help           print this text
`;

/** What `tunegate plugin` needs of the program around it. */
export interface PluginConsole {
  readonly print: (text: string) => void;
  /** The names of the providers that are built in. */
  readonly taken: readonly string[];
  /** Reads a configuration whose entries may name `plugins` beside what is built in. */
  readonly readConfig: (
    file: string,
    plugins: Readonly<Record<string, Provider>>,
  ) => Promise<Config>;
}

const options = {
  dir: { type: "string" },
  config: { type: "string", short: "c" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `tunegate plugin` with the words after it; false where a provider has mistakes. */
export async function runPlugin(words: readonly string[], io: PluginConsole): Promise<boolean> {
  const { values, positionals } = parseWords(words);
  const [action, subject, extra] = positionals;
  if (values.help || action === undefined) {
    io.print(pluginUsage);
    return true;
  }
  if (extra !== undefined) throw refuse(`Cannot take "${extra}": there are no further words`);
  if (action === "new") {
    if (subject === undefined) throw refuse("Cannot write a provider: name it");
    if (values.config !== undefined) throw refuse("Cannot take --config: it goes with test");
    if (values.dir === undefined && isOwnSource(".")) {
      throw refuse(
        "Cannot write into ./providers: it holds what is built in; name a folder with --dir",
      );
    }
    await createPlugin(subject, values.dir ?? "providers", io);
    return true;
  }
  if (action !== "test") throw refuse(`Cannot run "plugin ${action}": there are new and test`);
  if (subject === undefined) throw refuse("Cannot check a provider: name its file");
  if (values.dir !== undefined) throw refuse("Cannot take --dir: it goes with new");
  return await testPlugin(subject, values.config, io);
}

async function createPlugin(name: string, directory: string, io: PluginConsole): Promise<void> {
  const problem = findNameProblem(name);
  if (problem !== undefined) throw new StartError(`Cannot write provider "${name}": ${problem}`);
  if (io.taken.some((one) => one.toLowerCase() === name.toLowerCase())) {
    throw new StartError(`Cannot write provider "${name}": it is built in; choose another name`);
  }
  const [provider = "", ...others] = await writePlugin(name, directory);
  io.print(`${[provider, ...others].join("\n")}

Check it with:  tunegate plugin test ${provider}
Use it with an entry "custom_llm_provider: ${name}" in the configuration beside the folder.`);
}

async function testPlugin(
  path: string,
  config: string | undefined,
  io: PluginConsole,
): Promise<boolean> {
  const file = findPluginFile(path);
  const provider = await loadPlugin(file);
  const fake = findFake(file);
  if (config === undefined && fake === undefined) {
    throw new StartError(
      `Cannot check provider "${file.name}": there is no ${file.name}.fake.ts beside it, as "tunegate plugin new" writes one; or name a configuration with --config`,
    );
  }
  const report =
    config === undefined
      ? await checkPlugin(file, provider, fake ?? "")
      : await checkLive(file, provider, await findOptions(file.name, provider, config, io));
  io.print(renderReport(file.name, report));
  return report.results.every(({ failure }) => failure === undefined);
}

async function findOptions(
  name: string,
  provider: Provider,
  file: string,
  io: PluginConsole,
): Promise<unknown> {
  const { backends } = await io.readConfig(file, { [name]: provider });
  const entry = backends.find((backend) => backend.provider === name);
  if (entry === undefined) {
    throw new StartError(`Cannot check provider "${name}": ${file} has no entry of it`);
  }
  return entry.jobs;
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/\.?\s*To specify.*$/s, "") : "";
    throw refuse(`Cannot read the command line: ${reason}`);
  }
}

function refuse(message: string): StartError {
  return new StartError(`${message}; see tunegate plugin --help`);
}
