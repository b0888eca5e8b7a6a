import * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import type { Upstream } from "../../src/upstream/client.ts";
import { readTokenPages } from "../../src/upstream/token-pages.ts";
import type { Context } from "./context.ts";
import { Int64, isFinal, isSuccess, Time, type TuningJob, toSeconds } from "./tuning-job.ts";

/** The figures of one step of training, by OpenAI's names where it has them; they may be NaN. */
export interface MetricRow {
  readonly step: number;
  /** Unix seconds. */
  readonly time: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** What could be read of a job's figures. */
export interface Metrics {
  /** By step, ascending. */
  readonly rows: readonly MetricRow[];
  /** Why there are none although there should be. */
  readonly problem?: ApiError;
}

/** Reads the figures of jobs. */
export interface MetricsReader {
  /** Throws only the reason of `signal`. */
  read(job: TuningJob, signal: AbortSignal): Promise<Metrics>;
}

// Google names no time after which a job's curves are complete: this much later they are.
const settleMilliseconds = 5 * 60_000;
const maxCachedRows = 200_000;
const parallelReads = 8;

/**
 * Reads the per-step metrics that tuning writes to the job's experiment in Vertex AI TensorBoard.
 * Those of jobs that ended more than five minutes ago stay in memory, up to 200,000 steps in all.
 */
export function createMetricsReader({ tuning, runtime }: Context): MetricsReader {
  const cache = new Map<string, Metrics>();
  let cachedRows = 0;

  function keep(name: string, metrics: Metrics): void {
    if (metrics.rows.length > maxCachedRows || cache.has(name)) return;
    cache.set(name, metrics);
    cachedRows += metrics.rows.length + 1;
    for (const [oldest, { rows }] of cache) {
      if (cachedRows <= maxCachedRows) return;
      cache.delete(oldest);
      cachedRows -= rows.length + 1;
    }
  }

  return {
    async read(job, signal) {
      const cached = cache.get(job.name);
      if (cached !== undefined) return cached;
      const metrics = await readMetrics(tuning, job, signal);
      const { problem } = metrics;
      if (problem !== undefined) {
        const fields = { job: job.name, reason: problem.message };
        runtime.log("warn", "The metrics of a job cannot be read", fields);
      }
      const settled = isFinal(job) && Date.now() - (job.endTime ?? Infinity) > settleMilliseconds;
      if (settled && problem === undefined) keep(job.name, metrics);
      return metrics;
    },
  };
}

async function readMetrics(
  upstream: Upstream,
  job: TuningJob,
  signal: AbortSignal,
): Promise<Metrics> {
  try {
    const series = job.experiment === undefined ? [] : await listSeries(upstream, job, signal);
    if (series.length === 0) return { rows: [], ...missing(job) };
    const curves: Curve[] = [];
    for (let at = 0; at < series.length; at += parallelReads) {
      const some = series.slice(at, at + parallelReads);
      const reads = some.map((one) => readCurve(upstream, one, signal));
      // No read goes on when the answer to the client is already given.
      await Promise.allSettled(reads);
      curves.push(...(await Promise.all(reads)));
    }
    return { rows: joinCurves(curves, job) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ApiError)) throw error;
    // Not there yet, or never made: the job says which.
    if (error.status === 404) return { rows: [], ...missing(job) };
    return { rows: [], problem: error };
  }
}

/** A job that fails early or that is not far yet has no metrics, and that is no problem. */
function missing(job: TuningJob): Pick<Metrics, "problem"> {
  if (!isSuccess(job)) return {};
  return { problem: new ApiError(404, "the job's experiment has none") };
}

const ExperimentContext = v.object({
  metadata: v.optional(v.looseObject({ backing_tensorboard_resource: v.optional(v.string()) })),
});

const RunContext = v.object({ name: v.string(), createTime: v.optional(Time, "1970-01-01") });

const TimeSeries = v.object({
  name: v.pipe(v.string(), v.regex(/^projects\/(?:[^/]+\/)+timeSeries\/[^/]+$/)),
  displayName: v.string(),
  valueType: v.optional(v.string()),
});

type TimeSeries = v.InferOutput<typeof TimeSeries>;

/** From the experiment to its run of TensorBoard, as Google's own SDK finds it. */
async function listSeries(
  upstream: Upstream,
  job: TuningJob,
  signal: AbortSignal,
): Promise<readonly TimeSeries[]> {
  const experiment = job.experiment ?? "";
  const path = splitName(upstream, experiment, "contexts");
  const { metadata } = await upstream.get(path, {}, ExperimentContext, signal);
  const tensorboard = metadata?.backing_tensorboard_resource;
  if (tensorboard === undefined) return [];
  const experimentId = path.at(-1) ?? "";
  const filter = `schema_title="system.ExperimentRun" AND parent_contexts:"${experiment}"`;
  const contexts = await Array.fromAsync(
    readTokenPages(upstream, path.slice(0, -1), { filter }, "contexts", RunContext, signal),
  );
  contexts.sort(
    (one, other) => one.createTime - other.createTime || (one.name < other.name ? -1 : 1),
  );
  const ids = contexts.map(({ name }) => name.slice(name.lastIndexOf("/") + 1));
  const runId = ids.find((id) => id.startsWith(`${experimentId}-`))?.slice(experimentId.length + 1);
  if (runId === undefined) return [];
  const run = [
    ...splitName(upstream, tensorboard, "tensorboards"),
    ...["experiments", experimentId, "runs", runId, "timeSeries"],
  ];
  const series = await Array.fromAsync(
    readTokenPages(upstream, run, {}, "tensorboardTimeSeries", TimeSeries, signal),
  );
  return series
    .filter(({ valueType }) => valueType === "SCALAR")
    .sort((one, other) => (one.displayName < other.displayName ? -1 : 1));
}

/** A resource name as a path; a 502 where it is not one of a `collection`. */
function splitName(upstream: Upstream, name: string, collection: string): readonly string[] {
  const segments = name.split("/");
  if (segments[0] !== "projects" || segments.at(-2) !== collection || segments.includes("")) {
    throw upstream.refuse(`names "${name.slice(0, 200)}" where one of ${collection} should be`);
  }
  return segments;
}

interface Curve {
  readonly figure: string;
  readonly points: readonly v.InferOutput<typeof Point>[];
}

// ProtoJSON writes a double that is no number as a word.
const Double = v.union([
  v.number(),
  v.pipe(v.picklist(["NaN", "Infinity", "-Infinity"]), v.transform(Number)),
]);

const Point = v.object({
  step: v.optional(Int64, 0),
  wallTime: v.optional(Time),
  scalar: v.optional(v.object({ value: v.optional(Double, 0) }), {}),
});

const SeriesData = v.object({
  timeSeriesData: v.optional(v.object({ values: v.optional(v.array(Point), []) }), {}),
});

async function readCurve(
  upstream: Upstream,
  { name, displayName }: TimeSeries,
  signal: AbortSignal,
): Promise<Curve> {
  const path = `${name}:read`.split("/");
  // All of them: a sample would be another one with each read.
  const answer = await upstream.get(path, { maxDataPoints: -1 }, SeriesData, signal);
  return { figure: nameFigure(displayName), points: answer.timeSeriesData.values };
}

const figureNames = new Map([
  ["train_total_loss", "train_loss"],
  ["preference_optimization_train_loss", "train_loss"],
  ["train_fraction_of_correct_next_step_preds", "train_mean_token_accuracy"],
  ["eval_total_loss", "valid_loss"],
  ["eval_fraction_of_correct_next_step_preds", "valid_mean_token_accuracy"],
]);

/** OpenAI's name of a series, or Google's where OpenAI has none. */
function nameFigure(displayName: string): string {
  const name = displayName.replace(/^\/+/, "");
  return figureNames.get(name) ?? name;
}

/** One row a step: of points that repeat a step, as after a restart, the latest counts. */
function joinCurves(curves: readonly Curve[], job: TuningJob): readonly MetricRow[] {
  const rows = new Map<number, { time: number; figures: Map<string, number> }>();
  for (const { figure, points } of curves) {
    const ordered = points.map((point) => ({
      ...point,
      wallTime: point.wallTime ?? job.startTime ?? job.createTime,
    }));
    ordered.sort((one, other) => one.wallTime - other.wallTime);
    for (const { step, wallTime, scalar } of ordered) {
      const row = rows.get(step) ?? { time: Infinity, figures: new Map() };
      rows.set(step, row);
      // The first: what comes later for the step must not move it.
      row.time = Math.min(row.time, toSeconds(wallTime));
      row.figures.set(figure, scalar.value);
    }
  }
  return [...rows]
    .sort(([one], [other]) => one - other)
    .map(([step, { time, figures }]) => ({ step, time, figures: Object.fromEntries(figures) }));
}
