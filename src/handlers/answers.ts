import { ApiError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import type { Exchange } from "../http/exchange.ts";
import { jsonResponse } from "../http/responses.ts";
import { isTimeout, type Page } from "../lists.ts";
import { type Fields, requestIdOf } from "../provider.ts";

/** What serves one route. */
export type Handler = (gateway: Gateway, exchange: Exchange) => Promise<Response> | Response;

/** Answers with `body`, under the request id of the upstream call that gave `answer`. */
export function answerWith(
  exchange: Exchange,
  body: Fields,
  answer: object = body,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return jsonResponse(body, requestIdOf(answer) ?? exchange.requestId, headers);
}

/**
 * Awaits a call that may have changed something at a backend: an error of it tells the SDKs not to
 * send it again, unless the backend is certain that nothing was sent.
 */
export async function changing<Result>(call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ApiError) || error.retry === true) throw error;
    const { status, message, type, param, code, headers, beside } = error;
    const details = { type, param, code, headers, beside, retry: false };
    throw new ApiError(status, message, { ...details, cause: error });
  }
}

/** What a list answer is made of. */
export interface ListAnswer<Item> {
  readonly complete: (item: Item, backend: string) => Fields;
  /** Whether OpenAI's list object has `first_id` and `last_id`. */
  readonly ends: boolean;
}

/** OpenAI's list object of a page; backends that are missing in it are named in `warning`. */
export function answerList<Item extends { readonly id: string }>(
  gateway: Gateway,
  exchange: Exchange,
  page: Page<Item>,
  { complete, ends }: ListAnswer<Item>,
): Response {
  const data = page.items.map(({ item, backend }) => complete(item, backend));
  const list = {
    object: "list",
    data,
    ...(ends && { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }),
    has_more: page.hasMore,
  };
  const headers = page.failures.length > 0 ? { warning: warn(gateway, page.failures) } : {};
  return jsonResponse(list, page.requestId ?? exchange.requestId, headers);
}

/** The value of a `warning` header (RFC 7234, code 199) that names the backends left out. */
function warn(gateway: Gateway, failures: Page<unknown>["failures"]): string {
  for (const { backend, error } of failures) {
    const reason = error instanceof Error ? error.message : String(error);
    gateway.log.write("warn", "A list goes without one backend", { backend, reason });
  }
  return failures
    .map(({ backend, error }) => `199 tunegate "backend ${backend} is missing: ${reasonOf(error)}"`)
    .join(", ");
}

function reasonOf(error: unknown): string {
  if (error instanceof ApiError) return `it answered ${error.status}`;
  if (isTimeout(error)) return "it did not answer in time";
  return "it failed";
}
