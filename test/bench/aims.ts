import { type MetricName, metrics } from "./metrics.ts";
import type { Summary } from "./statistics.ts";

/** Finds the summary of a figure, undefined where it was not measured. */
export type FindSummary = (row: string, target: string, metric: MetricName) => Summary | undefined;

/** What the project wants to reach, and how far it is. */
export interface Aim {
  readonly text: string;
  readonly sense: "at least" | "at most";
  readonly limit: number;
  /** As the metric is shown, or a ratio; undefined where it was not measured. */
  readonly value: number | undefined;
  readonly reached: boolean | undefined;
}

interface Wish extends Pick<Aim, "text" | "sense" | "limit"> {
  readonly row: string;
  readonly metric: MetricName;
  /** The target whose figure ours is divided by. */
  readonly over?: string;
}

const wishes: readonly Wish[] = [
  {
    ...{ text: "GET a job, 64 connections: requests/s ÷ nginx", row: "get-job-64" },
    ...{ metric: "rate", over: "nginx", sense: "at least", limit: 0.6 },
  },
  {
    ...{ text: "GET a job, 64 connections: requests/s ÷ Portkey", row: "get-job-64" },
    ...{ metric: "rate", over: "Portkey", sense: "at least", limit: 15 },
  },
  {
    ...{ text: "GET a job, 1 connection: p50 over direct, ms", row: "get-job-1" },
    ...{ metric: "added", sense: "at most", limit: 0.25 },
  },
  {
    ...{ text: "upload 512 MiB: time ÷ nginx", row: "upload-512m" },
    ...{ metric: "time", over: "nginx", sense: "at most", limit: 1 },
  },
  {
    ...{ text: "upload 512 MiB: time ÷ Portkey", row: "upload-512m" },
    ...{ metric: "time", over: "Portkey", sense: "at most", limit: 0.4 },
  },
  {
    ...{ text: "upload 512 MiB: memory over idle, MiB", row: "upload-512m" },
    ...{ metric: "memory", sense: "at most", limit: 64 },
  },
  {
    ...{ text: "eight uploads: memory over idle, MiB", row: "upload-8x128m" },
    ...{ metric: "memory", sense: "at most", limit: 128 },
  },
  {
    ...{ text: "cold start to the first answer, ms", row: "start" },
    ...{ metric: "start", sense: "at most", limit: 60 },
  },
  {
    ...{ text: "idle memory, MiB", row: "start" },
    ...{ metric: "idle", sense: "at most", limit: 60 },
  },
  ...(["check", "convert"] as const).map(
    (way): Wish => ({
      ...{ text: `${way} a dataset of 200 MB: MB/s`, row: `${way}-200m` },
      ...{ metric: "throughput", sense: "at least", limit: 150 },
    }),
  ),
  {
    ...{ text: "first page of a merged list, p50, ms", row: "ledger-first-page" },
    ...{ metric: "p50", sense: "at most", limit: 10 },
  },
  {
    ...{ text: "page at the end of a merged list, p50, ms", row: "ledger-deep-page" },
    ...{ metric: "p50", sense: "at most", limit: 10 },
  },
];

/** Holds what was measured against what is wanted of these rows. */
export function judgeAims(rows: readonly string[], find: FindSummary): readonly Aim[] {
  const wanted = wishes.filter(({ row }) => rows.includes(row));
  return wanted.map(({ text, row, metric, over, sense, limit }) => {
    const own = find(row, "tunegate", metric)?.median;
    const other = over === undefined ? 1 / metrics[metric].scale : find(row, over, metric)?.median;
    const value = own === undefined || other === undefined ? undefined : own / other;
    if (value === undefined) return { text, sense, limit, value, reached: undefined };
    const reached = sense === "at least" ? value >= limit : value <= limit;
    return { text, sense, limit, value, reached };
  });
}
