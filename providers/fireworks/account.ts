import * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import type { Runtime } from "../../src/provider.ts";
import type { Path, Schema, Upstream } from "../../src/upstream/client.ts";
import type { ErrorReader } from "../../src/upstream/failures.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { readTokenPages } from "../../src/upstream/token-pages.ts";

/** One account of Fireworks AI. */
export interface Account {
  /** `accounts/<id>`, which the names of all that it holds begin with. */
  readonly name: string;
  readonly upstream: Upstream;
  /** The client of a URL that lets whoever has it read one object. */
  connectSigned(url: URL): Upstream;
  readonly log: Runtime["log"];
}

// google.rpc.Code, by which the API's gateway answers; jobs and datasets spell the same words.
const codes = [
  ...["ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found"],
  ...["already_exists", "permission_denied", "resource_exhausted", "failed_precondition"],
  ...["aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss"],
  "unauthenticated",
];

/** Reads google.rpc.Status without an envelope; an error of another form is left unread. */
export const readError: ErrorReader = (body) => {
  const status = v.safeParse(v.object({ code: v.number(), message: v.string() }), body);
  if (!status.success) return undefined;
  const { code, message } = status.output;
  return {
    message: message === "" ? undefined : message,
    type: codes[code] === "resource_exhausted" ? "rate_limit_error" : "invalid_request_error",
    code: codes[code] ?? `code_${code}`,
  };
};

/** Text that ProtoJSON leaves out or writes as null where there is none. */
export const Text = v.nullish(v.string(), "");

/** A time of the API, in milliseconds. */
export const Time = v.pipe(
  v.string(),
  v.transform((text) => Date.parse(text)),
  v.check((time) => Number.isFinite(time)),
);

/** What the API says of something that went wrong by itself; its code is a word of google.rpc.Code. */
export const Status = v.nullish(v.object({ code: v.nullish(v.string(), "OK"), message: Text }));

/** The Unix seconds of a time in milliseconds. */
export function toSeconds(time: number): number {
  return Math.floor(time / 1000);
}

/** The segments of a name such as `accounts/a/datasets/b`, with the verb after the last of them. */
export function pathOf(name: string, verb?: string): Path {
  return `${name}${verb === undefined ? "" : `:${verb}`}`.split("/");
}

interface Listed {
  readonly name: string;
  readonly createTime: number;
}

/**
 * All of a collection of the account, oldest first. The API orders by name unless it is told
 * otherwise, and does not say how it spells the names of fields: only all can be sorted.
 */
export async function readAll<Item extends Listed>(
  { name, upstream }: Account,
  collection: string,
  schema: Schema<Item>,
  signal: AbortSignal,
): Promise<readonly Item[]> {
  const found = new Map<string, Item>();
  const path = pathOf(`${name}/${collection}`);
  // The most that the API gives at once.
  const items = readTokenPages(upstream, path, { pageSize: 200 }, collection, schema, signal);
  // What moves to another page meanwhile counts once.
  for await (const item of items) found.set(item.name, item);
  return [...found.values()].sort(compareAge);
}

/** Compares by time, and by name what is of the same time. */
export function compareAge(one: Listed, other: Listed): number {
  return one.createTime - other.createTime || (one.name < other.name ? -1 : 1);
}

/** Asks for the smallest page of datasets. */
export async function checkAccess({ name, upstream }: Account, signal: AbortSignal): Promise<void> {
  await upstream.get(pathOf(`${name}/datasets`), { pageSize: 1 }, AnyObject, signal);
}

/** What a call answers, or `absent` thrown for a 404. */
export async function orAbsent<Answer>(call: Promise<Answer>, absent: ApiError): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    throw isAbsence(error) ? absent : error;
  }
}

/** Deletes an object. The API answers `{}`, which tells nothing: `isThere` has the last word. */
export async function removeObject(
  { upstream }: Account,
  name: string,
  isThere: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  await upstream.remove(pathOf(name), signal, AnyObject);
  try {
    await isThere();
  } catch (error) {
    if (isAbsence(error)) return;
    throw error;
  }
  throw upstream.refuse("has the object still");
}

function isAbsence(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
