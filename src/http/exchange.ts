import { badRequest } from "../errors.ts";
import type { Address } from "./address.ts";

/** One request as the handlers see it. */
export interface Exchange {
  readonly request: Request;
  readonly address: Address;
  /** The ids in the path, decoded. */
  readonly ids: readonly string[];
  /** The gateway's own id of this request. */
  readonly requestId: string;
  /** Whether the connection stays open although nothing moves on it: true while others are awaited. */
  readonly holdOpen: (hold: boolean) => void;
}

/** The name of the hint in bodies, forms and queries; with hyphens it is the header. */
export const hintField = "custom_llm_provider";

/** The query of a request, taken apart and held against what the operation knows. */
export interface Query {
  readonly hint: string | undefined;
  readonly values: ReadonlyMap<string, string>;
}

const noQuery: Query = { hint: undefined, values: new Map() };

/**
 * Reads the query: the hint apart, all else by name. A parameter that is not in `known` is a 400,
 * as is one that comes twice; `metadata[` in `known` stands for every `metadata[…]`.
 */
export function readQuery(exchange: Exchange, known: readonly string[] = []): Query {
  if (exchange.address.query === "") return noQuery;
  const values = new Map<string, string>();
  let fallback: string | undefined;
  let hint: string | undefined;
  for (const [name, value] of new URLSearchParams(exchange.address.query)) {
    if (name === hintField) hint = value;
    else if (name === "provider") fallback = value;
    else if (!known.some((one) => one === name || (one.endsWith("[") && name.startsWith(one)))) {
      throw badRequest(
        `Cannot take the query parameter "${name}": ${known.length === 0 ? "this operation has none" : `this operation knows ${known.map((one) => (one.endsWith("[") ? `${one}…]` : one)).join(", ")}`}`,
        name,
        "unknown_parameter",
      );
    } else if (values.has(name)) {
      throw badRequest(`Cannot take the query parameter "${name}": it is given twice`, name);
    } else values.set(name, value);
  }
  return { hint: hint ?? fallback, values };
}

/** Reads `limit`, a whole number from 1 to `most`. */
export function readLimit(query: Query, usual: number, most: number): number {
  const text = query.values.get("limit");
  if (text === undefined) return usual;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= most) return limit;
  throw badRequest(
    `Cannot list ${JSON.stringify(text)} items: "limit" must be a whole number from 1 to ${most}`,
    "limit",
  );
}

/** The filter of `metadata[k]=v`; null for `metadata=null` or an empty one, as the SDKs send it. */
export function readMetadataFilter(
  query: Query,
): Readonly<Record<string, string>> | null | undefined {
  const whole = query.values.get("metadata");
  if (whole !== undefined && whole !== "" && whole !== "null") {
    throw badRequest(
      'Cannot filter by "metadata" as a whole: write metadata[key]=value, or metadata=null for jobs without any',
      "metadata",
    );
  }
  const pairs: [string, string][] = [];
  for (const [name, value] of query.values) {
    const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
    if (key !== undefined) pairs.push([key, value]);
    else if (name.startsWith("metadata[")) {
      throw badRequest(`Cannot filter by "${name}": write metadata[key]=value`, name);
    }
  }
  if (pairs.length === 0) return whole === undefined ? undefined : null;
  if (whole !== undefined) {
    throw badRequest('Cannot filter by both "metadata" and "metadata[…]"', "metadata");
  }
  // Unlike an assignment, this makes a field even of `__proto__`.
  return Object.fromEntries(pairs);
}
