import * as v from "valibot";
import type { Path, Query, Schema, Upstream } from "./client.ts";
import { AnyObject } from "./objects.ts";

/**
 * All items of a list that is paged by `pageToken` and `nextPageToken`, as Google's are, read page by
 * page as they are asked for. `field` is the one that holds the items, which ProtoJSON leaves out
 * where there are none. A token that comes twice is a 502.
 */
export async function* readTokenPages<Item>(
  upstream: Upstream,
  path: Path,
  query: Query,
  field: string,
  schema: Schema<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item> {
  const Page = v.pipe(
    AnyObject,
    v.transform((page) => ({ items: page[field] ?? [], token: page.nextPageToken ?? "" })),
    v.object({ items: v.array(schema), token: v.string() }),
  );
  const seen = new Set<string>();
  let pageToken: string | undefined;
  do {
    const { items, token } = await upstream.get(path, { ...query, pageToken }, Page, signal);
    yield* items;
    if (seen.has(token)) throw upstream.refuse(`repeats the page token "${token.slice(0, 100)}"`);
    seen.add(token);
    pageToken = token;
  } while (pageToken !== "");
}
