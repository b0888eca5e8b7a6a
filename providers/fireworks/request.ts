import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { badRequest } from "../../src/errors.ts";
import { type CheckedJobRequest, checkJobRequest } from "../../src/job-request.ts";
import type { Fields, JobRequest } from "../../src/provider.ts";

/** The two kinds of jobs that a client can start. */
export type JobKind = "sft" | "dpo";

/** A job request that Fireworks AI can carry out whole. */
export interface FireworksJobRequest {
  readonly kind: JobKind;
  /** The model's name, such as `accounts/fireworks/models/qwen3-8b`. */
  readonly model: string;
  readonly training_file: string;
  readonly validation_file: string | null;
  /** The API's own request; `source` is the field that says what the job starts from. */
  makeBody(source: Fields, dataset: string, evaluationDataset: string | undefined): Fields;
}

const own = {
  learning_rate: v.pipe(v.number(), v.gtValue(0), v.maxValue(1)),
  lora_rank: v.pipe(v.number(), v.integer(), v.minValue(1)),
  max_context_length: v.pipe(v.number(), v.integer(), v.minValue(1)),
};
const ranges: Readonly<Record<keyof typeof own, string>> = {
  learning_rate: "a number above 0, at most 1",
  lora_rank: "an integer from 1",
  max_context_length: "an integer from 1",
};

// Room is left for what makes the model's id unlike any other.
const suffixPattern = /^[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?$/;
const modelPattern = /^accounts\/[a-z0-9][\w-]*\/models\/[\w.-]+$/;

/**
 * Reads a job request for the account of the name `account`. Beside OpenAI's fields it takes
 * `learning_rate`, `lora_rank` and `max_context_length`. Throws a 400 that names what Fireworks AI
 * would not carry out.
 */
export function readRequest(
  request: JobRequest,
  account: string,
  loraRank: number,
): FireworksJobRequest {
  const { learning_rate, lora_rank, max_context_length, ...plain } = request;
  const checked = checkJobRequest(plain);
  const kind = readKind(checked);
  refuseLacking(checked, request, kind);
  const { suffix, method } = checked;
  const { n_epochs, batch_size } = method.hyperparameters;
  const training = {
    epochs: dropAuto(n_epochs),
    batchSizeSamples: dropAuto(batch_size),
    learningRate: readOwn("learning_rate", learning_rate),
    loraRank: readOwn("lora_rank", lora_rank) ?? loraRank,
    maxContextLength: readOwn("max_context_length", max_context_length),
    outputModel: suffix === null ? undefined : makeModelName(suffix, account),
  };
  const displayName = suffix ?? undefined;
  return {
    kind,
    model: readModel(checked.model),
    training_file: checked.training_file,
    validation_file: checked.validation_file,
    makeBody: (source, dataset, evaluationDataset) =>
      kind === "dpo"
        ? dropAbsent({
            dataset,
            displayName,
            trainingConfig: dropAbsent({ ...source, ...training }),
          })
        : dropAbsent({ dataset, displayName, ...source, ...training, evaluationDataset }),
  };
}

function readKind({ method }: CheckedJobRequest): JobKind {
  if (method.type === "reinforcement") {
    throw badRequest(
      'Cannot create job: reinforcement on Fireworks AI takes an evaluator of the account, which no grader of this API describes; use a method of type "supervised" or "dpo"',
      "method.type",
    );
  }
  return method.type === "dpo" ? "dpo" : "sft";
}

function readModel(model: string): string {
  const name = model.includes("/") ? model : `accounts/fireworks/models/${model}`;
  if (modelPattern.test(name)) return name;
  throw badRequest(
    `Cannot create job: "${model.slice(0, 100)}" is no name of a model; write it as "accounts/fireworks/models/qwen3-8b"`,
    "model",
  );
}

function refuseLacking(checked: CheckedJobRequest, request: JobRequest, kind: JobKind): void {
  const { method, seed, metadata, integrations, suffix, validation_file } = checked;
  const nested = (name: string): string => {
    const fields: unknown = request.method?.[method.type];
    const path = `hyperparameters.${name}`;
    const isTop = typeof Object(request.hyperparameters)[name] === "number";
    return isTop || fields === undefined ? path : `method.${method.type}.${path}`;
  };
  if (typeof method.hyperparameters.learning_rate_multiplier === "number") {
    throw badRequest(
      'Cannot create job: Fireworks AI takes a learning rate and no multiplier of one; give it as "learning_rate" beside "model"',
      nested("learning_rate_multiplier"),
    );
  }
  if (method.type === "dpo" && typeof method.hyperparameters.beta === "number") {
    throw lacking("beta of DPO", nested("beta"));
  }
  if (kind === "dpo" && validation_file !== null) {
    throw lacking("validation file of DPO", "validation_file");
  }
  if (seed !== null) throw lacking("seed", "seed");
  if (metadata !== null) throw lacking("metadata", "metadata");
  if (integrations.length > 0) {
    throw badRequest(
      'Cannot create job: Fireworks AI asks for the key of an integration, which no field of this API holds; leave out "integrations"',
      "integrations",
    );
  }
  if (suffix !== null && !suffixPattern.test(suffix)) {
    throw badRequest(
      'Cannot create job: "suffix" becomes a part of a model\'s id on Fireworks AI; use 1 to 50 small letters, digits and hyphens, a letter first and no hyphen last',
      "suffix",
    );
  }
}

function lacking(what: string, param: string) {
  return badRequest(
    `Cannot create job: Fireworks AI's API has no ${what}; leave out "${param}"`,
    param,
  );
}

function readOwn(name: keyof typeof own, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const parsed = v.safeParse(own[name], value);
  if (parsed.success) return parsed.output;
  throw badRequest(`Cannot create job: "${name}" must be ${ranges[name]}`, name);
}

function makeModelName(suffix: string, account: string): string {
  return `${account}/models/${suffix}-${randomBytes(4).toString("hex")}`;
}

function dropAuto(value: number | "auto" | undefined): number | undefined {
  return value === "auto" ? undefined : value;
}

function dropAbsent(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
