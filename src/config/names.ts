/** A shorter start of a name could mean anything. */
const shortestStart = 4;

/**
 * The candidate that `name` was likely meant to be: one near enough for a slip, or the only one
 * that starts with it.
 */
export function findNearName(name: string, candidates: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  const written = normalizeName(name);
  const allowed = Math.max(1, Math.floor(written.length / 3));
  const nearest = candidates
    .map((candidate) => ({ candidate, edits: countEdits(written, normalizeName(candidate)) }))
    .filter(({ edits }) => edits <= allowed)
    .sort((a, b) => a.edits - b.edits)[0]?.candidate;
  if (nearest !== undefined || written.length < shortestStart) return nearest;
  const [longer, ...others] = candidates.filter((candidate) =>
    normalizeName(candidate).startsWith(written),
  );
  return others.length === 0 ? longer : undefined;
}

/** Says what a name may be: the one it was likely meant to be, else all of them. */
export function suggestName(name: string, candidates: readonly string[]): string {
  const near = findNearName(name, candidates);
  return near === undefined ? `use ${listChoices(candidates)}` : `did you mean "${near}"?`;
}

/** Spells candidates as `"a", "b" or "c"`. */
export function listChoices(candidates: readonly string[]): string {
  return joinWords(candidates.map((candidate) => `"${candidate}"`));
}

/** Joins words as `a, b or c`. */
export function joinWords(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function normalizeName(name: string): string {
  return name.toLowerCase().replaceAll("-", "_");
}

/** The edits between two texts: insertions, deletions, changes, swaps of two neighbours. */
function countEdits(from: string, to: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
