import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { FakeSeries } from "../fakes/google/tensorboard.ts";
import { type FakeVertex, startFakeVertex } from "../fakes/google/vertex.ts";
import { connectAccount, type VertexAccount } from "./vertex-account.ts";

const { signal } = new AbortController();
const query = { limit: 20 };
const base = Date.UTC(2026, 10, 1, 10) / 1000;
const endpoints = "projects/123456789012/locations/us-central1/endpoints";
let fake: FakeVertex;
let account: VertexAccount;

beforeEach(async () => {
  fake = await startFakeVertex();
  account = connectAccount(fake);
});
afterEach(() => fake.stop());

const minute = (after: number) => new Date((base + after * 60) * 1000).toISOString();

function curve(displayName: string, values: Readonly<Record<number, number | string>>): FakeSeries {
  const points = Object.entries(values).map(([step, value]) => ({
    step: Number(step),
    wallTime: minute(5 + Number(step)),
    value,
  }));
  return { displayName, values: points };
}

const curves = [
  curve("/train_total_loss", { 10: 0.5, 20: 0.25 }),
  curve("/train_fraction_of_correct_next_step_preds", { 10: 0.75, 20: 0.875 }),
  curve("/eval_total_loss", { 20: 0.3 }),
  curve("/eval_fraction_of_correct_next_step_preds", { 20: 0.8 }),
  curve("/train_num_predictions", { 10: 640 }),
  { ...curve("/images", { 10: 1 }), valueType: "BLOB_SEQUENCE" },
];

const checkpoints = [
  { checkpointId: "1", epoch: "1", step: "10", endpoint: `${endpoints}/11` },
  { checkpointId: "2", epoch: "2", step: "20", endpoint: `${endpoints}/10` },
];

const ended = {
  state: "JOB_STATE_SUCCEEDED",
  createTime: minute(0),
  startTime: minute(3),
  endTime: minute(40),
  tunedModel: {
    model: "projects/1/locations/l/models/5@1",
    endpoint: `${endpoints}/10`,
    checkpoints,
  },
  tuningDataStats: {
    supervisedTuningDataStats: {
      tuningDatasetExampleCount: "100",
      totalBillableTokenCount: "40000",
      tuningStepCount: "20",
    },
  },
};

function addJob(fields: object = {}, series: readonly FakeSeries[] | null = curves) {
  const job = fake.addJob({ ...ended, ...fields });
  if (series !== null) fake.addCurves(job, series);
  return { job, id: `ftjob-${job.number}`, tail: job.number };
}

async function listEvents(id: string, from: VertexAccount = account) {
  return await Array.fromAsync(from.listJobEvents(id, query, signal));
}

async function listCheckpoints(id: string) {
  return await Array.fromAsync(account.listJobCheckpoints(id, query, signal));
}

function countReads(): number {
  return fake.requests.filter(({ path }) => !/tuningJobs/.test(path)).length;
}

describe("listJobEvents()", () => {
  test("tells the whole life of a job, newest first", async () => {
    const { id } = addJob();
    const events = await listEvents(id);
    const minuteOf = (at: number) => (at - base) / 60;
    expect(
      events.map(({ created_at, level, message }) => [minuteOf(created_at), level, message]),
    ).toEqual([
      [40, "info", "The job has successfully completed"],
      [40, "info", `New fine-tuned model created: ${endpoints}/10`],
      [25, "info", "Checkpoint created at step 20"],
      [
        25,
        "info",
        "Step 20: training loss=0.25, training accuracy=0.875, validation loss=0.3, validation accuracy=0.8",
      ],
      [15, "info", "Checkpoint created at step 10"],
      [15, "info", "Step 10: training loss=0.5, training accuracy=0.75"],
      [3, "info", "Training data: 100 examples, 40000 billable tokens, 20 steps"],
      [3, "info", "Fine-tuning job started"],
      [0, "info", `Created fine-tuning job: ${id}`],
    ]);
    expect(events[3]).toMatchObject({
      type: "metrics",
      data: {
        step: 20,
        train_loss: 0.25,
        train_mean_token_accuracy: 0.875,
        valid_loss: 0.3,
        valid_mean_token_accuracy: 0.8,
      },
    });
    // Google's own name stays where OpenAI has none; what is no scalar is no metric.
    expect(events[5]?.data).toEqual({
      step: 10,
      train_loss: 0.5,
      train_mean_token_accuracy: 0.75,
      train_num_predictions: 640,
    });
  });

  test("gives an event the same id in every answer, and each another", async () => {
    const { id, tail } = addJob();
    const ids = (await listEvents(id)).map((event) => event.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual((await listEvents(id, connectAccount(fake))).map((event) => event.id));
    expect(ids).toContain(`ftevent-${tail}-step-10`);
    for (const one of ids) expect(one).toMatch(/^[A-Za-z0-9_-]+$/);
    const other = addJob();
    for (const { id: theirs } of await listEvents(other.id)) expect(ids).not.toContain(theirs);
  });

  test("keeps the ids while the job goes on", async () => {
    const { job, id } = addJob({ state: "JOB_STATE_RUNNING", endTime: undefined });
    const before = (await listEvents(id)).map((event) => [event.id, event.created_at]);
    Object.assign(job, { state: "JOB_STATE_SUCCEEDED", endTime: minute(40) });
    const after = (await listEvents(id)).map((event) => [event.id, event.created_at]);
    expect(after.slice(2)).toEqual(before);
    expect(after.length).toBe(before.length + 2);
  });

  test("says of a job that waits only that it was created, and asks for no metrics", async () => {
    const { number } = fake.addJob();
    const events = await listEvents(`ftjob-${number}`);
    expect(events.map(({ message }) => message)).toEqual([
      `Created fine-tuning job: ftjob-${number}`,
    ]);
    expect(countReads()).toBe(0);
  });

  test.each([
    ["JOB_STATE_FAILED", ["error The job has failed: Bad row"]],
    ["JOB_STATE_EXPIRED", ["error The job has failed: Bad row"]],
    ["JOB_STATE_CANCELLED", ["info The job has been cancelled"]],
    [
      "JOB_STATE_PARTIALLY_SUCCEEDED",
      [
        "info The job has successfully completed",
        "warn Vertex AI says that the job has succeeded only in part",
        `info New fine-tuned model created: ${endpoints}/10`,
      ],
    ],
    ["JOB_STATE_CANCELLING", []],
    ["JOB_STATE_DREAMING", []],
  ])("ends the events of a job in %s as it ended", async (state, expected) => {
    const error = { code: 3, message: "Bad row" };
    const { id } = addJob({ state, error, tuningDataStats: undefined }, []);
    const events = await listEvents(id);
    const ends = events.filter(({ created_at }) => created_at > base + 30 * 60);
    const said = ends.filter(({ id: one }) => !one.includes("-checkpoint-"));
    expect(said.map(({ level, message }) => `${level} ${message}`)).toEqual(expected);
    if (events[0]?.level === "error") {
      expect(events[0].data).toMatchObject({ error: { code: "invalid_argument" } });
    }
  });

  test("warns of examples that Google left out", async () => {
    const { id, tail } = addJob({
      tuningDataStats: {
        supervisedTuningDataStats: {
          totalTruncatedExampleCount: "12",
          truncatedExampleIndices: ["17", "3"],
          droppedExampleReasons: ["too many tokens"],
        },
      },
    });
    const events = await listEvents(id);
    expect(events.find((event) => event.id === `ftevent-${tail}-dropped-examples`)).toMatchObject({
      level: "warn",
      message: "12 examples were left out of the training; example 17: too many tokens; example 3",
      data: {
        dropped_example_count: 12,
        example_indices: [17, 3],
        reasons: ["too many tokens"],
      },
    });
  });

  test("warns of dropped preferences, which Google names otherwise", async () => {
    const { id } = addJob({
      supervisedTuningSpec: undefined,
      preferenceOptimizationSpec: { trainingDatasetUri: "gs://bucket/pairs.jsonl" },
      tuningDataStats: {
        preferenceOptimizationDataStats: {
          droppedExampleIndices: ["5"],
          droppedExampleReasons: ["empty"],
        },
      },
    });
    const warnings = (await listEvents(id)).filter(({ level }) => level === "warn");
    expect(warnings.map(({ message }) => message)).toEqual([
      "1 example was left out of the training; example 5: empty",
    ]);
  });

  test("reads the loss of preference tuning, zeros, and figures that are no numbers", async () => {
    const { id } = addJob({}, [
      curve("/preference_optimization_train_loss", { 0: 0, 1: "NaN", 2: "Infinity", 3: 1e-9 }),
    ]);
    const rows = (await listEvents(id)).filter(({ type }) => type === "metrics").reverse();
    expect(rows.map(({ message }) => message)).toEqual([
      "Step 0: training loss=0",
      "Step 1: training loss=NaN",
      "Step 2: training loss=Infinity",
      "Step 3: training loss=0",
    ]);
    expect(JSON.parse(JSON.stringify(rows.map(({ data }) => data)))).toEqual([
      { step: 0, train_loss: 0 },
      { step: 1, train_loss: null },
      { step: 2, train_loss: null },
      { step: 3, train_loss: 1e-9 },
    ]);
  });

  test("takes the later point of a step that was trained twice", async () => {
    const values = [
      { step: 5, wallTime: minute(9), value: 0.1 },
      { step: 5, wallTime: minute(8), value: 0.9 },
      { step: 6, value: 0.2 },
    ];
    const { id, tail } = addJob({}, [{ displayName: "/train_total_loss", values }]);
    const events = new Map((await listEvents(id)).map((event) => [event.id, event]));
    expect(events.get(`ftevent-${tail}-step-5`)).toMatchObject({
      created_at: base + 8 * 60,
      data: { train_loss: 0.1 },
    });
    expect(events.get(`ftevent-${tail}-step-6`)?.created_at).toBe(base + 3 * 60);
  });

  test("reads long curves whole", async () => {
    const values = Array.from({ length: 3000 }, (_, step) => ({
      step,
      wallTime: minute(5),
      value: step,
    }));
    const { id, tail } = addJob({}, [{ displayName: "/train_total_loss", values }]);
    const steps = (await listEvents(id)).filter(({ type }) => type === "metrics");
    expect(steps.map((event) => event.id)).toEqual(
      values.map(({ step }) => `ftevent-${tail}-step-${step}`).reverse(),
    );
  });

  test("answers 404 for a job that is not there", async () => {
    await expect(listEvents("ftjob-1")).rejects.toMatchObject({ status: 404 });
    await expect(listCheckpoints("ftjob-1")).rejects.toMatchObject({ status: 404 });
  });
});

describe("the metrics", () => {
  test("of a job that is over are read once", async () => {
    const { id } = addJob();
    const events = await listEvents(id);
    const reads = countReads();
    expect(await listEvents(id)).toEqual(events);
    await listCheckpoints(id);
    expect(countReads()).toBe(reads);
  });

  test("of old jobs give way to those of others", async () => {
    const values = Array.from({ length: 100_001 }, (_, step) => ({ step, value: 0.5 }));
    const [first, second] = [1, 2].map(() =>
      addJob({}, [{ displayName: "/train_total_loss", values }]),
    );
    const countReadsOf = async (id = "") => {
      const before = countReads();
      await listEvents(id);
      return countReads() - before;
    };
    expect(await countReadsOf(first?.id)).toBeGreaterThan(0);
    expect(await countReadsOf(first?.id)).toBe(0);
    expect(await countReadsOf(second?.id)).toBeGreaterThan(0);
    expect(await countReadsOf(second?.id)).toBe(0);
    expect(await countReadsOf(first?.id)).toBeGreaterThan(0);
  });

  test.each([
    ["runs", { state: "JOB_STATE_RUNNING" }],
    ["has only just ended", { endTime: new Date().toISOString() }],
  ])("of a job that %s are read again", async (_, fields) => {
    const { id } = addJob(fields);
    await listEvents(id);
    const reads = countReads();
    await listEvents(id);
    expect(countReads()).toBe(2 * reads);
  });

  const faults = [
    ["the experiment", /\/contexts\/tuning-experiment-\d+$/],
    ["its runs", /\/contexts$/],
    ["the series", /\/timeSeries$/],
    ["the points", /:read$/],
  ] as const;

  test.each(faults)(
    "that cannot be read for %s are missed once, with a warning",
    async (_, path) => {
      const { id, tail } = addJob();
      for (const [status, message] of [
        [403, "roles/aiplatform.user"],
        [500, "failed with status 500"],
      ] as const) {
        const error = { code: status, message: "said", status: "PERMISSION_DENIED" };
        fake.inject({ path, answer: { status, body: JSON.stringify({ error }) } });
        const events = await listEvents(id);
        const warnings = events.filter(({ level }) => level === "warn");
        expect(warnings).toMatchObject([
          { id: `ftevent-${tail}-metrics-unavailable`, message: expect.stringContaining(message) },
        ]);
        expect(events.some(({ type }) => type === "metrics")).toBeFalse();
        expect(events.length).toBeGreaterThan(6);
        expect(account.logLines.at(-1)).toMatch(/^warn The metrics of a job cannot be read/);
      }
      const events = await listEvents(id);
      expect(events.some(({ level }) => level === "warn")).toBeFalse();
      expect(events.filter(({ type }) => type === "metrics").length).toBe(2);
    },
  );

  test.each([
    ['{"timeSeriesData":{"values":[{"step":"x"}]}}', /:read$/],
    ['{"timeSeriesData":{"values":[{"scalar":{"value":"a"}}]}}', /:read$/],
    ['{"timeSeriesData":[]', /:read$/],
    ['{"tensorboardTimeSeries":[{"name":"../x","displayName":"/a"}]}', /\/timeSeries$/],
    ['{"metadata":{"backing_tensorboard_resource":"https://evil/tensorboards/1"}}', /\d$/],
    ['{"metadata":{"backing_tensorboard_resource":"projects/1/../tensorboards/1"}}', /\d$/],
    ['{"metadata":{"backing_tensorboard_resource":3}}', /\d$/],
  ])("are missed with a warning when the answer is %s", async (body, path) => {
    const { id } = addJob();
    fake.inject({ path: /tuningJobs/ }, { path, answer: { status: 200, body } });
    const events = await listEvents(id);
    expect(events.filter(({ level }) => level === "warn").length).toBe(1);
  });

  test("are missed with a warning when the service is silent", async () => {
    const { id } = addJob();
    fake.inject({ path: /:read$/, hang: true });
    const events = await listEvents(id, connectAccount(fake, {}, { timeout: 0.2 }));
    expect(events.find(({ level }) => level === "warn")?.message).toContain("0.2 seconds");
  });

  test("are missed with a warning after success, and without while there can be none", async () => {
    const missing = addJob({}, null);
    expect((await listEvents(missing.id)).some(({ level }) => level === "warn")).toBeTrue();
    for (const state of ["JOB_STATE_RUNNING", "JOB_STATE_FAILED"]) {
      const { id, job } = addJob({ state }, []);
      job.experiment = `projects/${fake.number}/locations/us-central1/metadataStores/default/contexts/gone`;
      expect((await listEvents(id)).some(({ level }) => level === "warn")).toBeFalse();
    }
  });

  test("end with their client", async () => {
    const { id } = addJob();
    fake.inject({ path: /:read$/, hang: true });
    const controller = new AbortController();
    const reason = new Error("gone");
    setTimeout(() => controller.abort(reason), 50);
    const reading = Array.fromAsync(account.listJobEvents(id, query, controller.signal));
    await expect(reading).rejects.toBe(reason);
  });
});

describe("listJobCheckpoints()", () => {
  test("has the figures of each step, newest first", async () => {
    const { id, tail } = addJob();
    expect(await listCheckpoints(id)).toEqual([
      {
        id: `ftckpt-${tail}-2`,
        created_at: base + 25 * 60,
        fine_tuned_model_checkpoint: `${endpoints}/10`,
        step_number: 20,
        metrics: {
          step: 20,
          train_loss: 0.25,
          train_mean_token_accuracy: 0.875,
          valid_loss: 0.3,
          valid_mean_token_accuracy: 0.8,
        },
        checkpoint_id: "2",
        epoch: 2,
      },
      {
        id: `ftckpt-${tail}-1`,
        created_at: base + 15 * 60,
        fine_tuned_model_checkpoint: `${endpoints}/11`,
        step_number: 10,
        metrics: {
          step: 10,
          train_loss: 0.5,
          train_mean_token_accuracy: 0.75,
          train_num_predictions: 640,
        },
        checkpoint_id: "1",
        epoch: 1,
      },
    ]);
  });

  test("has the end of the job for their time, and the model where none serves them", async () => {
    const model = "projects/1/locations/l/models/5@1";
    const { id } = addJob({ tunedModel: { model, checkpoints: [{ checkpointId: "1" }] } }, []);
    expect(await listCheckpoints(id)).toMatchObject([
      {
        created_at: base + 40 * 60,
        fine_tuned_model_checkpoint: model,
        step_number: 0,
        metrics: { step: 0 },
      },
    ]);
  });

  test("has the steps alone where the figures cannot be read, and leaves a line in the log", async () => {
    const { id } = addJob();
    fake.inject({ path: /:read$/, answer: { status: 403, body: "{}" } });
    const found = await listCheckpoints(id);
    expect(found.map(({ metrics }) => metrics)).toEqual([{ step: 20 }, { step: 10 }]);
    expect(account.logLines.length).toBe(1);
  });

  test("is empty before there is a model", async () => {
    const { number } = fake.addJob();
    expect(await listCheckpoints(`ftjob-${number}`)).toEqual([]);
  });
});

describe("results.csv", () => {
  test("has OpenAI's columns and belongs to the job that names it", async () => {
    const { id, tail } = addJob();
    const { result_files } = await account.getJob(id, signal);
    expect(result_files).toEqual([`file-results-${tail}`]);
    const [file = ""] = result_files ?? [];
    expect(account.results.owns(file)).toBeTrue();
    const { body, headers } = await account.results.readFile(file, undefined, signal);
    const text = await new Response(body).text();
    expect(text).toBe(
      [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy",
        "10,0.5,0.75,,",
        "20,0.25,0.875,0.3,0.8",
        "",
      ].join("\n"),
    );
    expect(headers["content-length"]).toBe(String(text.length));
    expect(await account.results.getFile(file, signal)).toEqual({
      id: file,
      bytes: text.length,
      created_at: base + 40 * 60,
      filename: "results.csv",
      purpose: "fine-tune-results",
      status: "processed",
    });
  });

  test("is not there before the job has succeeded", async () => {
    for (const state of ["JOB_STATE_RUNNING", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"]) {
      const { id, tail } = addJob({ state });
      expect((await account.getJob(id, signal)).result_files).toEqual([]);
      await expect(account.results.getFile(`file-results-${tail}`, signal)).rejects.toMatchObject({
        status: 404,
        message: `No such File object: file-results-${tail}`,
      });
    }
  });

  test.each(["file-results-1", "file-results-", "file-results-x/y", "file-1"])(
    "is a 404 for the id %j",
    async (id) => {
      const reading = account.results.readFile(id, undefined, signal);
      await expect(reading).rejects.toMatchObject({ status: 404, param: "id" });
    },
  );

  test("owns no ids of other files", () => {
    for (const id of ["file-abc", "file-gs-YQ", "gs://b/o", "results-1", ""]) {
      expect(account.results.owns(id)).toBeFalse();
    }
  });

  test("says why it cannot be read", async () => {
    const { tail } = addJob();
    fake.inject({ path: /:read$/, answer: { status: 403, body: "{}" } });
    const reading = account.results.readFile(`file-results-${tail}`, undefined, signal);
    await expect(reading).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining("Cannot read the results"),
    });
  });
});
