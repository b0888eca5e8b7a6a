import type { Figures } from "./metrics.ts";

/** What came of a row and a target; a target that cannot do what the row asks has none. */
export type Cell =
  | { readonly status: "measured"; readonly rounds: readonly Figures[] }
  /** It ran, but gave a wrong answer or none, which has no speed. */
  | { readonly status: "failed"; readonly reason: string }
  /** It could not be installed or started here. */
  | { readonly status: "missing"; readonly reason: string };

/** The cells by row and target. */
export interface Results {
  get(row: string, target: string): Cell | undefined;
  add(row: string, target: string, figures: Figures): void;
  /** Whatever was measured before does not count. */
  fail(row: string, target: string, status: "failed" | "missing", reason: string): void;
}

/** No cells yet. */
export function createResults(): Results {
  const cells = new Map<string, Cell>();
  const key = (row: string, target: string) => `${row}\n${target}`;
  return {
    get: (row, target) => cells.get(key(row, target)),
    add(row, target, figures) {
      const cell = cells.get(key(row, target)) ?? { status: "measured", rounds: [] };
      if (cell.status !== "measured") return;
      cells.set(key(row, target), { status: "measured", rounds: [...cell.rounds, figures] });
    },
    fail(row, target, status, reason) {
      cells.set(key(row, target), { status, reason: reason.replace(/\s+/g, " ").slice(0, 300) });
    },
  };
}
