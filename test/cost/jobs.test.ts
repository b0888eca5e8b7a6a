import { afterEach, describe, expect, test } from "bun:test";
import type { JobFields } from "../../src/provider.ts";
import { createMemoryState } from "../fakes/memory.ts";
import type { TestGateway } from "../support/gateway.ts";
import { type CostSetup, postJob, startCostGateway } from "./gateway.ts";
import { makeReport, published } from "./support.ts";

let gateway: TestGateway;
afterEach(() => gateway.stop());

function makeJob(id: string, fields: Partial<JobFields> = {}): JobFields {
  const usual = { created_at: 1, model: "big-1", training_file: "file-1" };
  return { id, status: "succeeded", trained_tokens: 49_200, ...usual, ...fields };
}

const cost = { usd: 1.23, tokens: 49_200, usd_per_million_tokens: 25, ...published };

describe("a job object", () => {
  test("carries what a finished job has cost, alone and in lists", async () => {
    const state = createMemoryState({
      jobs: [
        makeJob("ftjob-done"),
        makeJob("ftjob-running", { status: "running", trained_tokens: null }),
        makeJob("ftjob-unpriced", { model: "unheard-of" }),
      ],
    });
    gateway = await startCostGateway({ state });
    const { jobs } = gateway.client.fineTuning;
    expect(await jobs.retrieve("ftjob-done")).toMatchObject({
      object: "fine_tuning.job",
      trained_tokens: 49_200,
      tunegate: { cost },
    });
    expect(await jobs.retrieve("ftjob-running")).not.toHaveProperty("tunegate");
    expect(await jobs.retrieve("ftjob-unpriced")).not.toHaveProperty("tunegate");
    const { data } = await jobs.list();
    const costs = Object.fromEntries(
      data.map((job) => [job.id, "tunegate" in job ? job.tunegate : null]),
    );
    expect(costs).toEqual({
      "ftjob-done": { cost },
      "ftjob-running": null,
      "ftjob-unpriced": null,
    });
  });

  test("has the operator's price, also of what was cancelled", async () => {
    const state = createMemoryState({ jobs: [makeJob("ftjob-1")] });
    const config = "prices: [{ model: big-1, backend: main, usd_per_million_tokens: 10 }]";
    gateway = await startCostGateway({ state, config });
    expect(await gateway.client.fineTuning.jobs.cancel("ftjob-1")).toMatchObject({
      status: "cancelled",
      tunegate: {
        cost: { usd: 0.492, usd_per_million_tokens: 10, source: "configuration", date: null },
      },
    });
  });
});

describe("max_job_cost_usd", () => {
  const reports = { "file-1": makeReport() };
  const request = {
    model: "big-1",
    training_file: "file-1",
    hyperparameters: { n_epochs: 4 },
  };
  const start = async (limit: string, more: Partial<CostSetup> = {}) => {
    const state = createMemoryState();
    const config = `general_settings: { max_job_cost_usd: ${limit} }`;
    gateway = await startCostGateway({ state, config, reports, ...more });
    return state;
  };

  test("refuses a job that is estimated above it, before anything is sent", async () => {
    const state = await start("0.5");
    const response = await postJob(gateway, request);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: {
        message:
          "Cannot create the job: it is estimated at $0.9 (36000 tokens at $25 per million), more than the $0.5 that a job may cost here",
        type: "invalid_request_error",
        param: "training_file",
        code: "cost_limit_exceeded",
      },
    });
    expect(state.calls).not.toContain("createJob");
    expect(state.requests).toEqual([]);
  });

  test("lets a job pass that is estimated at it, without a warning", async () => {
    const state = await start("0.9");
    const response = await postJob(gateway, request);
    expect(response.status).toBe(200);
    expect(response.headers.get("warning")).toBeNull();
    expect(state.requests).toHaveLength(1);
  });

  test.each([
    ["a model without a price", { ...request, model: "unbezahlbar-€" }],
    ["a file that was not checked here", { ...request, training_file: "file-2" }],
  ])("lets %s pass, and says so in the answer and in the log", async (_name, job) => {
    const state = await start("0.01");
    const response = await postJob(gateway, job);
    expect(response.status).toBe(200);
    expect(response.headers.get("warning")).toBe(
      '199 tunegate "max_job_cost_usd was not checked: the cost of the job is not known"',
    );
    expect(state.requests).toEqual([job]);
    expect(gateway.logLines.join("\n")).toContain("A job was created without a check of its cost");
  });

  test("holds for one request of several at once as for one alone", async () => {
    const state = await start("0.5");
    const answers = await Promise.all(Array.from({ length: 20 }, () => postJob(gateway, request)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]));
    expect(state.requests).toEqual([]);
  });
});
