import { type Content, readContent } from "../content.ts";
import {
  type Account,
  accounts,
  fileId,
  fileSize,
  hasJob,
  jobNumber,
  makeFile,
  makeJob,
  makeJobPage,
} from "./objects.ts";

/** The key of the account; a proxy has to send it. */
export const upstreamKey = "sk-upstream-0123456789";

/** An answer as it is written: the head and a small body, or the head and a file's content. */
export interface Answer {
  readonly bytes: Buffer;
  readonly content?: Content;
}

/** A JSON answer. */
export function answerJson(value: object, status = 200): Answer {
  const body = JSON.stringify(value);
  return {
    bytes: Buffer.from(
      `HTTP/1.1 ${status} ${status === 200 ? "OK" : "Error"}\r\nContent-Type: application/json\r\n` +
        `x-request-id: req_upstream\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    ),
  };
}

/** An error in OpenAI's shape. */
export function answerError(status: number, message: string): Answer {
  const error = { message, type: "invalid_request_error", param: null, code: null };
  return answerJson({ error }, status);
}

const accountsByPrefix = new Map<string, Account>([
  ["", accounts.whole],
  ["/even", accounts.even],
  ["/odd", accounts.odd],
]);

/** Answers a request whose body, if any, has been read and does not matter. */
export function answerRequest(method: string, url: string): Answer {
  const mark = url.indexOf("?");
  const path = mark === -1 ? url : url.slice(0, mark);
  const [prefix = "", rest = ""] = path.split("/v1/");
  const account = accountsByPrefix.get(prefix);
  const [resource, ...names] = rest.split("/");
  const query = new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1));
  if (account !== undefined && resource === "files" && method === "GET") {
    const [id = "", part] = names;
    return answerFile(id, part);
  }
  if (account !== undefined && resource === "fine_tuning" && names[0] === "jobs") {
    if (method === "POST" && names.length === 1) return answerNewJob();
    if (method === "GET") return answerJob(account, names[1], query);
  }
  return answerError(404, `fake: ${method} ${url} is not there`);
}

// Every new job has an id of its own, of always the same length; the rest is made once.
const newJob = answerJson({ ...makeJob(0), id: newJobId(0), status: "validating_files" });
const [beforeId = "", afterId = ""] = newJob.bytes.toString().split(newJobId(0));
let created = 0;

function answerNewJob(): Answer {
  created += 1;
  return { bytes: Buffer.from(beforeId + newJobId(created) + afterId) };
}

function newJobId(number: number): string {
  return `ftjob-new${number.toString(36).padStart(21, "0")}`;
}

function answerJob(account: Account, id: string | undefined, query: URLSearchParams): Answer {
  if (id === undefined) {
    const page = makeJobPage(account, query.get("after"), Number(query.get("limit") ?? 20));
    return page === undefined ? answerError(400, "Invalid 'after'") : answerJson(page);
  }
  const number = jobNumber(id);
  if (number === undefined || !hasJob(account, number)) {
    return answerError(404, `Could not find fine tune: ${id}`);
  }
  return answerJson(makeJob(number));
}

function answerFile(id: string, part: string | undefined): Answer {
  const size = fileSize(id);
  if (size === undefined) return answerError(404, `No such File object: ${id}`);
  if (part !== "content") return answerJson(makeFile(id, size));
  return {
    bytes: Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${size}\r\n\r\n`,
    ),
    content: { size, seed: 0 },
  };
}

/** Answers an upload with what has really arrived: `bytes` and, in the id, the hash. */
export function answerUpload(file: {
  readonly filename: string;
  readonly bytes: number;
  readonly sha256: string | undefined;
}): Answer {
  const { filename, bytes, sha256 = "unverified" } = file;
  return answerJson(makeFile(fileId(bytes, sha256), bytes, filename));
}

/** Makes a function that gives the pieces of an answer, undefined at its end. */
export function readAnswer({ bytes, content }: Answer): () => Buffer | undefined {
  const next = content === undefined ? () => undefined : readContent(content);
  let head: Buffer | undefined = bytes;
  return () => {
    if (head === undefined) return next();
    const first = head;
    head = undefined;
    return first;
  };
}
