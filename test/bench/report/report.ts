import { type Aim, type FindSummary, judgeAims } from "../aims.ts";
import type { Machine } from "../machine.ts";
import { type MetricName, metricNames, metrics } from "../metrics.ts";
import type { Results } from "../results.ts";
import type { Row } from "../rows/row.ts";
import type { Summary } from "../statistics.ts";
import { createFinder } from "./summaries.ts";

/** All that a report tells. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly system: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly layout: string;
  readonly rounds: number;
  /** The names of the columns, in their order. */
  readonly targets: readonly string[];
  readonly lines: readonly Line[];
  readonly aims: readonly Aim[];
}

/** One figure of one row. */
export interface Line {
  readonly row: string;
  readonly title: string;
  readonly metric: MetricName;
  /** Whether the short table has it. */
  readonly headline: boolean;
  /** By target. */
  readonly cells: Readonly<Record<string, LineCell>>;
}

/** A figure in the metric's own unit, with what it is to that of others, or why there is none. */
export type LineCell =
  | (Summary & { readonly toDirect: number | undefined; readonly toNginx: number | undefined })
  | { readonly status: "failed" | "missing"; readonly reason: string };

/** Makes the report's lines and aims. */
export function makeLines(
  rows: readonly Row[],
  targets: readonly string[],
  results: Results,
): Pick<Report, "lines" | "aims"> {
  const find = createFinder(results);
  const lines = rows.flatMap((row) => {
    const names = metricNames.filter((metric) =>
      targets.some((target) => find(row.id, target, metric) !== undefined),
    );
    // A row that nobody could do has no figures, but reasons.
    return (names.length > 0 ? names : row.headline.slice(0, 1)).map((metric) =>
      makeLine(row, metric, targets, results, find),
    );
  });
  return {
    lines: lines.filter(({ cells }) => Object.keys(cells).length > 0),
    aims: judgeAims(
      rows.map(({ id }) => id),
      find,
    ),
  };
}

function makeLine(
  row: Row,
  metric: MetricName,
  targets: readonly string[],
  results: Results,
  find: FindSummary,
): Line {
  const cells: Record<string, LineCell> = {};
  for (const target of targets) {
    const cell = results.get(row.id, target);
    const summary = find(row.id, target, metric);
    if (cell !== undefined && cell.status !== "measured") cells[target] = cell;
    else if (summary !== undefined) {
      const ratio = (other: string) => {
        if (!metrics[metric].compared) return undefined;
        const base = find(row.id, other, metric)?.median;
        return base === undefined || base <= 0 ? undefined : summary.median / base;
      };
      cells[target] = { ...summary, toDirect: ratio("direct"), toNginx: ratio("nginx") };
    }
  }
  const headline = row.headline.includes(metric);
  return { row: row.id, title: row.title, metric, headline, cells };
}

/** A figure as it is shown: three digits, with how far the rounds were from the median. */
export function formatSummary(summary: Summary, metric: MetricName): string {
  const { median, least, most } = summary;
  const text = formatNumber(median * metrics[metric].scale);
  const off = median === 0 ? 0 : Math.max(most - median, median - least) / Math.abs(median);
  return off < 0.005 ? text : `${text} ±${Math.round(off * 100)} %`;
}

/** A number with three digits that count, or all those before the point. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value === 0 ? "0" : value.toPrecision(3);
}
