import { ApiError } from "./errors.ts";
import { withinSignal } from "./location.ts";
import { type PageQuery, requestIdOf } from "./provider.ts";

/** One backend's part of a list. */
export interface Source<Item> {
  readonly backend: string;
  /** Whether `read` starts after `after` by itself. */
  readonly startsAfter: boolean;
  /** Reads the list, sorted by `created_at` in the wanted order. */
  readonly read: (query: PageQuery, signal: AbortSignal) => AsyncIterable<Item>;
  /**
   * An item that is known to come before the cursor of another backend: reading after it saves
   * reading from the start. It may be gone by now.
   */
  readonly startNear?: string;
  /** Applies the request's filter, which a backend may ignore. */
  readonly keep?: (item: Item) => boolean;
}

/** The place in a merged list that a page starts after. */
export interface Cursor {
  readonly id: string;
  readonly backend: string;
  /** Unix seconds; orders the item among those of other backends. */
  readonly created_at: number;
}

/** What a page is to hold. */
export interface PageRequest {
  readonly limit: number;
  readonly order: "asc" | "desc";
  readonly after: Cursor | undefined;
  readonly timeoutSeconds: number;
}

/** One page of a merged list. */
export interface Page<Item> {
  readonly items: readonly { readonly backend: string; readonly item: Item }[];
  readonly hasMore: boolean;
  /** Backends whose items are missing, and why. */
  readonly failures: readonly { readonly backend: string; readonly error: unknown }[];
  /** The upstream's id of the call, where there was one upstream. */
  readonly requestId: string | undefined;
}

/** A page size that gets through what is to be skipped in few calls. */
const seekLimit = 100;

interface Listed {
  readonly id: string;
  readonly created_at: number;
}

interface Stream<Item> {
  readonly backend: string;
  readonly rank: number;
  readonly iterable: AsyncIterable<Item>;
  readonly iterator: AsyncIterator<Item>;
  /** Ends this stream alone. */
  readonly ending: AbortController;
  readonly signal: AbortSignal;
  head: Item | undefined;
  /** Milliseconds that were spent waiting for it. */
  waited: number;
}

/**
 * Merges sorted lists into one page. Items of the same second keep the order of the backends in
 * `config.yaml` and, within one, its own; so an item's place is fixed, and a page that starts
 * after any item of the list neither repeats nor misses one. A backend that fails or is slow is
 * left out and named, unless it is the only one or the cursor's own.
 */
export async function readPage<Item extends Listed>(
  sources: readonly Source<Item>[],
  page: PageRequest,
  signal: AbortSignal,
): Promise<Page<Item>> {
  const streams = openStreams(sources, page, signal);
  const failures: { backend: string; error: unknown }[] = [];
  const items: { backend: string; item: Item }[] = [];

  async function advance(stream: Stream<Item>): Promise<void> {
    stream.head = undefined;
    const started = performance.now();
    // A single backend has its own deadline; the budget keeps one from holding up the others.
    const budget = page.timeoutSeconds * 1000 - stream.waited;
    const timer = sources.length > 1 ? setTimeout(endLate, budget, stream.ending) : undefined;
    try {
      const next = await withinSignal(stream.iterator.next(), stream.signal);
      if (next.done !== true) stream.head = next.value;
    } catch (error) {
      signal.throwIfAborted();
      if (sources.length === 1 || isCursorFault(error, stream.backend, page.after)) throw error;
      failures.push({ backend: stream.backend, error });
    } finally {
      clearTimeout(timer);
      stream.waited += performance.now() - started;
    }
  }

  try {
    await Promise.all(streams.map(advance));
    if (failures.length === sources.length && failures.length > 0) throw explainFailures(failures);
    let stream = firstOf(streams, page.order);
    while (stream?.head !== undefined && items.length < page.limit) {
      items.push({ backend: stream.backend, item: stream.head });
      await advance(stream);
      stream = firstOf(streams, page.order);
    }
    const only = streams.length === 1 ? streams[0] : undefined;
    return {
      items,
      hasMore: stream !== undefined,
      failures,
      requestId: only && requestIdOf(only.iterable),
    };
  } finally {
    for (const { ending, iterator } of streams) {
      ending.abort();
      iterator.return?.()?.catch(() => undefined);
    }
  }
}

/** Every backend has failed: the answer of one that has answered says most. */
function explainFailures(failures: Page<unknown>["failures"]): unknown {
  const answered = failures.find(({ error }) => error instanceof ApiError);
  if (answered !== undefined) return answered.error;
  const names = failures.map(({ backend }) => `"${backend}"`).join(", ");
  const late = failures.every(({ error }) => isTimeout(error));
  return new ApiError(
    late ? 504 : 502,
    `Cannot list: ${names} ${late ? "did not answer in time" : "failed"}`,
    { code: "backend_unavailable", cause: failures[0]?.error },
  );
}

/** Whether a backend was given up because its time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

function endLate(ending: AbortController): void {
  ending.abort(new DOMException("the time for the list is over", "TimeoutError"));
}

function openStreams<Item extends Listed>(
  sources: readonly Source<Item>[],
  page: PageRequest,
  signal: AbortSignal,
): readonly Stream<Item>[] {
  const { after } = page;
  const cursorRank = sources.findIndex(({ backend }) => backend === after?.backend);
  return sources.map((source, rank) => {
    const own = rank === cursorRank;
    const ending = new AbortController();
    const bounded = AbortSignal.any([signal, ending.signal]);
    const iterable =
      own || after === undefined ? openOwn(source, page, bounded) : openOther(source, bounded);
    let positioned = iterable;
    if (after !== undefined && !own) {
      const sign = page.order === "desc" ? 1 : -1;
      positioned = dropWhile(iterable, (item) => {
        const newer = sign * (item.created_at - after.created_at || cursorRank - rank);
        return newer > 0;
      });
    } else if (after !== undefined && !source.startsAfter) {
      positioned = dropThrough(iterable, after.id);
    }
    if (source.keep !== undefined) positioned = filterItems(positioned, source.keep);
    const iterator = positioned[Symbol.asyncIterator]();
    const { backend } = source;
    const start = { head: undefined, waited: 0 };
    return { backend, rank, iterable, iterator, ending, signal: bounded, ...start };
  });
}

function openOwn<Item>(
  { read, startsAfter }: Source<Item>,
  { after, limit }: PageRequest,
  signal: AbortSignal,
): AsyncIterable<Item> {
  return read({ limit, ...(startsAfter && after !== undefined && { after: after.id }) }, signal);
}

/** Reads a list that the cursor is not in, from near to where it would be. */
async function* openOther<Item>(
  { read, startNear }: Source<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item> {
  if (startNear !== undefined) {
    let started = false;
    try {
      for await (const item of read({ after: startNear, limit: seekLimit }, signal)) {
        started = true;
        yield item;
      }
      return;
    } catch (error) {
      if (started || !isCursorRefusal(error)) throw error;
    }
  }
  yield* read({ limit: seekLimit }, signal);
}

/** The stream whose head comes first; undefined when all are at their end. */
function firstOf<Item extends Listed>(
  streams: readonly Stream<Item>[],
  order: "asc" | "desc",
): Stream<Item> | undefined {
  const sign = order === "desc" ? 1 : -1;
  let first: Stream<Item> | undefined;
  for (const stream of streams) {
    if (stream.head === undefined) continue;
    if (
      first?.head === undefined ||
      sign * (stream.head.created_at - first.head.created_at || first.rank - stream.rank) > 0
    ) {
      first = stream;
    }
  }
  return first;
}

/** A refusal by the backend of the cursor is about the cursor, and so the client's to read. */
function isCursorFault(error: unknown, backend: string, after: Cursor | undefined): boolean {
  return after?.backend === backend && isCursorRefusal(error);
}

function isCursorRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 400 || error.status === 404);
}

/** The items from the first one on that `drop` does not want gone. */
async function* dropWhile<Item>(
  items: AsyncIterable<Item>,
  drop: (item: Item) => boolean,
): AsyncGenerator<Item> {
  let dropping = true;
  for await (const item of items) {
    if (dropping && drop(item)) continue;
    dropping = false;
    yield item;
  }
}

/** The items after the one of this id; a 400 where it does not come. */
async function* dropThrough<Item extends { readonly id: string }>(
  items: AsyncIterable<Item>,
  id: string,
): AsyncGenerator<Item> {
  let found = false;
  for await (const item of items) {
    if (found) yield item;
    else found = item.id === id;
  }
  if (!found) throw unknownCursor(id);
}

async function* filterItems<Item>(
  items: AsyncIterable<Item>,
  keep: (item: Item) => boolean,
): AsyncGenerator<Item> {
  for await (const item of items) if (keep(item)) yield item;
}

/** The 400 for an `after` that is not in the list. */
export function unknownCursor(id: string): ApiError {
  return new ApiError(400, `Cannot list after "${id}": the list has no such item`, {
    param: "after",
  });
}
