import { describe, expect, test } from "bun:test";
import { checkCostLimit, estimateRequest } from "../../src/cost/limit.ts";
import type { DatasetReport } from "../../src/dataset/report.ts";
import type { JobRequest } from "../../src/provider.ts";
import { main, makeCountingReport, makePricing, makeReport } from "./support.ts";

const { signal } = new AbortController();
const request: JobRequest = {
  model: "big-1",
  training_file: "file-1",
  hyperparameters: { n_epochs: 4 },
};

/** What a check works with; `reports` come one after the other, the last one for ever. */
function makeGateway(maxJobCostUsd: number | undefined, ...reports: (DatasetReport | undefined)[]) {
  const asked: string[] = [];
  const gateway = {
    pricing: makePricing(),
    settings: { maxJobCostUsd },
    reports: {
      async find(backend: string, id: string) {
        asked.push(`${backend} ${id}`);
        return reports.length > 1 ? reports.shift() : reports[0];
      },
    },
  };
  return { gateway, asked };
}

describe("checkCostLimit()", () => {
  test("asks for no report where there is no limit", async () => {
    const { gateway, asked } = makeGateway(undefined, makeReport());
    expect(await checkCostLimit(gateway, main, request, signal)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test("lets a job pass that costs as much as it may", async () => {
    const { gateway, asked } = makeGateway(0.9, makeReport());
    expect(await checkCostLimit(gateway, main, request, signal)).toBeUndefined();
    expect(asked).toEqual(["main file-1"]);
  });

  test("refuses a job above the limit, with both figures", async () => {
    const { gateway } = makeGateway(0.89, makeReport());
    await expect(checkCostLimit(gateway, main, request, signal)).rejects.toMatchObject({
      status: 400,
      code: "cost_limit_exceeded",
      param: "training_file",
      message:
        "Cannot create the job: it is estimated at $0.9 (36000 tokens at $25 per million), more than the $0.89 that a job may cost here",
    });
  });

  test("refuses epochs that cannot be read, as their cost could not be limited", async () => {
    for (const n_epochs of ["50", 0, -1, 3.5, 1e17, [3]]) {
      const odd = { ...request, hyperparameters: { n_epochs } };
      const { gateway } = makeGateway(1, makeReport());
      await expect(checkCostLimit(gateway, main, odd, signal)).rejects.toMatchObject({
        status: 400,
        param: "hyperparameters.n_epochs",
      });
    }
  });

  test("says in a refusal what the estimate takes for granted", async () => {
    const { gateway } = makeGateway(0.1, makeReport({}, { images: 1 }));
    await expect(checkCostLimit(gateway, main, request, signal)).rejects.toMatchObject({
      message: expect.stringMatching(/may cost here \(The tokens of images are not counted\)$/),
    });
  });

  test("tells why it could not check a job whose cost is not known", async () => {
    const { gateway } = makeGateway(1, undefined);
    expect(await checkCostLimit(gateway, main, request, signal)).toBe(
      'The tokens of the file "file-1" are not known to the gateway',
    );
  });

  test("waits for tokens that are being counted", async () => {
    const { gateway, asked } = makeGateway(0.1, makeCountingReport(), makeReport());
    await expect(checkCostLimit(gateway, main, request, signal)).rejects.toMatchObject({
      code: "cost_limit_exceeded",
    });
    expect(asked).toHaveLength(2);
  });

  test("refuses a job whose tokens are counted for too long, and lets it be sent again", async () => {
    const { gateway, asked } = makeGateway(1, makeCountingReport());
    await expect(checkCostLimit(gateway, main, request, signal, 0.05)).rejects.toMatchObject({
      status: 400,
      code: "file_not_ready",
      param: "training_file",
      retry: true,
      message:
        'Cannot create the job: the tokens of the file "file-1" are still being counted, and jobs above $1 are refused here; try again',
    });
    expect(asked.length).toBeGreaterThan(1);
  });

  test("does not wait for tokens of a model without a price", async () => {
    const { gateway, asked } = makeGateway(1, makeCountingReport());
    const job = { ...request, model: "unheard-of" };
    expect(await checkCostLimit(gateway, main, job, signal)).toStartWith(
      'No price of training "unheard-of" is known',
    );
    expect(asked).toHaveLength(1);
  });

  test("ends with its client while it waits", async () => {
    const { gateway } = makeGateway(1, makeCountingReport());
    const client = new AbortController();
    const check = checkCostLimit(gateway, main, request, client.signal);
    client.abort(new Error("the client went away"));
    await expect(check).rejects.toThrow("the client went away");
  });

  test("fails where the reports fail, rather than let a job pass", async () => {
    const { gateway } = makeGateway(1);
    const reports = { find: () => Promise.reject(new Error("disk on fire")) };
    const check = checkCostLimit({ ...gateway, reports }, main, request, signal);
    await expect(check).rejects.toThrow("disk on fire");
  });
});

test("estimateRequest() gives no cost, and no error, where tokens are counted for too long", async () => {
  const { gateway } = makeGateway(undefined, makeCountingReport());
  expect(await estimateRequest(gateway, main, request, signal, 0)).toMatchObject({
    estimated_cost: null,
    reason: "The tokens of the file are still being counted",
    report: { tokens: { status: "counting" } },
  });
});
