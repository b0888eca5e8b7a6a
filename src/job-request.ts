import * as v from "valibot";
import { type ApiError, badRequest } from "./errors.ts";
import type { Fields, JobRequest } from "./provider.ts";

// For providers that carry a job out themselves or translate it. What a request may hold, and the
// ranges, are those of OpenAI's API reference (CreateFineTuningJobRequest).

const count = (least: number, most: number) =>
  setting(
    Number.isFinite(most) ? `an integer from ${least} to ${most}` : `an integer from ${least}`,
    (value) => Number.isSafeInteger(value) && value >= least && value <= most,
  );

const amount = (above: number, most: number) =>
  setting(
    `a number above ${above}${Number.isFinite(most) ? `, at most ${most}` : ""}`,
    (value) => Number.isFinite(value) && value > above && value <= most,
  );

function setting(range: string, accepts: (value: number) => boolean) {
  return v.optional(
    v.custom<"auto" | number>(
      (value) => value === "auto" || (typeof value === "number" && accepts(value)),
      `"auto" or ${range}`,
    ),
  );
}

// valibot takes a list for an object without fields.
const notListSchema = v.custom<object>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "an object",
);

function strictObject<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(notListSchema, v.strictObject(entries, "an object"));
}

function looseObject<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(notListSchema, v.looseObject(entries, "an object"));
}

const sharedEntries = {
  n_epochs: count(1, 50),
  batch_size: count(1, 256),
  learning_rate_multiplier: amount(0, Number.POSITIVE_INFINITY),
};

const supervisedSchema = strictObject(sharedEntries);

const dpoSchema = strictObject({ ...sharedEntries, beta: amount(0, 2) });

const effortSchema = v.picklist(
  ["default", "low", "medium", "high"],
  '"default", "low", "medium" or "high"',
);

const reinforcementSchema = strictObject({
  ...sharedEntries,
  reasoning_effort: v.optional(effortSchema),
  compute_multiplier: amount(0.00001, 10),
  eval_interval: count(1, Number.POSITIVE_INFINITY),
  eval_samples: count(1, Number.POSITIVE_INFINITY),
});

const graderTypes = ["string_check", "text_similarity", "python", "score_model", "multi"] as const;

const graderSchema = looseObject({
  type: v.picklist(graderTypes, `one of ${graderTypes.join(", ")}`),
});

const methodSchema = strictObject({
  type: v.picklist(
    ["supervised", "dpo", "reinforcement"],
    '"supervised", "dpo" or "reinforcement"',
  ),
  supervised: v.optional(strictObject({ hyperparameters: v.optional(supervisedSchema) })),
  dpo: v.optional(strictObject({ hyperparameters: v.optional(dpoSchema) })),
  reinforcement: v.optional(
    strictObject({
      grader: graderSchema,
      hyperparameters: v.optional(reinforcementSchema),
      response_format: v.optional(looseObject({})),
    }),
  ),
});

const textSchema = v.pipe(v.string("a string"), v.nonEmpty("a string that is not empty"));

const suffixSchema = v.pipe(
  v.string("a string"),
  v.check((text) => text !== "" && [...text].length <= 64, "a string of 1 to 64 characters"),
);

const seedSchema = v.custom<number>(
  (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 2147483647,
  "an integer from 0 to 2147483647",
);

const requestSchema = v.strictObject({
  model: textSchema,
  training_file: textSchema,
  validation_file: v.optional(v.nullable(textSchema)),
  suffix: v.optional(v.nullable(suffixSchema)),
  seed: v.optional(v.nullable(seedSchema)),
  hyperparameters: v.optional(supervisedSchema),
  method: v.optional(methodSchema),
  integrations: v.optional(
    v.nullable(v.pipe(v.array(looseObject({}), "a list"), v.maxLength(5, "a list of at most 5"))),
  ),
  // Read by hand: a schema of records leaves out keys such as "constructor" without a word.
  metadata: v.optional(v.unknown()),
});

/** `n_epochs`, `batch_size` and `learning_rate_multiplier` as a client may ask for them. */
export type SupervisedHyperparameters = v.InferOutput<typeof supervisedSchema>;

/** Those of a supervised job and `beta`. */
export type DpoHyperparameters = v.InferOutput<typeof dpoSchema>;

/** Those of a supervised job and what only reinforcement knows. */
export type ReinforcementHyperparameters = v.InferOutput<typeof reinforcementSchema>;

/** How a job trains; the deprecated top-level `hyperparameters` are already in it. */
export type CheckedMethod =
  | { readonly type: "supervised"; readonly hyperparameters: SupervisedHyperparameters }
  | { readonly type: "dpo"; readonly hyperparameters: DpoHyperparameters }
  | {
      readonly type: "reinforcement";
      readonly hyperparameters: ReinforcementHyperparameters;
      readonly grader: Fields;
      readonly response_format?: Fields | undefined;
    };

/** A job request whose every field is known and within OpenAI's ranges; null is what was not said. */
export interface CheckedJobRequest {
  readonly model: string;
  readonly training_file: string;
  readonly validation_file: string | null;
  readonly suffix: string | null;
  readonly seed: number | null;
  readonly method: CheckedMethod;
  readonly integrations: readonly Fields[];
  readonly metadata: Readonly<Record<string, string>> | null;
}

/**
 * Reads a job request whole. Throws a 400 that names the first field that is unknown, missing or
 * out of range, as a dotted path such as `method.supervised.hyperparameters.n_epochs`.
 */
export function checkJobRequest(request: JobRequest): CheckedJobRequest {
  const parsed = v.safeParse(requestSchema, request, { abortEarly: true });
  if (!parsed.success) throw explainIssue(parsed.issues[0]);
  const { hyperparameters, method, ...fields } = parsed.output;
  return {
    model: fields.model,
    training_file: fields.training_file,
    validation_file: fields.validation_file ?? null,
    suffix: fields.suffix ?? null,
    seed: fields.seed ?? null,
    method: checkMethod(method ?? { type: "supervised" }, hyperparameters ?? {}),
    integrations: fields.integrations ?? [],
    metadata: checkMetadata(fields.metadata),
  };
}

/** The method as OpenAI's API writes it, with `hyperparameters` in place of the requested ones. */
export function formatMethod(
  method: Fields & { readonly type: string; readonly hyperparameters: Fields },
  hyperparameters: Fields = method.hyperparameters,
): Fields & { readonly type: string } {
  const { type, hyperparameters: _, ...rest } = method;
  return { type, [type]: { ...rest, hyperparameters } };
}

// What is given in only one of the two places counts; a difference is not for us to settle.
function checkMethod(
  method: v.InferOutput<typeof methodSchema>,
  deprecated: SupervisedHyperparameters,
): CheckedMethod {
  const { type, ...objects } = method;
  for (const [name, value] of Object.entries(objects)) {
    if (name !== type && value !== undefined) {
      throw badRequest(
        `Cannot create job: "method.${name}" does not belong to a method of type "${type}"`,
        `method.${name}`,
      );
    }
  }
  if (type === "supervised") {
    const own = method.supervised?.hyperparameters ?? {};
    return { type, hyperparameters: mergeHyperparameters(deprecated, own, type) };
  }
  if (type === "dpo") {
    const own = method.dpo?.hyperparameters ?? {};
    return { type, hyperparameters: mergeHyperparameters(deprecated, own, type) };
  }
  if (method.reinforcement === undefined) throw missingField("method.reinforcement");
  const { hyperparameters, ...rest } = method.reinforcement;
  return {
    type,
    ...rest,
    hyperparameters: mergeHyperparameters(deprecated, hyperparameters ?? {}, type),
  };
}

function mergeHyperparameters<Own extends object>(
  deprecated: SupervisedHyperparameters,
  own: Own,
  type: string,
): SupervisedHyperparameters & Own {
  const given = new Map<string, unknown>(Object.entries(own));
  for (const [name, value] of Object.entries(deprecated)) {
    const other = given.get(name);
    if (value === undefined || other === undefined || other === value) continue;
    throw badRequest(
      `Cannot create job: "hyperparameters.${name}" is ${value}, and "method.${type}.hyperparameters.${name}" is ${other}; give one of them`,
      `hyperparameters.${name}`,
    );
  }
  return { ...deprecated, ...own };
}

function checkMetadata(metadata: unknown): Readonly<Record<string, string>> | null {
  if (metadata === undefined || metadata === null) return null;
  if (typeof metadata !== "object" || Array.isArray(metadata)) {
    throw wrongField("metadata", "an object of strings");
  }
  const pairs: [string, string][] = [];
  for (const [key, value] of Object.entries(metadata)) {
    if ([...key].length > 64)
      throw wrongField("metadata", "an object with keys of 1 to 64 characters");
    if (typeof value !== "string" || [...value].length > 512) {
      throw wrongField(`metadata.${key}`, "a string of at most 512 characters");
    }
    pairs.push([key, value]);
  }
  if (pairs.length > 16) throw wrongField("metadata", "an object of at most 16 pairs");
  return Object.fromEntries(pairs);
}

function explainIssue(issue: v.BaseIssue<unknown>): ApiError {
  const path = v.getDotPath(issue) ?? "";
  if (issue.expected === "never") {
    return badRequest(`Cannot create job: unknown field "${path}"`, path);
  }
  if (issue.input === undefined) return missingField(path);
  return wrongField(path, issue.message, describeValue(issue.input));
}

function describeValue(value: unknown): string {
  if (value === "") return "an empty string";
  if (typeof value === "string") {
    const length = [...value].length;
    return length > 60 ? `a string of ${length} characters` : JSON.stringify(value);
  }
  if (Array.isArray(value))
    return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function missingField(path: string): ApiError {
  return badRequest(`Cannot create job: "${path}" is missing`, path);
}

function wrongField(path: string, expected: string, received?: string): ApiError {
  const but = received === undefined ? "" : `, not ${received}`;
  return badRequest(`Cannot create job: "${path}" must be ${expected}${but}`, path);
}
