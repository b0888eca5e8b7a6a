import { ApiError } from "../errors.ts";
import type { Gateway } from "../gateway.ts";
import { type Cursor, type Page, readPage, type Source, unknownCursor } from "../lists.ts";
import { locate, type Recordable } from "../location.ts";

/** What a merged page of files or jobs is to hold; `after` is the client's. */
export interface MergedRequest {
  readonly kind: "file" | "job";
  readonly limit: number;
  readonly order: "asc" | "desc";
  readonly after: string | undefined;
}

/** Reads a page over all `sources` and writes what it shows to the ledger. */
export async function readMergedPage<Item extends Recordable>(
  gateway: Gateway,
  sources: readonly Source<Item>[],
  request: MergedRequest,
  signal: AbortSignal,
): Promise<Page<Item>> {
  const { kind, limit, order } = request;
  const [first] = sources;
  const { listTimeoutSeconds: timeoutSeconds } = gateway.settings;
  let after: Cursor | undefined;
  if (sources.length === 1 && first !== undefined) {
    after = ownCursor(request.after, first.backend);
  } else if (request.after !== undefined) {
    after = await findCursor(gateway, kind, request.after, signal);
  }
  const near = after === undefined ? sources : await findStarts(gateway, sources, after, request);
  const page = await readPage(near, { limit, order, after, timeoutSeconds }, signal);
  await gateway.ledger.record(
    kind,
    page.items.map(({ backend, item }) => ({
      id: item.id,
      backend,
      created_at: item.created_at,
      object: item,
    })),
  );
  return page;
}

/** Lets the ledger say where each other backend's list comes near to the cursor. */
async function findStarts<Item extends Recordable>(
  { ledger }: Gateway,
  sources: readonly Source<Item>[],
  cursor: Cursor,
  { kind, order }: MergedRequest,
): Promise<readonly Source<Item>[]> {
  const side = order === "desc" ? "newer" : "older";
  const { created_at } = cursor;
  return await Promise.all(
    sources.map(async (source) => {
      const { backend, startsAfter, keep } = source;
      if (backend === cursor.backend || !startsAfter) return source;
      const entries = await ledger.findNear({ kind, backend, created_at, side, limit: 20 });
      // In a filtered list only what passes the filter has a place.
      const start = entries.find(({ object }) => keep === undefined || keep(object as Item));
      return start === undefined ? source : { ...source, startNear: start.id };
    }),
  );
}

/** Finds the place of `after` in a merged list; a 400 where no backend has it. */
async function findCursor(
  gateway: Gateway,
  kind: "file" | "job",
  after: string,
  signal: AbortSignal,
): Promise<Cursor> {
  try {
    const { entry } = await locate(gateway, kind, after, undefined, signal);
    if (entry !== undefined) return entry;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  throw unknownCursor(after);
}

/** The cursor of a list of one backend, whose items need no place among those of others. */
export function ownCursor(id: string | undefined, backend: string): Cursor | undefined {
  return id === undefined ? undefined : { id, backend, created_at: 0 };
}
