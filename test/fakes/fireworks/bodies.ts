import * as v from "valibot";
import type { FakeAnswer } from "../server.ts";

const Int = v.pipe(v.number(), v.integer());
const training = {
  baseModel: v.optional(v.string()),
  warmStartFrom: v.optional(v.string()),
  outputModel: v.optional(v.pipe(v.string(), v.regex(/^accounts\/acme\/models\/[a-z][a-z0-9-]*$/))),
  epochs: v.optional(Int),
  batchSizeSamples: v.optional(Int),
  learningRate: v.optional(v.number()),
  loraRank: v.optional(Int),
  maxContextLength: v.optional(Int),
};
const datasetName = v.pipe(v.string(), v.regex(/^accounts\/[a-z0-9-]+\/datasets\/[a-z0-9-]+$/));
const common = { dataset: datasetName, displayName: v.optional(v.string()) };
/** What the bodies of the calls that make something may hold, and nothing else. */
export const bodies = {
  datasets: v.strictObject({
    datasetId: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,61}[a-z0-9]$/)),
    dataset: v.strictObject({
      displayName: v.optional(v.string()),
      exampleCount: v.pipe(v.string(), v.regex(/^[1-9]\d*$/)),
      userUploaded: v.strictObject({}),
    }),
  }),
  supervisedFineTuningJobs: v.strictObject({
    ...common,
    ...training,
    evaluationDataset: v.optional(datasetName),
  }),
  dpoJobs: v.strictObject({ ...common, trainingConfig: v.strictObject(training) }),
};

/** An error as google.rpc.Status says it; `code` is of google.rpc.Code. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Reads the JSON of a body; throws a `Refusal` that says what is wrong with it. */
export function readBody<Body>(schema: v.GenericSchema<unknown, Body>, json: unknown): Body {
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Refusal(400, 3, `invalid value for ${v.getDotPath(issue)}: ${issue.message}`);
}

/** An answer of JSON with an id of the call. */
export function answerJson(status: number, json: object): FakeAnswer {
  const headers = { "content-type": "application/json", "x-request-id": "fw-request-1" };
  return { status, headers, body: JSON.stringify(json) };
}
