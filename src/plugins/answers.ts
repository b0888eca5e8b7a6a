import * as v from "valibot";
import { type Fields, type FileContent, requestIdOf, withRequestId } from "../provider.ts";

// What a plugin may answer with. Each answer is copied as JSON, which is what becomes of it anyway:
// a plugin that later changes its object, or hides code in it, changes nothing here.

/** Something that a plugin answered with and that the contract does not allow. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

/** Copies and checks one answer; throws an `AnswerError` whose message completes "it is". */
export type Reader = (answer: unknown) => Fields;

const maxCharacters = 16 * 1024 * 1024;
const maxShown = 80;
/** What the contract says that a file's bytes come with. */
const contentHeaders = ["content-type", "content-disposition", "content-length", "content-range"];

const text = v.string("a string");
const word = v.pipe(text, v.nonEmpty("a string that is not empty"));
// Clients put ids into paths, some without encoding them.
const id = v.pipe(
  text,
  v.regex(/^[\w.:-]{1,512}$/, "1 to 512 letters, digits and _ . : - that can stand in a URL"),
  v.check((value) => !/^\.{1,2}$/.test(value), "an id that can stand in a URL"),
);
const seconds = v.pipe(
  v.number("Unix seconds"),
  v.integer("whole Unix seconds"),
  v.minValue(0, "Unix seconds"),
  v.maxValue(9_999_999_999, "Unix seconds, not milliseconds"),
);
const count = v.pipe(
  v.number("a number"),
  v.safeInteger("a whole number"),
  v.minValue(0, "a number of at least 0"),
);
const object = v.custom<Fields>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "an object",
);
function maybe<const Schema extends v.GenericSchema>(schema: Schema) {
  return v.optional(v.nullable(schema));
}

const fileEntries = {
  id,
  bytes: count,
  created_at: seconds,
  filename: text,
  purpose: text,
  status: v.optional(word),
  expires_at: maybe(seconds),
};
const file = v.looseObject(fileEntries, "an object");
const uploadEntries = { id, created_at: maybe(seconds), file: maybe(file) };

/** Reads a file. */
export const fileAnswer = makeReader(fileEntries);

/** Reads a job. */
export const jobAnswer = makeReader({
  id,
  created_at: seconds,
  model: text,
  status: word,
  training_file: text,
  fine_tuned_model: maybe(text),
  finished_at: maybe(seconds),
  estimated_finish: maybe(seconds),
  trained_tokens: maybe(count),
  validation_file: maybe(text),
  result_files: v.optional(v.array(id, "a list of ids")),
  error: maybe(object),
  metadata: maybe(object),
});

/** Reads an event of a job. */
export const eventAnswer = makeReader({ id, created_at: seconds, level: word, message: text });

/** Reads a checkpoint of a job. */
export const checkpointAnswer = makeReader({
  id,
  created_at: seconds,
  fine_tuned_model_checkpoint: word,
  step_number: count,
  metrics: object,
});

/** Reads an upload in parts, with its file once it is complete. */
export const uploadAnswer = makeReader(uploadEntries);

/** Reads a part of an upload. */
export const partAnswer = makeReader({ id });

/** Reads a model; its id may have slashes. */
export const modelAnswer = makeReader({ id: word });

/** Reads how a file was carried over. */
export const reportAnswer = makeReader({
  examples: count,
  warningCount: count,
  warnings: v.array(
    v.looseObject({ line: count, code: word, message: text }, "an object"),
    "a list of warnings",
  ),
});

/** Reads any JSON object. */
export const fieldsAnswer = makeReader({});

function makeReader(entries: v.ObjectEntries): Reader {
  const schema = v.looseObject(entries);
  return (answer) => {
    const fields = copyFields(answer);
    const result = v.safeParse(schema, fields, { abortEarly: true });
    if (!result.success) throw new AnswerError(describeIssue(result.issues[0]));
    return withRequestId(fields, headerText(requestIdOf(Object(answer))));
  };
}

function copyFields(answer: unknown): Fields {
  let json: string | undefined;
  try {
    json = JSON.stringify(answer);
  } catch (cause) {
    throw new AnswerError("not JSON", { cause });
  }
  if (json === undefined) throw new AnswerError(`${typeof answer}, not an object`);
  if (json.length > maxCharacters) {
    throw new AnswerError(`JSON of more than ${maxCharacters} characters`);
  }
  const copy: unknown = JSON.parse(json);
  if (!v.is(object, copy)) throw new AnswerError(`${json.slice(0, maxShown)}, not an object`);
  return copy;
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const name = v.getDotPath(issue) ?? "";
  if (issue.input === undefined) return `an object without "${name}", which must be ${wish(issue)}`;
  const shown = (JSON.stringify(issue.input) ?? "").slice(0, maxShown).toWellFormed();
  return `an object whose "${name}" is ${shown}, which must be ${wish(issue)}`;
}

/** The key of an object that is missing has no message of its own. */
function wish(issue: v.BaseIssue<unknown>): string {
  return issue.message.startsWith("Invalid") ? "there" : issue.message;
}

/** The value of a header that names a call; null for what no header may hold. */
function headerText(value: string | undefined): string | null {
  return value !== undefined && /^[\x21-\x7e]{1,200}$/.test(value) ? value : null;
}

/** Whether a value can be the headers of an answer. */
export function areHeaders(value: unknown): value is Readonly<Record<string, string>> {
  if (!v.is(object, value) || !Object.values(value).every((one) => typeof one === "string")) {
    return false;
  }
  try {
    new Headers(Object.entries(value).map(([name, one]) => [name, String(one)]));
    return true;
  } catch {
    return false;
  }
}

/** Reads the bytes of a file; `explain` makes what the stream fails with. */
export function readContentAnswer(
  answer: unknown,
  explain: (cause: unknown) => unknown,
): FileContent {
  if (!v.is(object, answer)) throw new AnswerError("no object with a body and headers");
  const { body, headers = {}, status = 200 } = answer;
  if (status !== 200 && status !== 206) {
    throw new AnswerError('an object whose "status" is neither 200 nor 206');
  }
  if (!areHeaders(headers)) throw new AnswerError('an object whose "headers" are none');
  const id = headerText(requestIdOf(answer));
  // Of a Blob the length is known, and another one would break the connection.
  const unwanted = body instanceof Blob ? "content-length" : "";
  const kept = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => [...contentHeaders, "x-request-id"].includes(name) && name !== unwanted);
  const content = { headers: Object.fromEntries(kept), status } as const;
  if (body instanceof Blob) return withRequestId({ ...content, body }, id);
  if (!(body instanceof ReadableStream) || body.locked) {
    throw new AnswerError('an object whose "body" is neither a Blob nor a ReadableStream to read');
  }
  return withRequestId({ ...content, body: guardStream(body, explain) }, id);
}

function guardStream(
  body: ReadableStream<unknown>,
  explain: (cause: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        if (!(value instanceof Uint8Array)) {
          throw new AnswerError("a stream of something that is no Uint8Array");
        }
        controller.enqueue(value);
      } catch (cause) {
        controller.error(explain(cause));
        reader.cancel(cause).catch(() => undefined);
      }
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}
