import { parseArgs } from "node:util";
import { StartError } from "../errors.ts";
import { type LogLevel, logLevels } from "../log.ts";

/** What the command line asks for. */
export interface Arguments {
  readonly command: "serve" | "check" | "providers" | "health" | "train" | "help" | "version";
  readonly config: string | undefined;
  /** The folder of the operator's own providers, as it was named. */
  readonly providersDirectory: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly logLevel: LogLevel;
  /** Whether `check` also tries the services. */
  readonly online: boolean;
  /** Whether `serve` loads the configuration again when it has changed. */
  readonly watch: boolean;
}

/** The text of `--help`. */
export const usage = `tunegate: OpenAI's files and fine-tuning API in front of many providers

Usage
  tunegate [serve] [options]   serve the API
  tunegate check [options]     check the configuration without serving
  tunegate providers [options] list the backends and what each can do
  tunegate plugin --help       write a provider of your own, and check it
  tunegate dataset --help      check training files, and what a run would cost
  tunegate health [options]    ask the gateway on --host and --port whether it is ready
  tunegate train               train one job; the local backend starts this itself

Options
  -c, --config FILE    configuration (default: ./config.yaml if it exists)
      --providers DIR  your own providers (default: ./providers beside the configuration)
      --host HOST      address to listen on (default: 127.0.0.1)
      --port PORT      port to listen on; 0 takes a free one (default: 4000)
      --data-dir DIR   where the ledger and local files are kept (default: ./.tunegate)
      --watch          load the configuration again when it changes, as SIGHUP does
      --online         with check: also try each backend's address and credential
      --log-level L    ${logLevels.join(", ")} (default: info)
      --version        print the version
      --help           print this text
`;

const options = {
  config: { type: "string", short: "c" },
  providers: { type: "string" },
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "4000" },
  "data-dir": { type: "string", default: ".tunegate" },
  "log-level": { type: "string", default: "info" },
  online: { type: "boolean", default: false },
  watch: { type: "boolean", default: false },
  version: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Reads the words after the program's name. Throws a `StartError` that says what would work. */
export function readArguments(words: readonly string[]): Arguments {
  const { values, positionals } = parseWords(words);
  const [command = "serve", extra] = positionals;
  const wanted = values.help ? "help" : values.version ? "version" : command;
  if (!isCommand(wanted)) {
    throw new StartError(
      `Cannot run "${wanted}": the commands are serve, check, providers, plugin, dataset, health and train; see --help`,
    );
  }
  if (extra !== undefined) {
    throw new StartError(`Cannot take "${extra}": ${command} has no further words; see --help`);
  }
  if (values.online && command !== "check") {
    throw new StartError("Cannot take --online: it goes with check; see --help");
  }
  if (values.watch && command !== "serve") {
    throw new StartError("Cannot take --watch: it goes with serve; see --help");
  }
  const port = Number(values.port);
  if (!/^\d{1,5}$/.test(values.port) || port > 65_535) {
    throw new StartError(
      `Cannot listen on port "${values.port}": it must be a number from 0 to 65535`,
    );
  }
  if (values["data-dir"] === "") {
    throw new StartError('Cannot keep data in "": name a directory with --data-dir');
  }
  const level = logLevels.find((one) => one === values["log-level"]);
  if (level === undefined) {
    throw new StartError(
      `Cannot log at "${values["log-level"]}": the levels are ${logLevels.join(", ")}`,
    );
  }
  return {
    command: wanted,
    config: values.config,
    providersDirectory: values.providers,
    host: values.host,
    port,
    dataDirectory: values["data-dir"],
    logLevel: level,
    online: values.online,
    watch: values.watch,
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/\.?\s*To specify.*$/s, "") : "";
    throw new StartError(`Cannot read the command line: ${reason}; see --help`);
  }
}

function isCommand(word: string): word is Arguments["command"] {
  return ["serve", "check", "providers", "health", "train", "help", "version"].includes(word);
}
