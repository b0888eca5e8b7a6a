import type { FakeAnswer, FakeRequest } from "../server.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  invalid,
  takePage,
  VertexRefusal,
} from "./vertex-answers.ts";

/** A curve as the trainer writes it. */
export interface FakeSeries {
  readonly displayName: string;
  readonly valueType?: string;
  readonly values: readonly {
    readonly step: number;
    readonly wallTime?: string;
    readonly value: number | string;
  }[];
}

/** What experiments, their runs and TensorBoard hold; tests may look and change. */
export interface TensorboardState {
  readonly contexts: Map<string, Item>;
  /** By the name of the run. */
  readonly series: Map<string, readonly (FakeSeries & { readonly name: string })[]>;
}

const seriesPageSize = 2;

/** Stores the experiment of a job with one run, and returns the name of the experiment. */
export function storeExperiment(
  state: TensorboardState,
  parent: string,
  number: string,
  series: readonly FakeSeries[],
): string {
  const experimentId = `tuning-experiment-${number}`;
  const contexts = `${parent}/metadataStores/default/contexts`;
  const experiment = `${contexts}/${experimentId}`;
  const tensorboard = `${parent}/tensorboards/99`;
  const metadata = { experiment_deleted: false, backing_tensorboard_resource: tensorboard };
  const runId = `tuning-run-${number}`;
  const runs: Item[] = [
    { name: `${contexts}/${experimentId}-${runId}`, createTime: "2026-11-01T10:01:00.5Z" },
    // A later run, which comes first in the list.
    { name: `${contexts}/${experimentId}-another`, createTime: "2026-11-02T10:01:00Z" },
  ];
  state.contexts.set(experiment, { name: experiment, schemaTitle: "system.Experiment", metadata });
  for (const run of runs.toReversed()) {
    const parentContexts = [experiment];
    const context = { ...run, schemaTitle: "system.ExperimentRun", parentContexts };
    state.contexts.set(String(run.name), context);
  }
  const run = `${tensorboard}/experiments/${experimentId}/runs/${runId}`;
  state.series.set(
    run,
    series.map((one, index) => ({ ...one, name: `${run}/timeSeries/${index + 1}` })),
  );
  return experiment;
}

/** Routes below a location that belong to experiments and TensorBoard; all are reads. */
export function answerTensorboard(
  request: FakeRequest,
  name: string,
  state: TensorboardState,
): FakeAnswer | undefined {
  if (request.method !== "GET" || request.body.length > 0) return undefined;
  if (/\/contexts$/.test(name)) return listRuns(request, state);
  if (/\/contexts\/[^/]+$/.test(name)) {
    checkQuery(request, []);
    const context = state.contexts.get(name);
    if (context === undefined) throw new VertexRefusal("NOT_FOUND", `Context ${name} not found.`);
    return answerJson(context);
  }
  if (/\/runs\/[^/]+\/timeSeries$/.test(name)) {
    checkQuery(request, ["pageSize", "pageToken", "filter"]);
    const series = state.series.get(name.slice(0, -"/timeSeries".length));
    if (series === undefined) throw new VertexRefusal("NOT_FOUND", `Run of ${name} not found.`);
    const items = series.map(({ values: _, ...one }) => ({ valueType: "SCALAR", ...one }));
    return answerJson(takePage(request, items, "tensorboardTimeSeries", seriesPageSize));
  }
  if (name.endsWith(":read")) return readSeries(request, name.slice(0, -":read".length), state);
  return undefined;
}

function listRuns(request: FakeRequest, { contexts }: TensorboardState): FakeAnswer {
  checkQuery(request, ["filter", "pageSize", "pageToken"]);
  const filter = request.query.get("filter") ?? "";
  const [, title, parent] =
    /^schema_title="([^"]+)" AND parent_contexts:"([^"]+)"$/.exec(filter) ?? [];
  if (title === undefined) throw invalid("filter", `fake: cannot read the filter ${filter}`);
  const runs = [...contexts.values()].filter(
    ({ schemaTitle, parentContexts }) =>
      schemaTitle === title && Array.isArray(parentContexts) && parentContexts.includes(parent),
  );
  return answerJson(takePage(request, runs, "contexts", 1));
}

function readSeries(request: FakeRequest, name: string, state: TensorboardState): FakeAnswer {
  checkQuery(request, ["maxDataPoints", "filter"]);
  const run = name.slice(0, name.lastIndexOf("/timeSeries/"));
  const series = state.series.get(run)?.find((one) => one.name === name);
  if (series === undefined) throw new VertexRefusal("NOT_FOUND", `${name} not found.`);
  const most = Number(request.query.get("maxDataPoints") ?? 1000);
  if (!Number.isInteger(most) || most === 0) throw invalid("max_data_points", "Invalid value");
  const values = series.values.slice(0, most === -1 ? undefined : most);
  return answerJson({
    timeSeriesData: {
      tensorboardTimeSeriesId: name.split("/").at(-1),
      valueType: "SCALAR",
      values: values.map(({ step, wallTime, value }) => ({
        // ProtoJSON leaves out a zero.
        ...(step !== 0 && { step: String(step) }),
        ...(wallTime !== undefined && { wallTime }),
        scalar: value === 0 ? {} : { value },
      })),
    },
  });
}
