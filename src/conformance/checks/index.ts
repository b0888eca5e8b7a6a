import type { Check } from "../trial.ts";
import { failureChecks } from "./failures.ts";
import { fileChecks } from "./files.ts";
import { idChecks } from "./ids.ts";
import { jobChecks } from "./jobs.ts";
import { listChecks } from "./lists.ts";
import { shapeChecks } from "./shape.ts";

/** All that a provider must pass; none knows of a test runner. */
export const checks: readonly Check[] = [
  ...shapeChecks,
  ...fileChecks,
  ...jobChecks,
  ...listChecks,
  ...idChecks,
  ...failureChecks,
];
