import type { FakeAnswer, FakeRequest } from "../server.ts";

/** An error that the fake bucket answers with. */
export class StorageRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const reasons: Readonly<Record<number, string>> = {
  400: "invalid",
  401: "authError",
  404: "notFound",
  412: "conditionNotMet",
};

/** The error in the words of Cloud Storage's JSON API. */
export function answerError({ status, message }: StorageRefusal): FakeAnswer {
  const reason = reasons[status] ?? "backendError";
  const error = { code: status, message, errors: [{ message, domain: "global", reason }] };
  const headers = { "content-type": "application/json; charset=UTF-8" };
  return { status, headers, body: JSON.stringify({ error }) };
}

/** Refuses parameters of the query that the operation does not define. */
export function checkQuery({ query }: FakeRequest, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (!known.includes(name)) throw new StorageRefusal(400, `Unknown parameter: ${name}`);
  }
}

/** Reads a `content-range`: `bytes 0-9/*`, `bytes 0-9/10`, `bytes *\/10` or `bytes *\/*`. */
export function readRange(header: string | null) {
  const [all, first, last, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header ?? "") ?? [];
  if (all === undefined) throw new StorageRefusal(400, `Bad Content-Range: ${header}`);
  const start = Number(first ?? 0);
  const length = first === undefined ? 0 : Number(last) - start + 1;
  const size = total === "*" ? undefined : Number(total);
  if (size !== undefined && first !== undefined && start + length !== size) {
    throw new StorageRefusal(400, "The last chunk does not reach the end");
  }
  return { start, length, total: size };
}

/** One page of `objects` by name; the token of the next one is the name that it begins with. */
export function listObjects<Item extends { readonly name: string }>(
  request: FakeRequest,
  objects: readonly Item[],
  pageSize: number,
  toResource: (object: Item) => object,
): object {
  const { query } = request;
  checkQuery(request, [
    "prefix",
    "matchGlob",
    "startOffset",
    "endOffset",
    "maxResults",
    "pageToken",
  ]);
  const size = Number(query.get("maxResults") ?? 1000);
  if (!Number.isInteger(size) || size < 1) throw new StorageRefusal(400, "Invalid maxResults");
  const glob = query.get("matchGlob") ?? "**";
  if (!/^\*\*[\w.]*$/.test(glob)) throw new StorageRefusal(400, `fake: unknown glob ${glob}`);
  const token = Buffer.from(query.get("pageToken") ?? "", "base64").toString();
  const from = query.get("startOffset") ?? "";
  const to = query.get("endOffset");
  const matching = objects
    .filter(
      ({ name }) => name.startsWith(query.get("prefix") ?? "") && name.endsWith(glob.slice(2)),
    )
    .filter(({ name }) => compare(name, from) >= 0 && compare(name, token) >= 0)
    .filter(({ name }) => to === null || compare(name, to) < 0)
    .sort((one, other) => compare(one.name, other.name));
  const page = matching.slice(0, Math.min(size, pageSize));
  const next = matching[page.length];
  return {
    kind: "storage#objects",
    ...(page.length === 0 ? {} : { items: page.map(toResource) }),
    ...(next === undefined ? {} : { nextPageToken: Buffer.from(next.name).toString("base64") }),
  };
}

function compare(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
