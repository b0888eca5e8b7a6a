import { findHinted, type NamedBackend } from "./backends.ts";
import { ApiError, fileNotFound, jobNotFound, modelNotFound } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { type Exchange, hintField, type Query } from "./http/exchange.ts";
import type { Entry, Kind } from "./ledger/ledger.ts";
import type { Backend, Fields, FileFields, JobFields, ModelFields } from "./provider.ts";

/** Which backend a thing lives on, and what the ledger has of it. */
export interface Location {
  readonly backend: NamedBackend;
  readonly entry?: Entry;
}

/** How to look for a thing at a backend. */
interface Search<Found> {
  readonly noun: string;
  /** Reads the thing by its own call or, where the service has none, from the list. */
  readonly fetch: (backend: NamedBackend, id: string, signal: AbortSignal) => Promise<Found>;
  readonly missing: (id: string) => ApiError;
}

const fileSearch: Search<FileFields> = {
  noun: "file",
  fetch: ({ files }, id, signal) =>
    files.getFile?.(id, signal) ??
    findInList(files.listFiles?.({ limit: 10_000, order: "desc" }, signal), id, fileNotFound),
  missing: fileNotFound,
};

const jobSearch: Search<JobFields> = {
  noun: "job",
  fetch: ({ jobs }, id, signal) => fetchJob(jobs, id, signal),
  missing: jobNotFound,
};

const modelSearch: Search<ModelFields> = {
  noun: "model",
  fetch: ({ jobs }, id, signal) =>
    jobs.getModel?.(id, signal) ?? findInList(jobs.listModels?.(signal), id, modelNotFound),
  missing: modelNotFound,
};

/** One job, by `getJob` or, where the service has none, from the list. */
export function fetchJob(backend: Backend, id: string, signal: AbortSignal): Promise<JobFields> {
  return (
    backend.getJob?.(id, signal) ??
    findInList(backend.listJobs({ limit: 100 }, signal), id, jobNotFound)
  );
}

async function findInList<Item extends { readonly id: string }>(
  list: AsyncIterable<Item> | undefined,
  id: string,
  missing: (id: string) => ApiError,
): Promise<Item> {
  for await (const item of list ?? []) if (item.id === id) return item;
  throw missing(id);
}

/** The hint of a request by precedence: path, header, query, body. Throws for an unknown one. */
export function hintedBackend(
  gateway: Gateway,
  exchange: Exchange,
  query: Query,
  bodyHint?: string,
): NamedBackend | undefined {
  const { hint } = exchange.address;
  const named =
    hint ?? exchange.request.headers.get("custom-llm-provider") ?? query.hint ?? bodyHint;
  if (named === undefined) return undefined;
  const backend = findHinted(gateway.backends.all, named);
  if (backend !== undefined) return backend;
  const names = gateway.backends.all.map(({ name }) => `"${name}"`).join(", ");
  throw new ApiError(
    hint === undefined ? 400 : 404,
    `Cannot route to backend or provider "${named.slice(0, 100)}": configured are ${names}`,
    { param: hint === undefined ? hintField : null, code: "backend_not_found" },
  );
}

/**
 * Finds the backend of a file or job: by the hint, the ledger, or by asking every backend at once.
 * Throws OpenAI's 404 where every backend says that it has no such id.
 */
export async function locate(
  gateway: Gateway,
  kind: "file" | "job",
  id: string,
  hint: NamedBackend | undefined,
  signal: AbortSignal,
): Promise<Location> {
  const { all } = gateway.backends;
  const entry = await gateway.ledger.find(kind, id);
  const known =
    hint ?? (all.length === 1 ? all[0] : all.find(({ name }) => name === entry?.backend));
  if (known !== undefined) {
    return entry?.backend === known.name ? { backend: known, entry } : { backend: known };
  }
  const search: Search<FileFields | JobFields> = kind === "file" ? fileSearch : jobSearch;
  const { backend, found } = await probe(gateway, search, all, id, signal);
  const remembered = toEntry(backend, found);
  await gateway.ledger.record(kind, [remembered]);
  return { backend, entry: remembered };
}

/**
 * Reads a file or job where it is. Where the backend that the ledger names does not have it, as after
 * two backends have changed their names, all are asked; if none has it, the 404 stands.
 */
export async function readLocated<Found>(
  gateway: Gateway,
  kind: "file" | "job",
  id: string,
  hint: NamedBackend | undefined,
  signal: AbortSignal,
  read: (backend: NamedBackend) => Promise<Found>,
): Promise<{ readonly location: Location; readonly found: Found }> {
  const location = await locate(gateway, kind, id, hint, signal);
  try {
    return { location, found: await read(location.backend) };
  } catch (error) {
    const isKnown = location.entry !== undefined && hint === undefined;
    if (!isKnown || !(error instanceof ApiError) || error.status !== 404) throw error;
    await gateway.ledger.forget(kind, id);
    const other = await locate(gateway, kind, id, hint, signal).catch(() => undefined);
    if (other === undefined || other.backend === location.backend) throw error;
    return { location: other, found: await read(other.backend) };
  }
}

/** Finds the backend that knows a model, among `candidates` or all; throws OpenAI's 404. */
export async function locateModel(
  gateway: Gateway,
  id: string,
  candidates: readonly NamedBackend[],
  signal: AbortSignal,
): Promise<{ readonly backend: NamedBackend; readonly found: ModelFields }> {
  return await probe(gateway, modelSearch, candidates, id, signal);
}

/** Asks every candidate at once, within the time budget; the first that has the id wins. */
async function probe<Found>(
  gateway: Gateway,
  search: Search<Found>,
  candidates: readonly NamedBackend[],
  id: string,
  signal: AbortSignal,
): Promise<{ readonly backend: NamedBackend; readonly found: Found }> {
  const done = new AbortController();
  const deadline = AbortSignal.timeout(gateway.settings.listTimeoutSeconds * 1000);
  const bounded = AbortSignal.any([signal, deadline, done.signal]);
  const silent: string[] = [];
  try {
    return await Promise.any(
      candidates.map(async (backend) => {
        try {
          const found = await withinSignal(search.fetch(backend, id, bounded), bounded);
          return { backend, found };
        } catch (error) {
          if (!isAbsent(error)) silent.push(backend.name);
          throw error;
        }
      }),
    );
  } catch {
    signal.throwIfAborted();
    if (silent.length === 0) throw search.missing(id);
    throw new ApiError(
      502,
      `Cannot find ${search.noun} "${id}": backend ${silent.map((name) => `"${name}"`).join(", ")} did not answer, and no other one has it`,
      { code: "backend_unavailable" },
    );
  } finally {
    done.abort();
  }
}

/** Some services answer 400 to an id that is not of their form. */
function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}

/** The result of `promise`, or the reason of `signal` where a backend does not heed it. */
export async function withinSignal<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  // A promise that is given up may still fail; that failure is nobody's any more.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** An answered object that the ledger keeps. */
export type Recordable = Fields & { readonly id: string; readonly created_at: number };

/** The ledger's entry of an object that a backend answered with. */
export function toEntry(backend: NamedBackend, object: Recordable, sha256?: string): Entry {
  const { id, created_at } = object;
  const digest = sha256 === undefined ? {} : { sha256 };
  return { id, backend: backend.name, created_at, object, ...digest };
}

/** Writes an answered object to the ledger, unless the ledger has it just so. */
export async function remember(
  gateway: Gateway,
  kind: Kind,
  location: Location,
  object: Recordable,
): Promise<void> {
  const { backend, entry } = location;
  if (entry !== undefined && Bun.deepEquals(entry.object, object)) return;
  await gateway.ledger.record(kind, [toEntry(backend, object)]);
}
