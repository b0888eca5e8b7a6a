import * as v from "valibot";
import { outliveClient } from "../client-signal.ts";
import { ApiError, badRequest } from "../errors.ts";
import { type Fields, type FileContent, type UploadForm, withRequestId } from "../provider.ts";
import { readContent } from "./content.ts";
import { Deadline } from "./deadline.ts";
import {
  type ErrorReader,
  explainFailure,
  readRefusal,
  refuseAnswer,
  requestIdFrom,
} from "./failures.ts";
import { encodeForm, type FormBody, watchForm } from "./form.ts";
import { createTransport } from "./http/connect.ts";
import { type Incoming, isOk, type Outgoing } from "./http/transport.ts";

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
   * Sends multipart/form-data, streamed; what is encoded already can be sent only once. A failure before the last byte says that the call may be
   * repeated: no service can have the whole of it. At the last byte `outliveClient` is called.
   */
  postForm<Answer extends object>(
    path: Path,
    form: FormBody | UploadForm,
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
  readonly headers: Headers;
  readonly json?: unknown;
  readonly form?: FormBody | UploadForm;
}

const maxAnswerBytes = 64 * 1024 * 1024;
const Deleted = v.looseObject({ deleted: v.literal(true) });

/** Makes the client of one service; contacts nothing. */
export function connectUpstream(options: UpstreamOptions): Upstream {
  const service = { requestIdHeaders: ["x-request-id"], ...options };
  const headers: Headers = { "user-agent": "tunegate", ...lowerNames(options.headers) };
  // The same objects for every call, so that they are written once.
  const reading: Headers = { ...headers, accept: "application/json", "accept-encoding": "gzip" };
  const writing: Headers = { ...reading, "content-type": "application/json" };
  const transport = createTransport(options.baseUrl);
  const makePath = createPathWriter(options);

  /** Sends a call, once more where its credential is refused; the answer is that of a success. */
  async function send(call: Call, deadline: Deadline): Promise<Incoming> {
    for (let refused = false; ; refused = true) {
      const credential = service.authorize && (await authorize(refused, deadline));
      let isWhole = call.form === undefined;
      const form =
        call.form &&
        watchForm("pieces" in call.form ? call.form : encodeForm(call.form), () => {
          isWhole = true;
          outliveClient(deadline.client);
        });
      const request = makeRequest(call, credential, form);
      let answer: Incoming;
      try {
        answer = await transport(request, deadline);
      } catch (cause) {
        throw explainFailure(service, cause, deadline, { sentWhole: isWhole });
      }
      if (answer.status === 401 && credential !== undefined && !refused && canRepeat(call)) {
        answer.discard();
        continue;
      }
      if (!isOk(answer)) throw await readRefusal(service, answer, deadline);
      if (isWhole) return answer;
      answer.discard();
      const requestId = requestIdFrom(service, answer);
      throw refuseAnswer(service, "it came before the whole file was sent", requestId);
    }
  }

  function makeRequest(
    call: Call,
    credential: Headers | undefined,
    form: UploadForm | undefined,
  ): Outgoing {
    const { method, json } = call;
    const type = form && { "content-type": form.contentType };
    return {
      method,
      path: makePath(call),
      headers: credential || type ? { ...call.headers, ...type, ...credential } : call.headers,
      body: form ?? (json === undefined ? undefined : JSON.stringify(json)),
      isRepeatable: method === "GET",
    };
  }

  async function authorize(refused: boolean, deadline: Deadline): Promise<Headers> {
    try {
      const credential = (await service.authorize?.(refused, deadline.signal)) ?? {};
      deadline.check(performance.now());
      deadline.signal.throwIfAborted();
      return credential;
    } catch (cause) {
      if (cause instanceof ApiError || !deadline.isAborted) throw cause;
      throw explainFailure(service, cause, deadline, { sentWhole: false });
    }
  }

  async function request<Answer extends object>(
    call: Call,
    schema: Schema<Answer>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const deadline = new Deadline(service.timeout, signal);
    try {
      const answer = await send(call, deadline);
      return readJson(call, answer, await readText(answer, deadline), schema);
    } finally {
      deadline.end();
    }
  }

  async function readText(answer: Incoming, deadline: Deadline): Promise<string> {
    try {
      return await answer.text(maxAnswerBytes);
    } catch (cause) {
      const requestId = requestIdFrom(service, answer);
      if (cause instanceof RangeError) throw refuseAnswer(service, cause.message, requestId);
      throw explainFailure(service, cause, deadline, { requestId });
    }
  }

  function readJson<Answer extends object>(
    call: Call,
    answer: Incoming,
    body: string,
    schema: Schema<Answer>,
  ): Answer {
    const requestId = requestIdFrom(service, answer);
    // "No content" is all that some services say of what is gone.
    const isGone = call.method === "DELETE" && answer.status === 204;
    const text = isGone ? '{"deleted":true}' : body;
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
    get: (path, query, schema, signal) =>
      request({ method: "GET", path, query, headers: reading }, schema, signal),
    post: (path, json, schema, signal) =>
      request({ method: "POST", path, json, headers: writing }, schema, signal),
    postForm: (path, form, schema, signal) =>
      request({ method: "POST", path, form, headers: reading }, schema, signal),
    remove: (path, signal, schema = Deleted) =>
      request<Fields>({ method: "DELETE", path, headers: reading }, schema, signal),
    refuse: (problem) => refuseAnswer(service, `it ${problem}`, null),

    async download(path, range, signal) {
      const deadline = new Deadline(service.timeout, signal);
      // Compressed, the content's length and its ranges would not be those of the file.
      const asked = { ...headers, "accept-encoding": "identity", ...(range && { range }) };
      try {
        const answer = await send({ method: "GET", path, headers: asked }, deadline);
        return await readContent(service, answer, deadline);
      } catch (cause) {
        deadline.end();
        throw cause;
      }
    },
  };
}

function canRepeat({ form }: Call): boolean {
  return form === undefined || !("pieces" in form);
}

function createPathWriter({ baseUrl, query: always = {} }: UpstreamOptions) {
  const base = new URL(baseUrl).pathname.replace(/\/+$/, "");
  return (call: Call): string => {
    let path = base;
    for (const segment of call.path) path += `/${encodeSegment(segment)}`;
    const query: [string, string][] = [];
    for (const [name, value] of Object.entries({ ...always, ...call.query })) {
      if (value !== undefined) query.push([name, String(value)]);
    }
    return query.length === 0 ? path : `${path}?${new URLSearchParams(query)}`;
  };
}

function lowerNames(headers: Headers): Headers {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

const plainSegment = /^[\w-]+$/;

/** URLs have no way to write the names `.` and `..`, and an empty name is the list above it. */
function encodeSegment(segment: string): string {
  if (plainSegment.test(segment)) return segment;
  if (/^\.{0,2}$/.test(segment) || !segment.isWellFormed()) {
    throw badRequest(`Cannot use the id "${segment.toWellFormed()}": no object has it`, "id");
  }
  return encodeURIComponent(segment).replaceAll("%3A", ":");
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  if (path === null) return "it is not a JSON object";
  return `its field "${path.slice(0, 100)}" is missing or not what it should be`;
}
