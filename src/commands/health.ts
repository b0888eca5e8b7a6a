import { get, type IncomingMessage } from "node:http";
import { StartError } from "../errors.ts";

/** What a container's health check needs besides the exit code: where it asks, and for how long. */
export interface HealthOptions {
  /** What the gateway listens on; for 0.0.0.0 and :: this machine is asked. */
  readonly host: string;
  readonly port: number;
  readonly timeoutSeconds: number;
}

const loopback: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/**
 * Asks the gateway that listens there whether it can serve, and returns that in one line. Throws a
 * `StartError` where it is not ready or does not answer in time.
 */
export async function checkHealth(options: HealthOptions): Promise<string> {
  const host = loopback[options.host] ?? options.host;
  const address = `http://${host.includes(":") ? `[${host}]` : host}:${options.port}`;
  try {
    const status = await requestStatus(`${address}/health/readiness`, options.timeoutSeconds);
    if (status === 200) return `The gateway at ${address} is ready`;
    throw new Error(`it answers with status ${status}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(
      `Cannot find a gateway that is ready at ${address}: ${reason}; name another with --host and --port`,
      { cause: error },
    );
  }
}

// Not `fetch`, which would ask by way of the proxy in HTTP_PROXY even for this machine.
async function requestStatus(url: string, timeoutSeconds: number): Promise<number | undefined> {
  const answer = Promise.withResolvers<IncomingMessage>();
  const request = get(url, answer.resolve).on("error", answer.reject);
  const timer = setTimeout(
    () => answer.reject(new Error(`it has not answered in ${timeoutSeconds} seconds`)),
    timeoutSeconds * 1000,
  );
  try {
    return (await answer.promise).statusCode;
  } finally {
    clearTimeout(timer);
    request.destroy();
  }
}
