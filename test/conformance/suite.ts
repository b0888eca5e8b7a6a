import { describe, test } from "bun:test";
import type { Candidate } from "../../src/conformance/candidate.ts";
import { checks } from "../../src/conformance/checks/index.ts";
import { concerns, runCheck } from "../../src/conformance/trial.ts";

/** A test for each check that concerns the candidate, save for those that `without` names. */
export function describeProvider(
  name: string,
  candidate: Candidate,
  without: readonly string[] = [],
): void {
  describe(name, () => {
    for (const check of checks) {
      if (!concerns(check, candidate) || without.includes(check.name)) continue;
      test(check.name, () => runCheck(check, candidate), 30_000);
    }
  });
}
