import assert from "node:assert/strict";
import { callsOf, methodsWithId } from "../calls.ts";
import { type Check, catchFailure, never } from "../trial.ts";
import { checkAbsent } from "./files.ts";

const strangeIds: Readonly<Record<string, string>> = {
  "of a file": "file-none",
  "of a job": "ftjob-none",
  "that is a number": "0",
  "that is a path": "../../files/x",
  "that is encoded": "%2e%2e%2f",
  "that is the list above it": "..",
  "that is empty": "",
  "with a query": "x?limit=1",
  "beyond ASCII": "ftjob-é🎉",
  "with a NUL": "file-\u0000",
  "with half a character": "file-\ud800",
  "that is long": `ftjob-${"1".repeat(5000)}`,
};

/** Ids that no service has. */
export const idChecks: readonly Check[] = Object.entries(strangeIds).map(
  ([what, id]): Check => ({
    name: `an unknown id ${what} is a 404 or a 400, in every method`,
    async run(trial) {
      const ids = { file: id, job: id, upload: id, model: id };
      for (const [method, call] of callsOf(trial)) {
        if (!methodsWithId.some((one) => one === method)) continue;
        try {
          checkAbsent(await catchFailure(async () => call(trial.backend, ids, trial, never)));
        } catch (error) {
          assert.fail(`${method}(): ${error instanceof Error ? error.message : error}`);
        }
      }
    },
  }),
);
