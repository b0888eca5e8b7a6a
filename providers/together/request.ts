import { type ApiError, badRequest } from "../../src/errors.ts";
import { checkJobRequest } from "../../src/job-request.ts";
import type { Fields, FileUpload, JobRequest } from "../../src/provider.ts";
import type { FormBody } from "../../src/upstream/form.ts";
import { roundRate, type Settings } from "./options.ts";

/**
 * The form of `POST /files/upload`. Throws a 400 for a name whose ending tells no format, and for what
 * the service does not know: an expiry and other fields.
 */
export function makeForm({
  content,
  filename,
  purpose,
  expires_after,
  extra,
}: FileUpload): FormBody {
  const [, type] = /\.(jsonl|parquet|csv)$/i.exec(filename) ?? [];
  if (type === undefined) {
    const quoted = JSON.stringify(filename.slice(0, 100).toWellFormed());
    throw badRequest(
      `Cannot store the file ${quoted}: Together AI takes files whose names end in .jsonl, .parquet or .csv`,
      "file",
    );
  }
  const unknown = expires_after === undefined ? extra[0]?.[0] : "expires_after";
  if (unknown !== undefined) {
    throw badRequest(
      `Cannot store the file: Together AI has no "${unknown}"; leave it out`,
      unknown,
    );
  }
  return {
    fields: [
      ["purpose", purpose],
      ["file_name", filename],
      ["file_type", type.toLowerCase()],
    ],
    file: { name: "file", filename, content },
  };
}

/**
 * The body of `POST /fine-tunes`, with the SDK's defaults, for the service itself has none. Throws a
 * 400 that names what the service has no way to do.
 */
export function makeJobBody(request: JobRequest, settings: Settings): Fields {
  const { method, model, metadata, ...checked } = checkJobRequest(request);
  if (method.type === "reinforcement") {
    throw lacking("method.type", 'reinforcement; use a method of type "supervised" or "dpo"');
  }
  if (metadata !== null && Object.keys(metadata).length > 0) {
    throw lacking("metadata", "metadata of jobs; leave it out");
  }
  if (checked.integrations.length > 0) {
    throw lacking("integrations", "integrations that the gateway could set up; leave them out");
  }
  const { suffix, seed, training_file, validation_file } = checked;
  if (suffix !== null && [...suffix].length > 40) {
    throw lacking("suffix", "suffixes of more than 40 characters");
  }
  const { n_epochs, batch_size, learning_rate_multiplier: multiplier } = method.hyperparameters;
  const { beta } = method.type === "dpo" ? method.hyperparameters : {};
  return {
    // The names of a job and of its checkpoints: a base model's have a slash.
    ...(/^ft-[\w-]+(:\d+)?$/.test(model) ? { from_checkpoint: model } : { model }),
    training_file,
    ...(validation_file === null ? {} : { validation_file }),
    ...(suffix === null ? {} : { suffix }),
    ...(seed === null ? {} : { random_seed: seed }),
    n_epochs: typeof n_epochs === "number" ? n_epochs : 1,
    batch_size: typeof batch_size === "number" ? batch_size : "max",
    learning_rate: roundRate(
      (typeof multiplier === "number" ? multiplier : 1) * settings.learning_rate,
    ),
    n_checkpoints: settings.checkpoints,
    n_evals: validation_file === null ? 0 : settings.evaluations,
    lr_scheduler: {
      lr_scheduler_type: "cosine",
      lr_scheduler_args: { min_lr_ratio: 0, num_cycles: 0.5 },
    },
    warmup_ratio: 0,
    max_grad_norm: 1,
    weight_decay: 0,
    training_method:
      method.type === "supervised"
        ? { method: "sft", train_on_inputs: "auto" }
        : { method: "dpo", ...(typeof beta === "number" ? { dpo_beta: beta } : {}) },
    ...makeTrainingType(settings),
  };
}

function makeTrainingType({ training, lora_rank: lora_r }: Settings): Fields {
  if (training === "full") return { training_type: { type: "Full" } };
  // Without it the service takes the adapter's settings from the model, or from the job continued.
  if (lora_r === undefined) return {};
  const lora = { lora_r, lora_alpha: 2 * lora_r, lora_dropout: 0 };
  return { training_type: { type: "Lora", ...lora, lora_trainable_modules: "all-linear" } };
}

function lacking(param: string, what: string): ApiError {
  return badRequest(`Cannot create job: Together AI has no ${what}`, param);
}
