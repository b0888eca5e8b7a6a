import { type Item, invalid } from "./vertex-answers.ts";

// What a client may write, by the discovery document of aiplatform v1.

/** Reads a value as Google then answers it; throws for what it does not take. */
type Read = (value: unknown, path: string) => unknown;

const text: Read = (value, path) => {
  if (typeof value !== "string") throw mistyped(path, "TYPE_STRING", value);
  return value;
};
const flag: Read = (value, path) => {
  if (typeof value !== "boolean") throw mistyped(path, "TYPE_BOOL", value);
  return value;
};
const double: Read = (value, path) => {
  if (typeof value !== "number") throw mistyped(path, "TYPE_DOUBLE", value);
  return value;
};
const int64: Read = (value, path) => {
  if (Number.isInteger(value) || (typeof value === "string" && /^-?\d{1,19}$/.test(value))) {
    return String(value);
  }
  throw mistyped(path, "TYPE_INT64", value);
};
const labels: Read = (value, path) => {
  for (const [key, label] of Object.entries(readFields(value, path))) {
    const fits = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key);
    if (fits && /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(String(label)) && typeof label === "string") {
      continue;
    }
    throw invalid(path, `Invalid label: "${key}"`);
  }
  return value;
};
const adapterSize: Read = (value, path) => {
  const sizes = ["ONE", "TWO", "FOUR", "EIGHT", "SIXTEEN", "THIRTY_TWO"];
  if (sizes.some((size) => value === `ADAPTER_SIZE_${size}`)) return value;
  throw mistyped(path, "type.googleapis.com/google.cloud.aiplatform.v1.AdapterSize", value);
};
const datasetUri: Read = (value, path) => {
  text(value, path);
  if (!/^gs:\/\/[^/]+\/.+/.test(String(value))) throw invalid(path, `Invalid GCS URI: ${value}`);
  return value;
};

const message =
  (fields: Readonly<Record<string, Read>>): Read =>
  (value, path) => {
    const message: Item = {};
    for (const [name, entry] of Object.entries(readFields(value, path))) {
      const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      const read = Object.hasOwn(fields, camel) ? fields[camel] : undefined;
      if (read === undefined) {
        throw invalid(
          path,
          `Invalid JSON payload received. Unknown name "${name}" at '${path}': Cannot find field.`,
        );
      }
      message[camel] = read(
        entry,
        `${path}.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
      );
    }
    return message;
  };

const hyperParameters = { epochCount: int64, learningRateMultiplier: double, adapterSize };
const spec = {
  trainingDatasetUri: datasetUri,
  validationDatasetUri: datasetUri,
  exportLastCheckpointOnly: flag,
};

const readMessage = message({
  baseModel: text,
  preTunedModel: message({ tunedModelName: text, checkpointId: text }),
  tunedModelDisplayName: text,
  description: text,
  labels,
  serviceAccount: text,
  encryptionSpec: message({ kmsKeyName: text }),
  supervisedTuningSpec: message({ ...spec, hyperParameters: message(hyperParameters) }),
  preferenceOptimizationSpec: message({
    ...spec,
    hyperParameters: message({ ...hyperParameters, beta: double }),
  }),
});

/** Reads a TuningJob; refuses a field that v1 does not have, that is output only or mistyped. */
export function readTuningJob(value: Item): Item {
  return readFields(readMessage(value, "tuning_job"), "tuning_job");
}

function readFields(value: unknown, path: string): Item {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw mistyped(path, "a message", value);
  }
  return { ...value };
}

function mistyped(path: string, type: string, value: unknown) {
  return invalid(path, `Invalid value at '${path}' (${type}), ${JSON.stringify(value)}`);
}
