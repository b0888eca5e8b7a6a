import { resolve } from "node:path";
import { type Backends, closeBackends, createBackends } from "../backends.ts";
import type { Config } from "../config/config.ts";
import { openDataDirectory } from "../data-directory.ts";
import { ApiError } from "../errors.ts";
import { ownCommand, version } from "../executable.ts";
import type { Gateway } from "../gateway.ts";
import { openLedger } from "../ledger/ledger.ts";
import type { Log } from "../log.ts";
import type { Provider } from "../provider.ts";
import { createServe, listen } from "../server.ts";

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
  /** Stops accepting, finishes what runs up to the configured deadline, closes everything. */
  stop(): Promise<void>;
}

/** Opens the data directory and the ledger, makes the backends, and serves. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const { config, log } = options;
  const { general } = config;
  const data = await openDataDirectory(resolve(options.dataDirectory));
  const stopping = new AbortController();
  const undo: (() => unknown)[] = [data.release];
  try {
    const ledger = await openLedger(data.ledgerFile, log);
    undo.unshift(() => ledger.close());
    const backends = createBackends(config.backends, {
      providers: options.providers,
      preferred: general.default_provider ?? options.preferredProvider,
      dataDirectory: data.path,
      command: ownCommand,
      secrets: config.secrets,
      log,
    });
    undo.unshift(() => closeBackends(backends));
    const sweeper = setInterval(sweepUploads, 600_000, backends, log);
    undo.unshift(() => clearInterval(sweeper));
    sweepUploads(backends, log);
    const gateway: Gateway = {
      backends,
      ledger,
      log,
      stopping: stopping.signal,
      settings: {
        masterKey: general.master_key,
        maxFileBytes: Math.floor(general.max_file_size_mb * 1024 * 1024),
        idleSeconds: general.idle_timeout_seconds,
        listTimeoutSeconds: general.list_timeout_seconds,
        spoolDirectory: data.spoolDirectory,
        version,
      },
    };
    const server = listen(gateway, createServe(gateway), options);
    async function stop(): Promise<void> {
      const drained = server.stop();
      await Promise.race([drained, Bun.sleep(general.shutdown_timeout_seconds * 1000)]);
      // What still runs gets a moment to answer: a broken connection would make SDKs repeat a
      // create that has been sent.
      stopping.abort(stopReason());
      await Promise.race([drained, Bun.sleep(1000)]);
      await server.stop(true);
      for (const step of undo) await step();
    }
    return { url: server.url.href.replace(/\/$/, ""), backends, stop };
  } catch (error) {
    for (const step of undo) await step();
    throw error;
  }
}

function stopReason(): ApiError {
  return new ApiError(503, "Cannot wait for the backend: the gateway is stopping", {
    code: "gateway_stopping",
    retry: false,
  });
}

/** Removes expired uploads in the background; a failure is logged and tried again later. */
function sweepUploads({ all }: Backends, log: Log): void {
  for (const { assembly } of all) {
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
