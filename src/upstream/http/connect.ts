import { createFetchTransport } from "./fetch.ts";
import { createSocketTransport } from "./sockets.ts";
import type { Transport } from "./transport.ts";

/** Makes the transport to the host of `baseUrl`; contacts nothing. */
export function createTransport(baseUrl: string): Transport {
  const url = new URL(baseUrl);
  return needsFetch(url.protocol) ? createFetchTransport(url) : createSocketTransport(url);
}

/** Proxies, and certificates that nobody checks, are what fetch is told by the environment. */
function needsFetch(protocol: string): boolean {
  const { env } = process;
  const proxy =
    protocol === "https:" ? env.HTTPS_PROXY || env.https_proxy : env.HTTP_PROXY || env.http_proxy;
  return Boolean(proxy) || env.NODE_TLS_REJECT_UNAUTHORIZED === "0";
}
