import * as v from "valibot";
import { outliveClient } from "../client-signal.ts";
import { ApiError, badRequest } from "../errors.ts";
import { type Fields, type FileContent, withRequestId } from "../provider.ts";
import { readContent } from "./content.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import {
  type ErrorReader,
  explainFailure,
  readRefusal,
  refuseAnswer,
  requestIdFrom,
} from "./failures.ts";
import { type EncodedForm, encodeForm, type FormBody } from "./form.ts";

/** A service that speaks OpenAI-shaped JSON, and our account there. */
export interface UpstreamOptions {
  /** The backend's name in the configuration; every error names it. */
  readonly backend: string;
  /** Where the paths of calls are appended, such as `https://host/v1`. */
  readonly baseUrl: string;
  /** Sent with every call: the credential and what else the account needs. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Headers of a credential that changes with time, asked for before every call. `refused` is true
   * after a 401 to the ones before: the call is then sent once more. Throws `ApiError`.
   */
  readonly authorize?: (refused: boolean, signal: AbortSignal) => Promise<Headers>;
  /** Sent with every call, before the call's own. */
  readonly query?: Query;
  /**
   * Seconds: of a JSON call from its start to the last byte of the answer; of an upload or a
   * download only the time in which nothing moves, for large files take as long as they take.
   */
  readonly timeout: number;
  /** The answer's headers that may carry the service's id of the call, the best one first. */
  readonly requestIdHeaders?: readonly string[];
  /** Reads the JSON of an error; absent for services that answer as OpenAI does. */
  readonly readError?: ErrorReader;
}

type Headers = Readonly<Record<string, string>>;

/** Parameters of a query; the undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** A path below the base URL, by its segments, not encoded: `["files", id]`. */
export type Path = readonly string[];

/**
 * The calls of one service. All throw `ApiError`, or the reason of `signal` once it is aborted. An
 * answer that is not JSON or that `schema` does not take is a 502.
 */
export interface Upstream {
  get<Answer extends object>(
    path: Path,
    query: Query,
    schema: Schema<Answer>,
    signal: AbortSignal,
  ): Promise<Answer>;
  /** Sends `json`, or no body if it is undefined. */
  post<Answer extends object>(
    path: Path,
    json: unknown,
    schema: Schema<Answer>,
    signal: AbortSignal,
  ): Promise<Answer>;
  /**
   * Sends multipart/form-data, streamed. A failure before the last byte says that the call may be
   * repeated: no service can have the whole of it. At the last byte `outliveClient` is called.
   */
  postForm<Answer extends object>(
    path: Path,
    form: FormBody,
    schema: Schema<Answer>,
    signal: AbortSignal,
  ): Promise<Answer>;
  /**
   * Deletes an object; an answer that is neither 204 nor taken by `schema`, which is for
   * `deleted: true` if absent, is a 502.
   */
  remove(path: Path, signal: AbortSignal, schema?: Schema<Fields>): Promise<Fields>;
  /** The bytes of a file, or those of `range`, the value of a `range` header. */
  download(path: Path, range: string | undefined, signal: AbortSignal): Promise<FileContent>;
  /** The 502 for an answer that cannot be used; `problem` completes "it …". */
  refuse(problem: string): ApiError;
}

/** Reads an answer's JSON. */
export type Schema<Answer> = v.GenericSchema<unknown, Answer>;

interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: Path;
  readonly query?: Query;
  readonly json?: unknown;
  readonly form?: FormBody;
}

const maxAnswerBytes = 64 * 1024 * 1024;
const Deleted = v.looseObject({ deleted: v.literal(true) });

/** Makes the client of one service; contacts nothing. */
export function connectUpstream(options: UpstreamOptions): Upstream {
  const service = {
    requestIdHeaders: ["x-request-id"],
    ...options,
    baseUrl: options.baseUrl.replace(/\/+$/, ""),
    headers: { "user-agent": "tunegate", ...lowerNames(options.headers) },
  };

  async function send(call: Call, headers: Headers, deadline: Deadline): Promise<Response> {
    let response = await attempt(call, headers, deadline, false);
    if (response.status === 401 && service.authorize !== undefined) {
      await response.body?.cancel();
      response = await attempt(call, headers, deadline, true);
    }
    if (!response.ok) throw await readRefusal(service, response, deadline);
    return response;
  }

  async function attempt(
    call: Call,
    headers: Headers,
    deadline: Deadline,
    refused: boolean,
  ): Promise<Response> {
    const url = makeUrl(service, call);
    const credential = await authorize(refused, deadline);
    const form =
      call.form &&
      encodeForm(call.form, {
        onProgress: deadline.extend,
        onTaken: () => outliveClient(deadline.client),
      });
    const init = makeInit(service, call, form, { ...headers, ...credential }, deadline);
    const isWhole = () => form?.isTaken() ?? true;
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (cause) {
      throw explainFailure(service, cause, deadline, { sentWhole: isWhole() });
    }
    if (!response.ok || isWhole()) return response;
    await response.body?.cancel();
    const requestId = requestIdFrom(service, response);
    throw refuseAnswer(service, "it came before the whole file was sent", requestId);
  }

  async function authorize(refused: boolean, deadline: Deadline): Promise<Headers> {
    if (service.authorize === undefined) return {};
    try {
      return await service.authorize(refused, deadline.signal);
    } catch (cause) {
      if (cause instanceof ApiError || !deadline.signal.aborted) throw cause;
      throw explainFailure(service, cause, deadline, { sentWhole: false });
    }
  }

  async function request<Answer extends object>(
    call: Call,
    schema: Schema<Answer>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const deadline = startDeadline(service.timeout, signal);
    try {
      const response = await send(call, { accept: "application/json" }, deadline);
      return await readAnswer(call, response, schema, deadline);
    } finally {
      deadline.end();
    }
  }

  async function readAnswer<Answer extends object>(
    call: Call,
    response: Response,
    schema: Schema<Answer>,
    deadline: Deadline,
  ): Promise<Answer> {
    const requestId = requestIdFrom(service, response);
    let text: string;
    try {
      text = await readText(response);
    } catch (cause) {
      if (cause instanceof RangeError) throw refuseAnswer(service, cause.message, requestId);
      throw explainFailure(service, cause, deadline, { requestId });
    }
    // "No content" is all that some services say of what is gone.
    if (call.method === "DELETE" && response.status === 204) text = '{"deleted":true}';
    if (text.trim() === "") throw refuseAnswer(service, "it is empty", requestId);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      throw refuseAnswer(service, "it is not JSON", requestId, cause);
    }
    const result = v.safeParse(schema, json, { abortEarly: true });
    if (result.success) return withRequestId(result.output, requestId);
    throw refuseAnswer(service, describeIssue(result.issues[0]), requestId);
  }

  return {
    get: (path, query, schema, signal) => request({ method: "GET", path, query }, schema, signal),
    post: (path, json, schema, signal) => request({ method: "POST", path, json }, schema, signal),
    postForm: (path, form, schema, signal) =>
      request({ method: "POST", path, form }, schema, signal),
    remove: (path, signal, schema = Deleted) =>
      request<Fields>({ method: "DELETE", path }, schema, signal),
    refuse: (problem) => refuseAnswer(service, `it ${problem}`, null),

    async download(path, range, signal) {
      const deadline = startDeadline(service.timeout, signal);
      // Compressed, the content's length and its ranges would not be those of the file.
      const headers = { "accept-encoding": "identity", ...(range === undefined ? {} : { range }) };
      try {
        const response = await send({ method: "GET", path }, headers, deadline);
        return await readContent(service, response, deadline);
      } catch (cause) {
        deadline.end();
        throw cause;
      }
    },
  };
}

function makeUrl(service: UpstreamOptions, call: Call): string {
  let url = service.baseUrl;
  for (const segment of call.path) url += `/${encodeSegment(segment)}`;
  const query: [string, string][] = [];
  for (const [name, value] of Object.entries({ ...service.query, ...call.query })) {
    if (value !== undefined) query.push([name, String(value)]);
  }
  return query.length === 0 ? url : `${url}?${new URLSearchParams(query)}`;
}

function lowerNames(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** URLs have no way to write the names `.` and `..`, and an empty name is the list above it. */
function encodeSegment(segment: string): string {
  if (/^\.{0,2}$/.test(segment) || !segment.isWellFormed()) {
    throw badRequest(`Cannot use the id "${segment.toWellFormed()}": no object has it`, "id");
  }
  return encodeURIComponent(segment).replaceAll("%3A", ":");
}

function makeInit(
  service: UpstreamOptions,
  call: Call,
  form: EncodedForm | undefined,
  callHeaders: Headers,
  deadline: Deadline,
): RequestInit {
  const headers: Record<string, string> = { ...service.headers, ...callHeaders };
  const init = {
    method: call.method,
    headers,
    signal: deadline.signal,
    // A redirect would carry our credential to a host that nobody configured.
    redirect: "manual" as const,
    // Bun gives up after five quiet minutes; the deadline is ours.
    timeout: false,
    // What changes something must not die on a pooled connection that the service has closed in
    // the meantime: nobody could tell whether it was carried out.
    keepalive: call.method === "GET",
  };
  if (form !== undefined) {
    headers["content-type"] = form.contentType;
    // Without it the body goes chunked, which not every service takes.
    headers["content-length"] = String(form.length);
    return { ...init, body: form.stream };
  }
  if (call.json === undefined) return init;
  headers["content-type"] = "application/json";
  return { ...init, body: JSON.stringify(call.json) };
}

/** Throws a `RangeError` for a body that is out of all proportion. */
async function readText(response: Response): Promise<string> {
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (length > maxAnswerBytes) throw new RangeError(`it has more than ${maxAnswerBytes} bytes`);
  if (length <= maxAnswerBytes && !response.headers.has("content-encoding")) return response.text();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new RangeError(`it has more than ${maxAnswerBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  if (path === null) return "it is not a JSON object";
  return `its field "${path.slice(0, 100)}" is missing or not what it should be`;
}
