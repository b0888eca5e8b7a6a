import * as v from "valibot";
import { parseForm } from "../form.ts";
import { type Item, Refusal } from "../openai/answers.ts";
import type { FakeAnswer, FakeRequest } from "../server.ts";

/** A job object with its events and checkpoints, oldest first, in Azure's words. */
export interface AzureJob {
  readonly object: Item;
  readonly events: Item[];
  readonly checkpoints: Item[];
}

/** What the fake resource holds; tests may look and change. */
export interface FakeAzureState {
  readonly files: Map<string, { object: Item; content: Buffer; readonly coming: string[] }>;
  /** The states that an uploaded file goes through, one each time that it is looked at. */
  importing: readonly string[];
  readonly jobs: Map<string, AzureJob>;
  readonly uploads: Map<string, { object: Item; parts: Map<string, Buffer> }>;
}

/** What the fake reads of a request for a job. */
interface JobFields {
  readonly model: string;
  readonly training_file: string;
  readonly validation_file?: string | null | undefined;
  readonly trainingType?: string | undefined;
}

/** A request, and what the surface that it came to takes. */
export interface Call {
  readonly request: FakeRequest;
  readonly v1: boolean;
  /** Whether the version has `expires_after`. */
  readonly expires: boolean;
  readonly schema: v.GenericSchema<unknown, JobFields>;
  readonly now: number;
}

/** A JSON answer. */
export function answerJson(value: unknown, status = 200, headers = {}): FakeAnswer {
  const body = JSON.stringify(value);
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

/** Refuses parameters of the query that the operation does not define. */
export function checkParameters({ request }: Call, known: readonly string[]): void {
  for (const name of request.query.keys()) {
    if (name !== "api-version" && !known.includes(name)) {
      throw new Refusal(400, `Unknown parameter ${name}`, { param: name });
    }
  }
}

/** A random id, as Azure makes them. */
export function makeId(prefix: string): string {
  return `${prefix}${crypto.randomUUID().replaceAll("-", "")}`;
}

/** The one file of a form, which must be in the field `name`, and the other fields. */
export function readForm(request: FakeRequest, name: string) {
  try {
    const { fields, files } = parseForm(request.headers.get("content-type"), request.body);
    const [file] = files;
    if (files.length === 1 && file?.name === name) return { fields, file };
  } catch (error) {
    throw new Refusal(400, `fake: ${error}`);
  }
  throw new Refusal(400, `fake: expected exactly one file, in '${name}'`);
}

/** The body of a request as `schema` reads it; a 400 that names the field if it does not. */
export function readJson<Value>({ request }: Call, schema: v.GenericSchema<unknown, Value>): Value {
  if (request.headers.get("content-type") !== "application/json") {
    throw new Refusal(415, "fake: the body is not JSON");
  }
  const result = v.safeParse(schema, JSON.parse(request.body.toString()));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Refusal(400, issue.message, { param: v.getDotPath(issue) });
}
