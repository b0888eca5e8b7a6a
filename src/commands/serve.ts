import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type Backends,
  closeBackends,
  createBackends,
  instancesOf,
  type NamedBackend,
} from "../backends.ts";
import type { Config } from "../config/config.ts";
import { type DataDirectory, openDataDirectory } from "../data-directory.ts";
import { ApiError } from "../errors.ts";
import { ownCommand, version } from "../executable.ts";
import type { Gateway } from "../gateway.ts";
import { type Ledger, openLedger } from "../ledger/ledger.ts";
import type { Log } from "../log.ts";
import type { Provider } from "../provider.ts";
import { createReports } from "../reports.ts";
import { countRequests, createServe, listen, type Requests, requireSafeHost } from "../server.ts";
import { tryBackends } from "./check.ts";

/** What a gateway is started from. */
export interface StartOptions {
  readonly config: Config;
  readonly providers: Readonly<Record<string, Provider>>;
  /** The backend or provider that uploads go to when the config names none and has this one. */
  readonly preferredProvider: string;
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  readonly log: Log;
}

/** A gateway that serves. */
export interface RunningGateway {
  /** Without a trailing slash, such as `http://127.0.0.1:4000`. */
  readonly url: string;
  readonly backends: Backends;
  /**
   * Goes on with another configuration: requests under way finish with the old one. Throws a
   * `StartError` for one that cannot be used, and then goes on with the old one.
   */
  reload(next: Configuration): Promise<void>;
  /** Stops accepting, finishes what runs up to the configured deadline, closes everything. */
  stop(): Promise<void>;
}

/** What can be replaced while a gateway serves. */
export type Configuration = Pick<StartOptions, "config" | "providers" | "log">;

/** Opens the data directory and the ledger, makes the backends, and serves. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const data = await openDataDirectory(resolve(options.dataDirectory));
  const stopping = new AbortController();
  const undo: (() => unknown)[] = [data.release];
  try {
    const ledger = await openLedger(data.ledgerFile, options.log);
    undo.unshift(() => ledger.close());
    const ground = { data, ledger, stopping: stopping.signal, counting: new Set<string>() };
    let current = openGeneration(options, options, ground);
    undo.unshift(() => closeBackends(current.gateway.backends));
    const sweep = () => sweepUploads(current.gateway);
    const sweeper = setInterval(sweep, 600_000);
    undo.unshift(() => clearInterval(sweeper));
    sweep();
    const server = listen(
      current.gateway.settings.masterKey,
      (request, holdOpen) => current.requests.serve(request, holdOpen),
      options,
    );
    const leaving = new Set<Promise<unknown>>();
    async function reload(next: Configuration): Promise<void> {
      const { config, providers, log } = next;
      requireSafeHost(config.general.master_key, options.host);
      // What cannot be made is found out away from the data, before anything changes.
      await tryBackends(config, providers, log, false);
      const old = current;
      const kept = findKeptBackends(old, next);
      const gone = old.gateway.backends.all.filter((backend) => !kept.includes(backend));
      // Two of one name would work on one directory.
      await Promise.all(instancesOf(gone).map((instance) => instance.close?.()));
      current = openGeneration(next, options, ground, kept);
      const settled = old.requests.settle().finally(() => leaving.delete(settled));
      leaving.add(settled);
    }
    async function stop(): Promise<void> {
      const { config } = current;
      // A request whose client has gone may still be making something that must become known.
      const settle = () => Promise.all([...leaving, current.requests.settle()]);
      const drained = Promise.all([server.stop(), settle()]);
      await Promise.race([drained, Bun.sleep(config.general.shutdown_timeout_seconds * 1000)]);
      // What still runs gets a moment to answer: a broken connection would make SDKs repeat a
      // create that has been sent.
      stopping.abort(stopReason());
      await Promise.race([drained, Bun.sleep(1000)]);
      await server.stop(true);
      // What was cut off removes what it has on disk.
      await Promise.race([settle(), Bun.sleep(1000)]);
      for (const step of undo) await step();
    }
    return {
      url: server.url.href.replace(/\/$/, ""),
      get backends() {
        return current.gateway.backends;
      },
      reload,
      stop,
    };
  } catch (error) {
    for (const step of undo) await step();
    throw error;
  }
}

/** What stays while configurations come and go. */
interface Ground {
  readonly data: DataDirectory;
  readonly ledger: Ledger;
  readonly stopping: AbortSignal;
  /** Files whose tokens are being counted. */
  readonly counting: Set<string>;
}

/** A gateway as one configuration makes it. */
interface Generation extends Configuration {
  readonly gateway: Gateway;
  readonly requests: Requests;
}

function openGeneration(
  configuration: Configuration,
  { preferredProvider }: Pick<StartOptions, "preferredProvider">,
  { data, ledger, stopping, counting }: Ground,
  kept: readonly NamedBackend[] = [],
): Generation {
  const { config, providers, log } = configuration;
  const { general } = config;
  const mode = general.validate_files;
  const reports = createReports({ ledger, providers, mode, log, stopping, counting });
  const backends = createBackends(config.backends, {
    providers,
    preferred: general.default_provider ?? preferredProvider,
    dataDirectory: data.path,
    command: ownCommand,
    secrets: config.secrets,
    log,
    store: async (...upload) => (await reports.store(...upload)).file,
    kept,
  });
  const gateway: Gateway = {
    backends,
    ledger,
    log,
    pricing: { configured: config.prices, providers },
    reports,
    stopping,
    settings: {
      masterKey: general.master_key,
      maxFileBytes: Math.floor(general.max_file_size_mb * 1024 * 1024),
      idleSeconds: general.idle_timeout_seconds,
      listTimeoutSeconds: general.list_timeout_seconds,
      maxJobCostUsd: general.max_job_cost_usd,
      spoolDirectory: data.spoolDirectory,
      version,
    },
  };
  return { ...configuration, gateway, requests: countRequests(createServe(gateway)) };
}

/** The backends whose provider and options are as they were, so that they can go on. */
function findKeptBackends(
  { config, providers, gateway }: Generation,
  next: Configuration,
): readonly NamedBackend[] {
  // An upload in parts is checked as its generation does, and secrets are kept from what it starts.
  const { validate_files } = config.general;
  if (validate_files !== next.config.general.validate_files) return [];
  if (!isDeepStrictEqual(config.secrets, next.config.secrets)) return [];
  return gateway.backends.all.filter(({ name, provider }) => {
    const before = config.backends.find((entry) => entry.name === name);
    const after = next.config.backends.find((entry) => entry.name === name);
    return providers[provider] === next.providers[provider] && isDeepStrictEqual(before, after);
  });
}

function stopReason(): ApiError {
  return new ApiError(503, "Cannot wait for the backend: the gateway is stopping", {
    code: "gateway_stopping",
    retry: false,
  });
}

/** Removes expired uploads in the background; a failure is logged and tried again later. */
function sweepUploads({ backends, log }: Gateway): void {
  for (const { assembly } of backends.all) {
    assembly?.sweep().catch((error) => {
      log.write("error", "Cannot remove expired uploads", { reason: String(error) });
    });
  }
}

/** What a person sees at start: the address, the backends, and lines to copy. */
export function describeGateway({ url, backends }: RunningGateway, hasKey: boolean): string {
  const key = hasKey ? "<your master key>" : "unused";
  const names = backends.all.map(({ name, provider }) =>
    name === provider ? name : `${name} (${provider})`,
  );
  const authorization = hasKey ? ` -H "Authorization: Bearer ${key}"` : "";
  return `tunegate ${version} listens on ${url}
backends: ${names.join(", ")}

curl    curl ${url}/v1/models${authorization}
Python  from openai import OpenAI; client = OpenAI(base_url="${url}/v1", api_key="${key}")
Node    import OpenAI from "openai"; const client = new OpenAI({ baseURL: "${url}/v1", apiKey: "${key}" });
`;
}
