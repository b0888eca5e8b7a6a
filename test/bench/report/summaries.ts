import type { FindSummary } from "../aims.ts";
import type { Results } from "../results.ts";
import { summarize } from "../statistics.ts";

/** Makes a function that sums up the rounds of a figure, and derives what is over direct. */
export function createFinder(results: Results): FindSummary {
  const find: FindSummary = (row, target, metric) => {
    if (metric === "added") {
      const [own, direct] = [find(row, target, "p50"), find(row, "direct", "p50")];
      if (own === undefined || direct === undefined || target === "direct") return undefined;
      const over = (value: number) => value - direct.median;
      return { median: over(own.median), least: over(own.least), most: over(own.most) };
    }
    const cell = results.get(row, target);
    if (cell?.status !== "measured") return undefined;
    const values = cell.rounds.flatMap((figures) => figures[metric] ?? []);
    return values.length === 0 ? undefined : summarize(values);
  };
  return find;
}
