import { ApiError, StartError } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { createAccessCheck, isLoopbackHost } from "./http/access.ts";
import { parseAddress, splitUrl } from "./http/address.ts";
import type { Exchange } from "./http/exchange.ts";
import { errorResponse, internalError } from "./http/responses.ts";
import { createRouter } from "./http/router.ts";
import { requestIdOf } from "./provider.ts";
import { openRoutes, routes } from "./routes.ts";

/** Where a server listens; port 0 takes a free one. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

/**
 * A request's way through the gateway; never throws. `holdOpen` keeps the connection open while
 * nothing moves on it, until it is called with false.
 */
export type Serve = (request: Request, holdOpen: (hold: boolean) => void) => Promise<Response>;

/** Makes the function that answers every request: access, route, handler, error, log line. */
export function createServe(gateway: Gateway): Serve {
  const findRoute = createRouter([...openRoutes, ...routes]);
  const openPaths = new Set(openRoutes.map(([, pattern]) => findRoute(pattern.split("/")).methods));
  const checkAccess = createAccessCheck(gateway.settings.masterKey);

  function route(
    request: Request,
    requestId: string,
    holdOpen: Exchange["holdOpen"],
  ): Promise<Response> | Response {
    const address = parseAddress(request.url);
    const { methods, ids } = findRoute(address.segments);
    if (!openPaths.has(methods)) checkAccess(request);
    const handler = methods.get(request.method);
    if (handler !== undefined)
      return handler(gateway, { request, address, ids, requestId, holdOpen });
    if (methods.size === 0) {
      throw new ApiError(
        404,
        `Cannot ${request.method} "${address.path.slice(0, 500)}": no such path`,
        {
          code: "unknown_url",
        },
      );
    }
    const allowed = [...methods.keys()].join(", ");
    throw new ApiError(405, `Cannot ${request.method} "${address.path}": it takes ${allowed}`, {
      code: "method_not_allowed",
      headers: { allow: allowed },
    });
  }

  return async (request, holdOpen) => {
    const started = performance.now();
    const requestId = `req_${crypto.randomUUID().replaceAll("-", "")}`;
    let response: Response;
    try {
      response = await route(request, requestId, holdOpen);
    } catch (error) {
      response = answerError(gateway, request, requestId, error);
    }
    logRequest(gateway, request, response, performance.now() - started);
    return response;
  };
}

/** The one place where an error becomes an answer. */
function answerError(
  gateway: Gateway,
  request: Request,
  requestId: string,
  error: unknown,
): Response {
  const { log } = gateway;
  if (error instanceof ApiError) {
    if (error.status >= 500) {
      log.write("warn", error.message, { request_id: requestId, cause: causeOf(error) });
    }
    return errorResponse(error, requestId, log.mask);
  }
  if (request.signal.aborted) {
    return errorResponse(new ApiError(499, "The client went away"), requestId, log.mask);
  }
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.write("error", "The gateway failed", { request_id: requestId, reason });
  return errorResponse(internalError(requestId), requestId, log.mask);
}

function causeOf(error: ApiError): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}

function logRequest(
  gateway: Gateway,
  request: Request,
  response: Response,
  milliseconds: number,
): void {
  gateway.log.write("info", "request", {
    method: request.method,
    path: splitUrl(request.url).path.slice(0, 500),
    status: response.status,
    ms: Math.round(milliseconds * 10) / 10,
    request_id: requestIdOf(response) ?? response.headers.get("x-request-id"),
  });
}

/** Requests under way, also those whose connection is closed. */
export interface Requests {
  readonly serve: Serve;
  /** Resolves once none is under way. */
  settle(): Promise<void>;
}

/** Keeps count of what `serve` has begun and not yet answered. */
export function countRequests(serve: Serve): Requests {
  let running = 0;
  let settled = Promise.withResolvers<void>();
  return {
    async serve(request, holdOpen) {
      running += 1;
      try {
        return await serve(request, holdOpen);
      } finally {
        running -= 1;
        if (running === 0) {
          settled.resolve();
          settled = Promise.withResolvers();
        }
      }
    },
    settle: () => (running === 0 ? Promise.resolve() : settled.promise),
  };
}

/** How long a connection may stay open on which nothing moves; Bun takes at most 255. */
const idleSeconds = 240;

/** Throws a `StartError` where others than this machine could call without a key. */
export function requireSafeHost(masterKey: string | undefined, host: string): void {
  if (masterKey !== undefined || isLoopbackHost(host)) return;
  throw new StartError(
    `Cannot listen on ${host}: without a key everybody there could spend your money; set general_settings.master_key or TUNEGATE_MASTER_KEY, or listen on 127.0.0.1`,
  );
}

/** Starts to listen. Throws a `StartError` where that is not possible or not safe. */
export function listen(masterKey: string | undefined, serve: Serve, { host, port }: ListenOptions) {
  requireSafeHost(masterKey, host);
  try {
    return Bun.serve({
      hostname: host,
      port,
      // The limits are ours, with OpenAI's error shape; Bun's own would answer with a bare 413.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      idleTimeout: idleSeconds,
      // Otherwise Bun writes what breaks off in mid-answer to standard error, secrets and all.
      development: false,
      // With that, Bun would share a taken port with whoever has it.
      reusePort: false,
      async fetch(request, server) {
        // An answer may take as long as the backend's own deadline allows. Bun keeps what is set
        // here for the connection, so it is set back for the time between two requests.
        const holdOpen = (hold: boolean) => server.timeout(request, hold ? 0 : idleSeconds);
        holdOpen(true);
        const response = await serve(request, holdOpen);
        holdOpen(false);
        return response;
      },
    });
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? error.code : undefined;
    if (reason === "EADDRINUSE") {
      throw new StartError(
        `Cannot listen on ${host}:${port}: the port is taken; stop what uses it or choose another with --port`,
      );
    }
    throw new StartError(
      `Cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
