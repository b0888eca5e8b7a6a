import * as v from "valibot";
import type { FakeAnswer, FakeRequest } from "../server.ts";

/** A JSON object as the service keeps and answers it. */
export type Item = { id: string; created_at: number; [field: string]: unknown };

/** An error answer in OpenAI's shape. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly fields: Readonly<Record<string, string | null>>;

  constructor(
    status: number,
    message: string,
    { type = "invalid_request_error", param = null, code = null }: RefusalDetails = {},
  ) {
    super(message);
    this.status = status;
    this.fields = { message, type, param, code };
  }
}

interface RefusalDetails {
  readonly type?: string;
  readonly param?: string | null;
  readonly code?: string | null;
}

/** A JSON answer. */
export function answerJson(value: unknown, status = 200): FakeAnswer {
  const headers = { "content-type": "application/json" };
  return { status, headers, body: JSON.stringify(value, null, 2) };
}

/** The body of a request as `schema` reads it; a 400 that names the field if it does not. */
export function readJson<Schema extends v.GenericSchema>(
  request: FakeRequest,
  schema: Schema,
): v.InferOutput<Schema> {
  if (request.headers.get("content-type") !== "application/json") {
    throw new Refusal(400, `fake: bad content-type ${request.headers.get("content-type")}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(request.body.toString("utf8"));
  } catch {
    throw new Refusal(400, "We could not parse the JSON body of your request.");
  }
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const param = v.getDotPath(issue);
  throw new Refusal(400, `Invalid '${param}': ${issue.message}`, { param, code: "invalid_value" });
}

/** Refuses a request that has a body. */
export function requireNoBody(request: FakeRequest): void {
  if (request.body.length > 0) throw new Refusal(400, "fake: a body where none belongs");
}

/** Refuses parameters of the query that the operation does not define. */
export function checkQuery(request: FakeRequest, known: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of request.query.keys()) {
    if (seen.has(name)) throw new Refusal(400, `Duplicate parameter: '${name}'.`, { param: name });
    seen.add(name);
    if (!known.includes(name) && !known.some((one) => name.startsWith(`${one}[`))) {
      throw new Refusal(400, `Unknown query parameter: '${name}'.`, { param: name });
    }
  }
}

/** One page, newest first unless `ascending`; `after` is the id before its first item. */
export function takePage(
  request: FakeRequest,
  items: Iterable<Item>,
  { limit: usual, most, ascending = false }: { limit: number; most: number; ascending?: boolean },
): { data: Item[]; has_more: boolean } {
  const limit = Number(request.query.get("limit") ?? usual);
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw new Refusal(400, `Invalid 'limit': expected a value from 1 to ${most}.`, {
      param: "limit",
    });
  }
  const sorted = [...items].reverse().sort((one, other) => other.created_at - one.created_at);
  if (ascending) sorted.reverse();
  const after = request.query.get("after");
  const start = after === null ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
  if (after !== null && start === 0) {
    throw new Refusal(400, `Invalid 'after': no object '${after}'.`, { param: "after" });
  }
  return { data: sorted.slice(start, start + limit), has_more: sorted.length > start + limit };
}

/** `first_id` and `last_id`, null for an empty page, as the lists have them that have them. */
export function withEnds<Page extends { data: Item[] }>(
  page: Page,
): Page & Record<string, unknown> {
  return { ...page, first_id: page.data[0]?.id ?? null, last_id: page.data.at(-1)?.id ?? null };
}

/** Random letters and digits. */
export function makeToken(length: number): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return [...bytes].map((byte) => letters[byte % letters.length]).join("");
}
