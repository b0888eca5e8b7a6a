import type { FakeAnswer, FakeRequest } from "../server.ts";

/** A JSON object as the service keeps and answers it. */
export type Item = Record<string, unknown>;

// https://cloud.google.com/apis/design/errors#handling_errors
const httpStatuses = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
};

/** An error answer of Vertex AI: google.rpc.Status, with the field at fault in its details. */
export class VertexRefusal extends Error {
  override readonly name = "VertexRefusal";
  readonly answer: FakeAnswer;

  constructor(status: keyof typeof httpStatuses, message: string, field?: string) {
    super(message);
    const code = httpStatuses[status];
    const details = [
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [{ field, description: message }],
      },
    ];
    const error = { code, message, status, ...(field !== undefined && { details }) };
    this.answer = answerJson({ error }, code);
  }
}

/** The 400 for a field, by its path in Google's spelling. */
export function invalid(field: string | undefined, message: string): VertexRefusal {
  return new VertexRefusal("INVALID_ARGUMENT", message, field);
}

/** A JSON answer, indented as Google's are. */
export function answerJson(value: unknown, status = 200): FakeAnswer {
  const headers = { "content-type": "application/json; charset=UTF-8" };
  return { status, headers, body: JSON.stringify(value, null, 2) };
}

/** Refuses parameters of the query that the operation does not define. */
export function checkQuery({ query }: FakeRequest, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (known.includes(name)) continue;
    throw invalid(
      undefined,
      `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
    );
  }
}

/** The JSON object in the body of a request. */
export function readObject({ headers, body }: FakeRequest): Item {
  if (headers.get("content-type") !== "application/json") {
    throw invalid(undefined, `fake: bad content-type ${headers.get("content-type")}`);
  }
  const value: unknown = JSON.parse(body.toString("utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(undefined, "Invalid value: Proto fields must be an object");
  }
  return { ...value };
}

/** One page of at most `most` items; a token holds for one list and for the same parameters. */
export function takePage(
  request: FakeRequest,
  items: readonly Item[],
  field: string,
  most: number,
): Item {
  const size = Number(request.query.get("pageSize") ?? most);
  if (!Number.isInteger(size) || size < 0) throw invalid("page_size", "Invalid page size");
  const list = `${request.path}?${request.query.get("filter") ?? ""}`;
  const start = readToken(request.query.get("pageToken") ?? "", list);
  const end = start + Math.min(size === 0 ? most : size, most);
  const page = items.slice(start, end);
  return {
    // ProtoJSON leaves out what is empty.
    ...(page.length > 0 && { [field]: page }),
    ...(end < items.length && {
      nextPageToken: Buffer.from(JSON.stringify({ end, list })).toString("base64url"),
    }),
  };
}

function readToken(token: string, list: string): number {
  if (token === "") return 0;
  try {
    const { end, list: of } = JSON.parse(Buffer.from(token, "base64url").toString());
    if (of === list) return end;
  } catch {
    throw invalid("page_token", "Invalid page token");
  }
  throw invalid("page_token", "The page token is of another list");
}
