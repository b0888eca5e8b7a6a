import * as v from "valibot";
import type { Context } from "../../providers/vertex_ai/context.ts";
import { makeErrorReader, tuningAdvice } from "../../providers/vertex_ai/google-errors.ts";
import { createJobs, type JobOperations } from "../../providers/vertex_ai/jobs.ts";
import { options } from "../../providers/vertex_ai/options.ts";
import { createResults, type ResultFiles } from "../../providers/vertex_ai/results.ts";
import { connectUpstream } from "../../src/upstream/client.ts";
import type { FakeVertex } from "../fakes/google/vertex.ts";

/** What the provider does with jobs, without its files and its exchange of credentials. */
export interface VertexAccount extends JobOperations {
  readonly results: ResultFiles;
  readonly logLines: readonly string[];
}

/** The account `main` of a fake; `more` are options of the provider. */
export function connectAccount(
  fake: FakeVertex,
  more: Readonly<Record<string, unknown>> = {},
  { timeout = 5, token = "fake-access-token" }: { timeout?: number; token?: string } = {},
): VertexAccount {
  const logLines: string[] = [];
  const authorization = { authorization: `Bearer ${token}` };
  const context: Context = {
    settings: v.parse(options, {
      vertex_project: fake.project,
      vertex_location: fake.location,
      api_base: fake.url,
      ...more,
    }),
    runtime: {
      name: "main",
      directory: "/nonexistent/tunegate",
      serves: { files: false, jobs: true },
      command: [],
      secrets: [],
      log: (level, message, fields) => {
        logLines.push(`${level} ${message} ${JSON.stringify(fields)}`);
      },
    },
    credentials: { authorize: async () => authorization },
    tuning: connectUpstream({
      backend: "main",
      baseUrl: `${fake.url}/v1`,
      headers: authorization,
      timeout,
      readError: makeErrorReader(tuningAdvice),
    }),
    storage: undefined,
  };
  return { ...createJobs(context), results: createResults(context), logLines };
}
