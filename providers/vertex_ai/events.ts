import type { EventFields, Fields } from "../../src/provider.ts";
import { describeError, type JobNames, listCheckpoints } from "./job-objects.ts";
import type { MetricRow, Metrics } from "./tensorboard.ts";
import {
  type DataStats,
  findStats,
  isFinal,
  isSuccess,
  type TuningJob,
  toSeconds,
} from "./tuning-job.ts";

interface Event {
  /** What tells the event from the others of its job. */
  readonly key: string;
  readonly created_at: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly type?: "metrics";
  readonly data?: Fields;
}

/**
 * The events of a job, newest first, made of what Google tells of it. Vertex AI has no events: an
 * id names the job and what happened, so that it is the same in every answer.
 */
export function listEvents(
  job: TuningJob,
  metrics: Metrics,
  names: Pick<JobNames, "jobId">,
): readonly EventFields[] {
  const jobId = names.jobId(job.name);
  const events = [
    describeCreation(job, jobId),
    ...describeStart(job, metrics),
    ...metrics.rows.map(describeRow),
    ...listCheckpoints(job, metrics.rows, names).toReversed().map(describeCheckpoint),
    ...describeEnd(job),
  ];
  const prefix = jobId.replace(/^ftjob-/, "ftevent-");
  // Stable: of events of one second the order above stays.
  return events
    .sort((one, other) => one.created_at - other.created_at)
    .reverse()
    .map(({ key, ...event }) => ({ id: `${prefix}-${key}`, ...event }));
}

function describeCreation(job: TuningJob, jobId: string): Event {
  const message = `Created fine-tuning job: ${jobId}`;
  return { key: "created", created_at: toSeconds(job.createTime), level: "info", message };
}

/** What is known from the start on, although Google tells it later; it tells no time of it. */
function describeStart(job: TuningJob, metrics: Metrics): readonly Event[] {
  const created_at = toSeconds(job.startTime ?? job.createTime);
  const events: Event[] = [];
  if (job.startTime !== undefined) {
    events.push({ key: "started", created_at, level: "info", message: "Fine-tuning job started" });
  }
  const stats = findStats(job);
  if (stats !== undefined) events.push(...describeStats(stats, created_at));
  if (metrics.problem !== undefined) {
    const message = `The metrics cannot be read from Vertex AI TensorBoard: ${metrics.problem.message}`;
    events.push({ key: "metrics-unavailable", created_at, level: "warn", message });
  }
  return events;
}

function describeStats(stats: DataStats, created_at: number): readonly Event[] {
  const { tuningDatasetExampleCount, totalBillableTokenCount, tuningStepCount } = stats;
  const counts = [
    [tuningDatasetExampleCount, "examples"],
    [totalBillableTokenCount, "billable tokens"],
    [tuningStepCount, "steps"],
  ].flatMap(([count, noun]) => (count === undefined ? [] : `${count} ${noun}`));
  const data: Fields = {
    example_count: tuningDatasetExampleCount ?? null,
    billable_token_count: totalBillableTokenCount ?? null,
    step_count: tuningStepCount ?? null,
  };
  const message = `Training data: ${counts.length === 0 ? "no figures" : counts.join(", ")}`;
  const events: Event[] = [{ key: "statistics", created_at, level: "info", message, data }];
  const indices = stats.truncatedExampleIndices ?? stats.droppedExampleIndices ?? [];
  const reasons = stats.droppedExampleReasons ?? [];
  const dropped = stats.totalTruncatedExampleCount ?? indices.length;
  if (dropped > 0 || reasons.length > 0) {
    events.push({
      key: "dropped-examples",
      created_at,
      level: "warn",
      message: describeDropped(dropped, indices, reasons),
      // Google numbers the examples from 1, and names but some of them.
      data: { dropped_example_count: dropped, example_indices: indices, reasons },
    });
  }
  return events;
}

const maxNamed = 10;

function describeDropped(
  count: number,
  indices: readonly number[],
  reasons: readonly string[],
): string {
  const length = Math.min(maxNamed, Math.max(indices.length, reasons.length));
  const named = Array.from({ length }, (_, at) => {
    const index = indices[at];
    const example = index === undefined ? "an example" : `example ${index}`;
    return reasons[at] === undefined ? example : `${example}: ${reasons[at]}`;
  });
  const nouns = count === 1 ? "1 example was" : `${count} examples were`;
  return [`${nouns} left out of the training`, ...named].join("; ");
}

const figureWords = new Map([
  ["train_loss", "training loss"],
  ["train_mean_token_accuracy", "training accuracy"],
  ["valid_loss", "validation loss"],
  ["valid_mean_token_accuracy", "validation accuracy"],
]);

function describeRow({ step, time, figures }: MetricRow): Event {
  const said = [...figureWords].flatMap(([name, words]) => {
    const figure = figures[name];
    return figure === undefined ? [] : `${words}=${Number(figure.toFixed(5))}`;
  });
  return {
    key: `step-${step}`,
    created_at: time,
    level: "info",
    message: said.length === 0 ? `Step ${step}` : `Step ${step}: ${said.join(", ")}`,
    type: "metrics",
    data: { step, ...figures },
  };
}

function describeCheckpoint({
  created_at,
  step_number,
  checkpoint_id,
  fine_tuned_model_checkpoint,
}: ReturnType<typeof listCheckpoints>[number]): Event {
  return {
    key: `checkpoint-${checkpoint_id}`,
    created_at,
    level: "info",
    message: `Checkpoint created at step ${step_number}`,
    data: { step: step_number, fine_tuned_model_checkpoint },
  };
}

function describeEnd(job: TuningJob): readonly Event[] {
  if (!isFinal(job)) return [];
  const created_at = toSeconds(job.endTime ?? job.updateTime ?? job.createTime);
  const event = (key: string, level: Event["level"], message: string, data?: Fields): Event => ({
    ...{ key, created_at, level, message },
    ...(data !== undefined && { data }),
  });
  if (isSuccess(job)) {
    const { endpoint } = job.tunedModel ?? {};
    return [
      ...(endpoint === undefined
        ? []
        : [event("model", "info", `New fine-tuned model created: ${endpoint}`)]),
      ...(job.state === "JOB_STATE_PARTIALLY_SUCCEEDED"
        ? [event("partial", "warn", "Vertex AI says that the job has succeeded only in part")]
        : []),
      event("succeeded", "info", "The job has successfully completed"),
    ];
  }
  const error = describeError(job);
  if (error === null) return [event("cancelled", "info", "The job has been cancelled")];
  return [event("failed", "error", `The job has failed: ${error.message}`, { error })];
}
