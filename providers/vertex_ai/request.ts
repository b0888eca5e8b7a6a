import { badRequest } from "../../src/errors.ts";
import { type CheckedJobRequest, checkJobRequest } from "../../src/job-request.ts";
import type { Fields, JobRequest } from "../../src/provider.ts";
import type { Settings } from "./options.ts";

/** What the configuration adds to every job. */
export type JobDefaults = Pick<Settings, "labels" | "service_account" | "encryption_key">;

/** A job request that Vertex AI can carry out whole. */
export interface VertexJobRequest {
  /** The model as the client names it. */
  readonly model: string;
  readonly training_file: string;
  readonly validation_file: string | null;
  /** The TuningJob without the model. */
  makeBody(trainingUri: string, validationUri: string | undefined): Fields;
}

const adapterSizes = new Map<unknown, string>([
  [1, "ADAPTER_SIZE_ONE"],
  [2, "ADAPTER_SIZE_TWO"],
  [4, "ADAPTER_SIZE_FOUR"],
  [8, "ADAPTER_SIZE_EIGHT"],
  [16, "ADAPTER_SIZE_SIXTEEN"],
  [32, "ADAPTER_SIZE_THIRTY_TWO"],
]);

/** The number behind Google's name of an adapter size; a name that is not known as it is. */
export function parseAdapterSize(name: string): unknown {
  for (const [size, known] of adapterSizes) if (known === name) return size;
  return name;
}

/**
 * Reads a job request. Beside OpenAI's fields it takes `adapter_size` (1, 2, 4, 8, 16 or 32, or
 * Google's name of it) among the hyperparameters or beside them, and
 * `export_last_checkpoint_only`. Throws a 400 that names what Vertex AI would not carry out.
 */
export function readRequest(request: JobRequest, defaults: JobDefaults): VertexJobRequest {
  const { plain, adapterSize, lastCheckpointOnly } = takeExtras(request);
  const checked = checkJobRequest(plain);
  const { method } = checked;
  if (method.type === "reinforcement") {
    throw badRequest(
      'Cannot create job: version v1 of Vertex AI\'s API has no reinforcement tuning; use a method of type "supervised" or "dpo"',
      "method.type",
    );
  }
  refuseLacking(checked, request);
  const labels = makeLabels(checked.metadata ?? {}, defaults.labels);
  const { n_epochs, learning_rate_multiplier } = method.hyperparameters;
  const hyperParameters = dropAbsent({
    // An int64: a string in ProtoJSON.
    epochCount: typeof n_epochs === "number" ? String(n_epochs) : undefined,
    learningRateMultiplier: dropAuto(learning_rate_multiplier),
    adapterSize,
    beta: method.type === "dpo" ? dropAuto(method.hyperparameters.beta) : undefined,
  });
  const spec = method.type === "dpo" ? "preferenceOptimizationSpec" : "supervisedTuningSpec";
  return {
    model: checked.model,
    training_file: checked.training_file,
    validation_file: checked.validation_file,
    makeBody: (trainingDatasetUri, validationDatasetUri) =>
      dropAbsent({
        tunedModelDisplayName: checked.suffix ?? undefined,
        labels: Object.keys(labels).length === 0 ? undefined : labels,
        serviceAccount: defaults.service_account,
        encryptionSpec: defaults.encryption_key && { kmsKeyName: defaults.encryption_key },
        [spec]: dropAbsent({
          trainingDatasetUri,
          validationDatasetUri,
          hyperParameters: Object.keys(hyperParameters).length === 0 ? undefined : hyperParameters,
          exportLastCheckpointOnly: lastCheckpointOnly,
        }),
      }),
  };
}

interface Extras {
  /** The request without the fields that OpenAI does not have. */
  readonly plain: JobRequest;
  readonly adapterSize: string | undefined;
  readonly lastCheckpointOnly: boolean | undefined;
}

function takeExtras(request: JobRequest): Extras {
  const { adapter_size, export_last_checkpoint_only, ...plain } = request;
  const sizes: [param: string, value: unknown][] = [["adapter_size", adapter_size]];
  // `fields` with `hyperparameters` that lack the size; what is no object is left to be refused.
  const strip = <Outer extends Fields>(path: string, fields: Outer): Outer => {
    if (!isObject(fields.hyperparameters)) return fields;
    const { adapter_size: size, ...hyperparameters } = fields.hyperparameters;
    sizes.push([`${path}hyperparameters.adapter_size`, size]);
    return { ...fields, hyperparameters };
  };
  const { method } = plain;
  const own = method?.[method.type];
  const stripped =
    method !== undefined && isObject(own)
      ? { ...plain, method: { ...method, [method.type]: strip(`method.${method.type}.`, own) } }
      : plain;
  return {
    plain: strip("", stripped),
    adapterSize: readAdapterSize(sizes),
    lastCheckpointOnly: readFlag(export_last_checkpoint_only),
  };
}

function readAdapterSize(given: readonly (readonly [string, unknown])[]): string | undefined {
  let chosen: string | undefined;
  for (const [param, value] of given) {
    if (value === undefined || value === null || value === "auto") continue;
    const name = [...adapterSizes.values()].find((one) => one === value) ?? adapterSizes.get(value);
    if (name === undefined) {
      throw badRequest(
        `Cannot create job: "${param}" must be "auto", 1, 2, 4, 8, 16 or 32, or Google's name of it such as "ADAPTER_SIZE_FOUR"`,
        param,
      );
    }
    if (chosen !== undefined && chosen !== name) {
      throw badRequest(`Cannot create job: "${param}" differs from another "adapter_size"`, param);
    }
    chosen = name;
  }
  return chosen;
}

function readFlag(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return value;
  const param = "export_last_checkpoint_only";
  throw badRequest(`Cannot create job: "${param}" must be true or false`, param);
}

function refuseLacking(checked: CheckedJobRequest, request: JobRequest): void {
  if (typeof checked.method.hyperparameters.batch_size === "number") {
    const own = request.method?.[checked.method.type];
    const nested = isObject(own) && isObject(own.hyperparameters) ? own.hyperparameters : {};
    throw lacking(
      "batch size",
      "batch_size" in nested
        ? `method.${checked.method.type}.hyperparameters.batch_size`
        : "hyperparameters.batch_size",
    );
  }
  if (checked.seed !== null) throw lacking("seed", "seed");
  if (checked.integrations.length > 0) throw lacking("integrations", "integrations");
}

function lacking(what: string, param: string) {
  return badRequest(
    `Cannot create job: Vertex AI has no ${what}; leave "${param}" out`,
    param,
    "unsupported_parameter",
  );
}

// Google's rules for labels: lowercase letters, digits, "_" and "-", letters of scripts without
// case too; keys begin with a letter; at most 63 characters and 64 labels.
const labelKey = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const labelValue = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
const labelRule =
  'at most 63 lowercase letters, digits, "_" and "-", and a key must begin with a letter';

function makeLabels(
  metadata: Readonly<Record<string, string>>,
  configured: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    const param = `metadata.${key}`;
    if (!labelKey.test(key) || !labelValue.test(value)) {
      throw badRequest(
        `Cannot create job: "${param}" does not fit a label of Vertex AI, which may have ${labelRule}`,
        param,
      );
    }
    if (Object.hasOwn(configured, key)) {
      throw badRequest(`Cannot create job: the label "${key}" is set by the configuration`, param);
    }
  }
  const labels = [...Object.entries(configured), ...Object.entries(metadata)];
  if (labels.length > 64) {
    throw badRequest(
      `Cannot create job: with the configured labels they are ${labels.length}, and Vertex AI takes at most 64`,
      "metadata",
    );
  }
  return Object.fromEntries(labels);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function dropAuto<Value>(value: Value | "auto"): Value | undefined {
  return value === "auto" ? undefined : value;
}

function dropAbsent(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
