import OpenAI from "openai";
import { type RunningGateway, startGateway } from "../../src/commands/serve.ts";
import { parseConfig } from "../../src/config/config.ts";
import { createLog } from "../../src/log.ts";
import type { Backend, Provider } from "../../src/provider.ts";
import type { ValidationMode } from "../../src/reports.ts";
import { createMemoryProvider, type MemoryState } from "../fakes/memory.ts";
import { makeDirectory } from "./directory.ts";

/** A gateway on a free port with a data directory of its own. */
export interface TestGateway extends RunningGateway {
  /** The SDK, unmodified, pointed at the gateway; it repeats nothing unless asked to. */
  readonly client: OpenAI;
  readonly dataDirectory: string;
  /** The lines of the log so far, as JSON. */
  readonly logLines: readonly string[];
}

/** What a test gateway is made of; all optional but the providers. */
export interface TestGatewayOptions {
  readonly providers: Readonly<Record<string, Provider>>;
  /** The text of `config.yaml`. */
  readonly config: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly preferredProvider?: string;
  readonly dataDirectory?: string;
  readonly apiKey?: string;
  /** Off if absent, whatever the configuration says: most tests send bytes that are no dataset. */
  readonly validateFiles?: ValidationMode;
}

/** Starts a gateway in this process; `stop` also removes the directory that it made. */
export async function startTestGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const directory = options.dataDirectory === undefined ? makeDirectory() : undefined;
  const dataDirectory = options.dataDirectory ?? directory?.path ?? "";
  const logLines: string[] = [];
  const { providers } = options;
  const defaultProvider = Object.keys(providers)[0] ?? "";
  const parsed = parseConfig(options.config, "config.yaml", options.environment ?? {}, {
    providers,
    defaultProvider,
  });
  const general = { ...parsed.general, validate_files: options.validateFiles ?? "off" };
  const config = { ...parsed, general };
  const starting = startGateway({
    config,
    providers,
    preferredProvider: options.preferredProvider ?? "openai",
    dataDirectory,
    host: "127.0.0.1",
    port: 0,
    log: createLog({
      level: "debug",
      format: "json",
      secrets: config.secrets,
      sink: (line) => logLines.push(line),
    }),
  });
  starting.catch(() => directory?.remove());
  const gateway = await starting;
  return {
    ...gateway,
    client: new OpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: options.apiKey ?? "unused",
      maxRetries: 0,
    }),
    dataDirectory,
    logLines,
    async stop() {
      await gateway.stop();
      directory?.remove();
    },
  };
}

/** Starts a gateway whose backends are the memory backends of `states`, in their order. */
export async function startMemoryGateway(
  states: Readonly<Record<string, MemoryState>>,
  options: Partial<TestGatewayOptions> & { readonly methods?: readonly (keyof Backend)[] } = {},
): Promise<TestGateway> {
  const entries = Object.keys(states)
    .map((name) => `  - { custom_llm_provider: memory, name: ${name} }\n`)
    .join("");
  return await startTestGateway({
    ...options,
    providers: { memory: createMemoryProvider(states, options.methods) },
    config: `finetune_settings:\n${entries}${options.config ?? ""}`,
  });
}

/** What `call` throws; fails where it does not. */
export async function catchError(call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("the call did not fail");
}
