import { open } from "node:fs/promises";
import { resolve } from "node:path";
import * as v from "valibot";
import { LineCounter } from "yaml";
import type { BackendConfig } from "../backends.ts";
import type { ConfiguredPrice } from "../cost/prices.ts";
import { StartError } from "../errors.ts";
import {
  backendLists,
  checkDefaultProvider,
  combineEntries,
  type Providers,
  readEntries,
} from "./backends.ts";
import type { Environment } from "./environment.ts";
import {
  addMasterKey,
  defaultGeneralSettings,
  type GeneralSettings,
  readGeneralSettings,
} from "./general-settings.ts";
import { Mistakes } from "./mistakes.ts";
import { findNearName, listChoices } from "./names.ts";
import { readPrices } from "./prices.ts";
import { type Block, parseSettings, type Settings } from "./settings.ts";

/** All that the gateway is told at start, checked. */
export interface Config {
  /** The file as it was named; undefined where there is none. */
  readonly fileName: string | undefined;
  /** At least one, in the order of first appearance. */
  readonly backends: readonly BackendConfig[];
  readonly general: GeneralSettings;
  /** Prices of training, in the order of the file. */
  readonly prices: readonly ConfiguredPrice[];
  /** The providers that entries may name, by name. */
  readonly providers: Providers;
  /** LiteLLM's blocks that stand in the file and do nothing here. */
  readonly unused: readonly string[];
  /** Whether neither list of backends is there, so that the default provider serves alone. */
  readonly usesDefaultBackend: boolean;
  /**
   * Every key, token and password of at least 8 characters among the settings, for the log to mask:
   * a shorter one, such as `test`, may be a word that stands in any line.
   */
  readonly secrets: readonly string[];
}

/** The providers there are. */
export interface Registry {
  readonly providers: Providers;
  /** The provider that serves where the file lists none; it works without options. */
  readonly defaultProvider: string;
}

/**
 * The top-level keys that LiteLLM's proxy reads beside ours: `ProxyConfig.load_config`,
 * `_init_non_llm_configs` and `_init_policy_engine` of `litellm/proxy/proxy_server.py`,
 * `callback_settings` of its page "All settings", `agent_settings` of its example configs.
 */
const unusedBlocks: readonly string[] = [
  "agent_list",
  "agent_settings",
  "assistant_settings",
  "callback_settings",
  "credential_list",
  "default_vertex_config",
  "environment_variables",
  "guardrails",
  "litellm_settings",
  "mcp_servers",
  "mcp_tools",
  "model_list",
  "policies",
  "policy_attachments",
  "prompts",
  "router_settings",
  "search_tools",
  "vector_store_registry",
];

const maxFileBytes = 1024 * 1024;
const shortestSecret = 8;

/** Loads more providers, as the general settings of the file say, as far as they can be read. */
export type LoadProviders = (general: GeneralSettings) => Promise<Providers>;

/**
 * Reads the settings of `file`, or the built-in ones; a StartError holds all that is wrong. Entries
 * may name the registry's providers and those that `loadProviders` gives.
 */
export async function loadConfig(
  file: string | undefined,
  environment: Environment,
  registry: Registry,
  loadProviders: LoadProviders = async () => ({}),
): Promise<Config> {
  const text = file === undefined ? undefined : await readText(file);
  const general =
    text === undefined || file === undefined
      ? defaultGeneralSettings
      : peekGeneralSettings(text, file, environment);
  const providers = { ...registry.providers, ...(await loadProviders(general)) };
  if (text === undefined || file === undefined) {
    return createDefaultConfig(environment, { ...registry, providers });
  }
  return parseConfig(text, file, environment, { ...registry, providers });
}

/** The general settings of a file before all else of it is read; its mistakes come up later. */
function peekGeneralSettings(
  text: string,
  fileName: string,
  environment: Environment,
): GeneralSettings {
  const lines = new LineCounter();
  const settings = parseSettings(text, lines, environment, new Mistakes(fileName, lines));
  return readGeneralBlock(settings.listBlocks(), settings);
}

function readGeneralBlock(blocks: readonly Block[], settings: Settings): GeneralSettings {
  const block = blocks.find(({ key }) => key === "general_settings");
  const value = block === undefined ? null : settings.read(block.node, ["general_settings"]);
  return readGeneralSettings(value, settings);
}

/** Reads settings from YAML; `fileName` is for messages only. */
export function parseConfig(
  text: string,
  fileName: string,
  environment: Environment,
  registry: Registry,
): Config {
  const lines = new LineCounter();
  const mistakes = new Mistakes(fileName, lines);
  const settings = parseSettings(text, lines, environment, mistakes);
  const blocks = settings.listBlocks();
  if (blocks.length === 0) {
    mistakes.throwIfAny();
    mistakes.add([], 0, `is empty; write at least ${showSmallest(registry)}`);
  }
  refuseUnknownBlocks(blocks, settings);
  const general = readGeneralBlock(blocks, settings);
  const { backends, named, usesDefaultBackend } = readBackends(blocks, registry, general, settings);
  const pricesBlock = blocks.find(({ key }) => key === "prices");
  const prices =
    pricesBlock === undefined
      ? []
      : readPrices(settings.read(pricesBlock.node, ["prices"]), named, settings);
  const complete = addMasterKey(general, environment, mistakes);
  mistakes.throwIfAny();
  return {
    fileName,
    backends,
    general: complete,
    prices,
    providers: registry.providers,
    unused: blocks.map(({ key }) => key).filter((key) => unusedBlocks.includes(key)),
    usesDefaultBackend,
    secrets: listSecrets(complete, settings.secrets),
  };
}

function createDefaultConfig(environment: Environment, registry: Registry): Config {
  const mistakes = new Mistakes("", new LineCounter());
  const general = addMasterKey(defaultGeneralSettings, environment, mistakes);
  mistakes.throwIfAny();
  return {
    fileName: undefined,
    backends: [createDefaultBackend(registry)],
    general,
    prices: [],
    providers: registry.providers,
    unused: [],
    usesDefaultBackend: true,
    secrets: listSecrets(general, []),
  };
}

function createDefaultBackend({ providers, defaultProvider }: Registry): BackendConfig {
  const provider = providers[defaultProvider];
  if (provider === undefined) throw new Error(`There is no provider "${defaultProvider}"`);
  const options = v.parse(provider.options, {});
  return { name: defaultProvider, provider: defaultProvider, files: options, jobs: options };
}

function listSecrets(general: GeneralSettings, found: Iterable<string>): readonly string[] {
  const { master_key } = general;
  const all = new Set(master_key === undefined ? found : [...found, master_key]);
  return [...all].filter((secret) => secret.length >= shortestSecret);
}

function refuseUnknownBlocks(blocks: readonly Block[], settings: Settings): void {
  const known = ["general_settings", ...backendLists, "prices"];
  for (const { key } of blocks) {
    if (known.includes(key) || unusedBlocks.includes(key)) continue;
    const near = findNearName(key, [...known, ...unusedBlocks]);
    const suggestion = near === undefined ? `use ${listChoices(known)}` : `did you mean "${near}"?`;
    const message =
      key === "include"
        ? "is not supported; write what the other files hold into this one"
        : `unknown key; ${suggestion}`;
    settings.addMistake([key], message, "key");
  }
}

function readBackends(
  blocks: readonly Block[],
  registry: Registry,
  general: GeneralSettings,
  settings: Settings,
): Pick<Config, "backends" | "usesDefaultBackend"> & {
  /** What a setting may name; undefined where some of it could not be read. */
  readonly named: readonly BackendConfig[] | undefined;
} {
  const lists = new Map(
    blocks.flatMap(({ key, node }) => {
      const list = backendLists.find((name) => name === key);
      return list === undefined ? [] : [[list, settings.read(node, [list])] as const];
    }),
  );
  const usesDefaultBackend = lists.size === 0;
  const { entries, complete } = readEntries(lists, registry.providers, settings);
  const first = lists.keys().next().value;
  if (complete && entries.length === 0 && first !== undefined) {
    const message = `has no entry, so there is no backend; write at least ${showSmallest(registry)}`;
    settings.addMistake([first], message);
  }
  const backends = usesDefaultBackend
    ? [createDefaultBackend(registry)]
    : combineEntries(entries, settings);
  const named = complete && backends.length > 0 ? backends : undefined;
  if (named !== undefined) checkDefaultProvider(general.default_provider, named, settings);
  return { backends, named, usesDefaultBackend };
}

function showSmallest({ defaultProvider }: Registry): string {
  return `finetune_settings: [{ custom_llm_provider: ${defaultProvider} }]`;
}

/** The text of a file of at most 1 MiB; reads no further, so that a device cannot fill memory. */
async function readText(file: string): Promise<string> {
  const bytes = new Uint8Array(maxFileBytes + 1);
  let length = 0;
  try {
    const handle = await open(file, "r");
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = (await handle.read(bytes, length, bytes.length - length, null)).bytesRead;
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new StartError(`Cannot read config file "${file}": ${explainError(error, file)}`, {
      cause: error,
    });
  }
  if (length > maxFileBytes) {
    throw new StartError(`Cannot read config file "${file}": it is larger than 1 MiB`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch (error) {
    throw new StartError(`Cannot read config file "${file}": it is not UTF-8 text`, {
      cause: error,
    });
  }
}

function explainError(error: unknown, file: string): string {
  const { code, message } = v.parse(
    v.object({ code: v.optional(v.string()), message: v.string() }),
    error,
  );
  if (code === "ENOENT") return `there is no file ${resolve(file)}`;
  if (code === "EISDIR") return `${resolve(file)} is a directory, name a file in it`;
  return message;
}
