import { describe, expect, test } from "bun:test";
import { estimateJob } from "../../src/cost/estimate.ts";
import type { DatasetReport } from "../../src/dataset/report.ts";
import type { JobRequest } from "../../src/provider.ts";
import { main, makeCountingReport, makePricing, makeReport, published } from "./support.ts";

function estimate(
  request: Partial<JobRequest> = {},
  report: DatasetReport | undefined = makeReport(),
  backend = main,
) {
  const whole: JobRequest = { model: "big-1", training_file: "file-1", ...request };
  return estimateJob(whole, report, makePricing(), backend);
}

describe("estimateJob()", () => {
  test("multiplies the tokens of each example up to the limit by epochs and price", () => {
    expect(estimate({ hyperparameters: { n_epochs: 4 } })).toEqual({
      hyperparameters: { n_epochs: 4, batch_size: "auto", learning_rate_multiplier: "auto" },
      billable_tokens: 36_000,
      estimated_cost: { usd: 0.9, tokens: 36_000, usd_per_million_tokens: 25, ...published },
      reason: null,
      assumptions: [],
    });
  });

  test.each([
    [10, 10],
    [33, 3],
    [100, 3],
    [20_000, 1],
    [1, 25],
  ])('takes "auto" epochs for %d examples as %d, and says so', (examples, epochs) => {
    const { hyperparameters, billable_tokens, assumptions } = estimate(
      { hyperparameters: { n_epochs: "auto" } },
      makeReport({}, { examples }),
    );
    expect(hyperparameters.n_epochs).toBe(epochs);
    expect(billable_tokens).toBe(9000 * epochs);
    expect(assumptions).toEqual([
      `"n_epochs" is taken as ${epochs}, the choice of OpenAI's cookbook for ${examples} examples; the service may choose otherwise`,
    ]);
  });

  test("lets the hyperparameters in method count before those beside it", () => {
    const { hyperparameters, billable_tokens } = estimate({
      hyperparameters: { n_epochs: 9, batch_size: 8 },
      method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2 } } },
    });
    expect(hyperparameters).toEqual({
      n_epochs: 2,
      batch_size: 8,
      learning_rate_multiplier: "auto",
    });
    expect(billable_tokens).toBe(18_000);
  });

  test("leaves the epochs auto where the examples are not known", () => {
    for (const report of [undefined, makeReport({}, { examples: 0 })]) {
      const whole: JobRequest = { model: "big-1", training_file: "file-1" };
      const { hyperparameters, estimated_cost, reason, assumptions } = estimateJob(
        whole,
        report,
        makePricing(),
        main,
      );
      expect(hyperparameters.n_epochs).toBe("auto");
      expect(estimated_cost).toBeNull();
      expect(reason).toBeString();
      expect(assumptions).toEqual([]);
    }
  });

  test.each([["three"], [{}], [true]])("makes no figure of n_epochs %j", (n_epochs) => {
    const { hyperparameters, billable_tokens, reason } = estimate({
      hyperparameters: { n_epochs },
    });
    expect(hyperparameters.n_epochs).toEqual(n_epochs);
    expect(billable_tokens).toBeNull();
    expect(reason).toBe('The number of epochs is not known; set "n_epochs"');
  });

  test.each([[0], [-3], [1.5], [Number.NaN]])("makes no figure of %d epochs", (n_epochs) => {
    expect(estimate({ hyperparameters: { n_epochs } }).estimated_cost).toBeNull();
  });

  test("takes methods and hyperparameters of any form without failing", () => {
    for (const method of [
      { type: "supervised", supervised: null },
      { type: "supervised", supervised: [1] },
      { type: "supervised", supervised: { hyperparameters: "many" } },
      { type: "__proto__" },
    ]) {
      expect(estimate({ method }).billable_tokens).toBe(27_000);
    }
  });

  test("gives the tokens but no cost where no price is known", () => {
    const { billable_tokens, estimated_cost, reason } = estimate({ model: "big-9" });
    expect(billable_tokens).toBe(27_000);
    expect(estimated_cost).toBeNull();
    expect(reason).toBe(
      'No price of training "big-9" is known; set one under "prices" in the configuration',
    );
  });

  test.each([
    ["no report", undefined, 'The tokens of the file "file-1" are not known to the gateway'],
    ["no tokens", makeReport(null), 'The tokens of the file "file-1" are not known to the gateway'],
    ["a count under way", makeCountingReport(), "The tokens of the file are still being counted"],
    [
      "a count that failed",
      makeReport({ status: "failed" }),
      "The tokens of the file could not be counted",
    ],
  ])("makes no figure of %s", (_name, report, reason) => {
    const request: JobRequest = { model: "big-1", training_file: "file-1" };
    expect(estimateJob(request, report, makePricing(), main)).toMatchObject({
      billable_tokens: null,
      estimated_cost: null,
      reason,
      assumptions: [],
    });
  });

  test("shows no more than the start of a name that is very long", () => {
    const { reason } = estimate({ model: "m".repeat(1_000_000) });
    expect(reason).toStartWith('No price of training "mmm');
    expect(reason?.length).toBeLessThan(400);
  });

  test("makes no figure of a report that says done and has none", () => {
    const tokens = {
      status: "done",
      tokenizer: "o200k_base",
      estimated: false,
      limit: 1000,
    } as const;
    const { estimated_cost, reason } = estimate({}, { ...makeReport(), tokens });
    expect(estimated_cost).toBeNull();
    expect(reason).toBe("The tokens of the file could not be counted");
  });
});

describe("estimateJob() says what it takes for granted of", () => {
  const fixed = { hyperparameters: { n_epochs: 1 } };

  test("a limit that is not the model's, where the report does not settle it", () => {
    const none = { limit: null, billable: 10_000 };
    const unknown = estimate(fixed, makeReport(none));
    expect(unknown.billable_tokens).toBe(10_000);
    expect(unknown.assumptions).toEqual([
      "Examples of more than 1000 tokens, the model's limit, are counted whole",
    ]);
    const many = Array.from({ length: 10 }, (_, line) => ({ line, tokens: 1100 }));
    expect(estimate(fixed, makeReport({ ...none, longest: many })).assumptions).toHaveLength(1);
  });

  test("nothing where the report settles it: no example is too long, or all of them are listed", () => {
    const listed = { limit: null, billable: 10_000, over_limit: 0 };
    const lines = [1500, 1001, 1000, 7].map((tokens, line) => ({ line, tokens }));
    const cut = estimate(fixed, makeReport({ ...listed, longest: lines }));
    expect(cut).toMatchObject({ billable_tokens: 9499, assumptions: [] });
    const short = estimate(fixed, makeReport({ ...listed, max: 1000 }));
    expect(short).toMatchObject({ billable_tokens: 10_000, assumptions: [] });
    const narrower = { limit: 500, billable: 7000, max: 900, over_limit: 9 };
    expect(estimate(fixed, makeReport(narrower))).toMatchObject({
      billable_tokens: 10_000,
      assumptions: [],
    });
  });

  test("how pairs of answers are billed", () => {
    const pairs =
      "The prompt of a pair of answers counts with each of them, as Google's price list says";
    for (const format of ["preference", "gemini_preference"] as const) {
      expect(estimate(fixed, makeReport({}, { format }))).toMatchObject({
        billable_tokens: 9000,
        assumptions: [pairs],
      });
    }
    const lines = [{ line: 1, tokens: 1500 }];
    const none = makeReport({ limit: null, longest: lines }, { format: "preference" });
    expect(estimate(fixed, none)).toMatchObject({
      billable_tokens: 9000,
      assumptions: [
        "Examples of more than 1000 tokens, the model's limit, are counted whole",
        pairs,
      ],
    });
    const other = makeReport({ limit: 500, over_limit: 3 }, { format: "preference" });
    expect(estimate(fixed, other)).toMatchObject({
      billable_tokens: 9000,
      assumptions: ["Examples are counted up to 500 tokens, which is not the model's limit", pairs],
    });
  });

  test("a model without a known limit or tokenizer", () => {
    const report = makeReport({ over_limit: 2 });
    const { billable_tokens, assumptions } = estimate({ ...fixed, model: "new-1" }, report);
    expect(billable_tokens).toBe(10_000);
    expect(assumptions).toEqual([
      "Tokens are counted with o200k_base; the model may count otherwise",
    ]);
  });

  test("another tokenizer", () => {
    expect(estimate({ ...fixed, model: "old-1" }).assumptions).toEqual([
      "Tokens are counted with o200k_base; the model counts with cl100k_base",
    ]);
  });

  test("a provider without rules", () => {
    const { billable_tokens, assumptions } = estimate(fixed, makeReport(), {
      name: "main",
      provider: "bare",
    });
    expect(billable_tokens).toBe(10_000);
    expect(assumptions).toEqual([
      "Tokens are counted with o200k_base; the model may count otherwise",
    ]);
  });

  test("images", () => {
    expect(estimate(fixed, makeReport({}, { images: 3 })).assumptions).toEqual([
      "The tokens of images are not counted",
    ]);
  });
});
