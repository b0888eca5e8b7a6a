import * as v from "valibot";
import { AnyObject } from "../../src/upstream/objects.ts";

// Vertex AI's objects by the discovery document of aiplatform v1, the fields that are used here.
// ProtoJSON leaves out fields that have their default value, and writes an int64 as a string.

/** An int64, which may arrive as a number too. */
export const Int64 = v.pipe(
  v.union([v.pipe(v.string(), v.regex(/^-?\d{1,19}$/)), v.number()]),
  v.transform(Number),
);

/** A timestamp, as milliseconds since 1970. */
export const Time = v.pipe(
  v.string(),
  v.transform((text) => Date.parse(text)),
  v.number(),
);

const Text = v.optional(v.string());

const HyperParameters = v.looseObject({
  epochCount: v.optional(Int64),
  learningRateMultiplier: v.optional(v.number()),
  adapterSize: Text,
  beta: v.optional(v.number()),
});

const TuningSpec = v.looseObject({
  trainingDatasetUri: Text,
  validationDatasetUri: Text,
  hyperParameters: v.optional(HyperParameters, {}),
  exportLastCheckpointOnly: v.optional(v.boolean()),
});

// The two kinds of statistics name the same thing differently.
const DataStats = v.looseObject({
  tuningDatasetExampleCount: v.optional(Int64),
  totalBillableTokenCount: v.optional(Int64),
  tuningStepCount: v.optional(Int64),
  totalTruncatedExampleCount: v.optional(Int64),
  truncatedExampleIndices: v.optional(v.array(Int64)),
  droppedExampleIndices: v.optional(v.array(Int64)),
  droppedExampleReasons: v.optional(v.array(v.string())),
});

const Checkpoint = v.looseObject({
  checkpointId: v.string(),
  epoch: v.optional(Int64),
  step: v.optional(Int64, 0),
  endpoint: Text,
});

/** Reads a TuningJob; specifications of kinds that are not known here pass through. */
export const TuningJob = v.looseObject({
  name: v.pipe(v.string(), v.regex(/^projects\/[^/]+\/locations\/[^/]+\/tuningJobs\/[^/]+$/)),
  createTime: Time,
  startTime: v.optional(Time),
  endTime: v.optional(Time),
  updateTime: v.optional(Time),
  state: v.optional(v.string(), "JOB_STATE_UNSPECIFIED"),
  error: v.optional(
    v.looseObject({ code: v.optional(v.number(), 0), message: v.optional(v.string(), "") }),
  ),
  baseModel: Text,
  preTunedModel: v.optional(
    v.looseObject({ tunedModelName: Text, checkpointId: Text, baseModel: Text }),
  ),
  tunedModelDisplayName: Text,
  labels: v.optional(AnyObject),
  experiment: Text,
  supervisedTuningSpec: v.optional(TuningSpec),
  preferenceOptimizationSpec: v.optional(TuningSpec),
  tunedModel: v.optional(
    v.looseObject({
      model: Text,
      endpoint: Text,
      checkpoints: v.optional(v.array(Checkpoint), []),
    }),
  ),
  tuningDataStats: v.optional(
    v.looseObject({
      supervisedTuningDataStats: v.optional(DataStats),
      preferenceOptimizationDataStats: v.optional(DataStats),
    }),
  ),
});

/** A TuningJob as it is read: times in milliseconds, every int64 a number. */
export type TuningJob = v.InferOutput<typeof TuningJob>;

/** What Google tells of the training data. */
export type DataStats = v.InferOutput<typeof DataStats>;

/** How a job tunes; `type` is Google's own name of the field where OpenAI has no word for it. */
export interface TuningMethod {
  readonly type: "supervised" | "dpo" | "reinforcement" | (string & {});
  readonly trainingUri: string | undefined;
  readonly validationUri: string | undefined;
  /** Empty for kinds that are not known here. */
  readonly hyperParameters: v.InferOutput<typeof HyperParameters>;
}

const AnySpec = v.looseObject({
  trainingDatasetUri: v.fallback(Text, undefined),
  validationDatasetUri: v.fallback(Text, undefined),
});

/** Finds the specification of a job, of whatever kind it is. */
export function findMethod(job: TuningJob): TuningMethod {
  const { supervisedTuningSpec, preferenceOptimizationSpec } = job;
  const known = supervisedTuningSpec ?? preferenceOptimizationSpec;
  if (known !== undefined) {
    return {
      type: supervisedTuningSpec === undefined ? "dpo" : "supervised",
      trainingUri: known.trainingDatasetUri,
      validationUri: known.validationDatasetUri,
      hyperParameters: known.hyperParameters,
    };
  }
  for (const [name, value] of Object.entries(job)) {
    if (!name.endsWith("Spec") || name === "encryptionSpec") continue;
    const spec = v.safeParse(AnySpec, value);
    if (!spec.success) continue;
    return {
      type: name === "reinforcementTuningSpec" ? "reinforcement" : name,
      trainingUri: spec.output.trainingDatasetUri,
      validationUri: spec.output.validationDatasetUri,
      hyperParameters: {},
    };
  }
  return { type: "unknown", trainingUri: undefined, validationUri: undefined, hyperParameters: {} };
}

/** What Google tells of the training data; undefined until it does. */
export function findStats(job: TuningJob): DataStats | undefined {
  const { supervisedTuningDataStats, preferenceOptimizationDataStats } = job.tuningDataStats ?? {};
  return supervisedTuningDataStats ?? preferenceOptimizationDataStats;
}

const finalStates = [
  "JOB_STATE_SUCCEEDED",
  "JOB_STATE_PARTIALLY_SUCCEEDED",
  "JOB_STATE_FAILED",
  "JOB_STATE_CANCELLED",
  "JOB_STATE_EXPIRED",
];

/** Whether the state of a job will not change any more. */
export function isFinal({ state }: TuningJob): boolean {
  return finalStates.includes(state);
}

/** Whether a job has made what it was to make, if only in part. */
export function isSuccess({ state }: TuningJob): boolean {
  return state === "JOB_STATE_SUCCEEDED" || state === "JOB_STATE_PARTIALLY_SUCCEEDED";
}

/** Unix seconds of milliseconds. */
export function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
