import * as v from "valibot";
import { requestIdOf, withRequestId } from "../provider.ts";
import type { Path, Query, Schema, Upstream } from "./client.ts";

/**
 * All items of a list that is paged by `after`, read page by page as they are asked for: from
 * `query.after` on, with the other parameters sent for every page. A service that repeats itself
 * is a 502. `requestIdOf` knows the id of the first call once it is answered.
 */
export function listPages<Item extends { readonly id: string }>(
  upstream: Upstream,
  path: Path,
  query: Query,
  schema: Schema<Item>,
  signal: AbortSignal,
): AsyncIterable<Item> {
  const items: AsyncIterable<Item> = readPages();
  return items;

  async function* readPages(): AsyncGenerator<Item> {
    const Page = v.object({ data: v.array(schema), has_more: v.optional(v.nullable(v.boolean())) });
    const seen = new Set<unknown>();
    let { after } = query;
    for (;;) {
      seen.add(after);
      const page = await upstream.get(path, { ...query, after }, Page, signal);
      if (requestIdOf(items) === undefined) withRequestId(items, requestIdOf(page) ?? null);
      const last = page.data.at(-1)?.id;
      if (last !== undefined && seen.has(last)) {
        throw upstream.refuse(`repeats the page that ends with "${last.slice(0, 100)}"`);
      }
      yield* page.data;
      if (page.has_more !== true || last === undefined) return;
      after = last;
    }
  }
}

/**
 * The page size to ask for: one more than wanted shows in the same call whether there is more. 100
 * is what every list of OpenAI's API allows, `most` what this one does.
 */
export function pageSize(wanted: number, most: number): number {
  return wanted < 100 ? Math.min(wanted + 1, 100) : Math.min(wanted, most);
}
