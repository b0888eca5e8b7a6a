import type { CheckpointFields, Fields, JobFields } from "../../src/provider.ts";
import { parseAdapterSize } from "./request.ts";
import type { MetricRow } from "./tensorboard.ts";
import {
  findMethod,
  findStats,
  isFinal,
  isSuccess,
  type TuningJob,
  type TuningMethod,
  toSeconds,
} from "./tuning-job.ts";

/** How Google's names become ids for clients. */
export interface JobNames {
  /** The id of the job of this name. */
  jobId(name: string): string;
  /** The id of the file at a `gs://` URI. */
  fileId(uri: string): string;
  /** The id of the file of results of the job of this name. */
  resultFileId(name: string): string;
  /** The labels that the configuration gives to every job. */
  readonly configuredLabels: Readonly<Record<string, string>>;
}

// A state that is newer than this list passes as it is spelled.
const statuses = new Map([
  // ProtoJSON's default, in effect: the service has not decided yet.
  ["JOB_STATE_UNSPECIFIED", "queued"],
  ["JOB_STATE_QUEUED", "queued"],
  ["JOB_STATE_PENDING", "queued"],
  ["JOB_STATE_RUNNING", "running"],
  ["JOB_STATE_UPDATING", "running"],
  // Google cancels when it can; until then the job runs, and costs.
  ["JOB_STATE_CANCELLING", "running"],
  ["JOB_STATE_PAUSED", "paused"],
  ["JOB_STATE_SUCCEEDED", "succeeded"],
  ["JOB_STATE_PARTIALLY_SUCCEEDED", "succeeded"],
  ["JOB_STATE_FAILED", "failed"],
  ["JOB_STATE_EXPIRED", "failed"],
  ["JOB_STATE_CANCELLED", "cancelled"],
]);

/** A TuningJob in OpenAI's words; `fine_tuned_model` is the name of the endpoint that serves it. */
export function translateJob(job: TuningJob, names: JobNames): JobFields {
  const method = findMethod(job);
  const { preTunedModel } = job;
  const hyperparameters = translateHyperparameters(method);
  const adapterSize = method.hyperParameters.adapterSize;
  return {
    id: names.jobId(job.name),
    created_at: toSeconds(job.createTime),
    finished_at: isFinal(job) && job.endTime !== undefined ? toSeconds(job.endTime) : null,
    estimated_finish: null,
    model: job.baseModel ?? preTunedModel?.baseModel ?? preTunedModel?.tunedModelName ?? "",
    fine_tuned_model: isSuccess(job) ? (job.tunedModel?.endpoint ?? null) : null,
    organization_id: job.name.split("/").slice(0, 2).join("/"),
    status: statuses.get(job.state) ?? job.state,
    error: describeError(job, method),
    training_file: method.trainingUri === undefined ? "" : names.fileId(method.trainingUri),
    validation_file: method.validationUri === undefined ? null : names.fileId(method.validationUri),
    result_files: hasResults(job) ? [names.resultFileId(job.name)] : [],
    trained_tokens: countTrainedTokens(job, method),
    ...(method.type === "supervised" && { hyperparameters }),
    method: { type: method.type, [method.type]: { hyperparameters } },
    metadata: toMetadata(job.labels ?? {}, names.configuredLabels),
    tuned_model_display_name: job.tunedModelDisplayName ?? null,
    ...(adapterSize !== undefined && { adapter_size: parseAdapterSize(adapterSize) }),
    ...(preTunedModel !== undefined && {
      pre_tuned_model: {
        model: preTunedModel.tunedModelName ?? null,
        checkpoint_id: preTunedModel.checkpointId ?? null,
      },
    }),
  };
}

/** Whether there is a file of results: of what has ended well and has an experiment. */
export function hasResults(job: TuningJob): boolean {
  return isSuccess(job) && job.experiment !== undefined;
}

function translateHyperparameters({ type, hyperParameters }: TuningMethod): Fields {
  const { epochCount, learningRateMultiplier, beta } = hyperParameters;
  return {
    n_epochs: epochCount ?? "auto",
    batch_size: "auto",
    learning_rate_multiplier: learningRateMultiplier ?? "auto",
    ...(type === "dpo" && { beta: beta ?? "auto" }),
  };
}

/**
 * OpenAI counts what was billed. Google tells the billable tokens of the dataset, and bills them
 * once for each epoch (its price list): known only where it tells the epochs too.
 */
function countTrainedTokens(job: TuningJob, method: TuningMethod): number | null {
  const tokens = findStats(job)?.totalBillableTokenCount;
  const { epochCount } = method.hyperParameters;
  if (!isSuccess(job) || tokens === undefined || epochCount === undefined) return null;
  return tokens * epochCount;
}

function toMetadata(labels: Fields, configured: Readonly<Record<string, string>>): Fields {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => !Object.hasOwn(configured, key)),
  );
}

// google.rpc.Code, as errors of calls spell it.
const codeNames = [
  ...["ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found"],
  ...["already_exists", "permission_denied", "resource_exhausted", "failed_precondition"],
  ...["aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss"],
  "unauthenticated",
];

/** The error of a job that has failed, null of any other. */
export function describeError(
  job: TuningJob,
  method: TuningMethod = findMethod(job),
): Fields | null {
  if (statuses.get(job.state) !== "failed") return null;
  const expired = job.state === "JOB_STATE_EXPIRED";
  const { code, message } = job.error ?? { code: 0, message: "" };
  const name = codeNames[code] ?? `code_${code}`;
  const usual = expired ? "The job expired before it had ended" : "Vertex AI gives no reason";
  return {
    code: code === 0 ? (expired ? "expired" : "unknown") : name,
    message: message === "" ? usual : message,
    param: findDataset(message, method),
  };
}

/** Which file a message is about. */
function findDataset(message: string, { trainingUri, validationUri }: TuningMethod): string | null {
  if (validationUri !== undefined && message.includes(validationUri)) return "validation_file";
  if (trainingUri !== undefined && message.includes(trainingUri)) return "training_file";
  if (/validation[ _]?(data|file|example)/i.test(message)) return "validation_file";
  return /(training|tuning)[ _]?(data|file|example)/i.test(message) ? "training_file" : null;
}

/**
 * The checkpoints of a job, newest first, with the figures of exactly their step. Google tells no
 * time of a checkpoint: it is that of the last figures up to its step, else the end of the job.
 */
export function listCheckpoints(
  job: TuningJob,
  rows: readonly MetricRow[],
  names: Pick<JobNames, "jobId">,
): readonly CheckpointFields[] {
  const { model, checkpoints = [] } = job.tunedModel ?? {};
  const checkpointsByStep = checkpoints.toSorted(
    (one, other) => other.step - one.step || (one.checkpointId < other.checkpointId ? 1 : -1),
  );
  return checkpointsByStep.map(({ checkpointId, step, epoch, endpoint }) => {
    const earlier = rows.findLast((row) => row.step <= step);
    const end = job.endTime ?? job.startTime ?? job.createTime;
    return {
      id: `${names.jobId(job.name).replace(/^ftjob-/, "ftckpt-")}-${checkpointId}`,
      created_at: earlier?.time ?? toSeconds(end),
      // A checkpoint that no endpoint serves can still be tuned further, by the model's name.
      fine_tuned_model_checkpoint: endpoint ?? model ?? "",
      step_number: step,
      metrics: { step, ...(earlier?.step === step && earlier.figures) },
      checkpoint_id: checkpointId,
      ...(epoch !== undefined && { epoch }),
    };
  });
}
