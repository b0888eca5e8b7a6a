import { badRequest } from "../errors.ts";

/** Where a request points: `/v1/…`, `/…`, or `/{backend or provider}/v1/…`. */
export interface Address {
  /** The path as sent, without the query. */
  readonly path: string;
  /** The first segment of `/{backend or provider}/v1/…`, decoded. */
  readonly hint: string | undefined;
  /** What follows `v1`, decoded, without a trailing slash. */
  readonly segments: readonly string[];
  /** The query as sent, without `?`. */
  readonly query: string;
}

/** Takes the URL of a request apart; throws a 400 where its percent-encoding is broken. */
export function parseAddress(url: string): Address {
  const { path, query } = splitUrl(url);
  const encoded = path.slice(1).split("/");
  const segments = path.includes("%") ? encoded.map(decodeSegment) : encoded;
  if (segments.length > 1 && segments.at(-1) === "") segments.pop();
  if (segments[0] === "v1") return { path, hint: undefined, segments: segments.slice(1), query };
  if (segments[1] === "v1") return { path, hint: segments[0], segments: segments.slice(2), query };
  return { path, hint: undefined, segments, query };
}

/** The path and the query of a request's URL as sent. */
export function splitUrl(url: string): { readonly path: string; readonly query: string } {
  // Without a usable Host header, as in HTTP/1.0, Bun gives the path alone.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  const mark = url.indexOf("?", start);
  if (mark === -1) return { path: url.slice(start), query: "" };
  return { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(
      `Cannot read the path: "${segment.slice(0, 100)}" is not valid percent-encoding`,
      null,
    );
  }
}
