import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import together from "../../providers/together/index.ts";
import { type FakeTogether, startFakeTogether, tunableModels } from "../fakes/together.ts";
import { connectBackend, makeUpload, type WholeBackend } from "./backends.ts";

const apiKey = "tgp-secret-0123456789";
const start = Date.parse("2026-11-01T12:00:00Z") / 1000;
const model = tunableModels[0] ?? "";
const { signal } = new AbortController();
let fake: FakeTogether;
let backend: WholeBackend;

beforeEach(async () => {
  fake = await startFakeTogether({ apiKey, now: () => start });
  backend = connectBackend(together, { api_key: apiKey, api_base: fake.url });
});
afterEach(() => fake.stop());

/** What a call throws; it must throw. */
async function catchError(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    expect(String(error)).not.toContain("0123456789");
    return error;
  }
  throw new Error("Nothing was thrown");
}

async function createJob() {
  const content = new Blob(['{"text":"a"}\n']);
  const { id: training_file } = await backend.uploadFile(makeUpload(content), signal);
  return await backend.createJob({ model, training_file }, signal);
}

/** Answers the next request with `json`. */
function answerNext(json: unknown, status = 200): void {
  const headers = { "content-type": "application/json" };
  fake.inject({ answer: { status, headers, body: JSON.stringify(json) } });
}

const plainJob = {
  id: "ft-1",
  created_at: "2026-11-01T12:00:00.123Z",
  updated_at: "2026-11-01T13:00:00Z",
  model,
  training_file: "file-1",
};

describe("jobs", () => {
  test.each([
    ["pending", "queued"],
    ["queued", "queued"],
    ["running", "running"],
    ["compressing", "running"],
    ["uploading", "running"],
    ["cancel_requested", "running"],
    ["cancelled", "cancelled"],
    ["error", "failed"],
    ["user_error", "failed"],
    ["completed", "succeeded"],
    ["hibernating", "hibernating"],
    ["", ""],
  ])('have the status "%s" as "%s", and an end only at the end', async (theirs, ours) => {
    answerNext({ ...plainJob, status: theirs, model_output_name: "me/m", token_count: 5 });
    const job = await backend.getJob("ft-1", signal);
    const isOver = ["cancelled", "failed", "succeeded"].includes(ours);
    expect(job).toMatchObject({
      status: ours,
      created_at: start,
      finished_at: isOver ? start + 3600 : null,
      fine_tuned_model: ours === "succeeded" ? "me/m" : null,
      trained_tokens: ours === "succeeded" ? 5 : null,
    });
  });

  test("tell why they failed where their events do", async () => {
    const { id } = await createJob();
    fake.advanceJob(id, "error");
    expect((await backend.getJob(id, signal)).error).toEqual({
      code: "error",
      message: "Out of memory",
      param: null,
    });
    answerNext({ ...plainJob, status: "user_error" });
    expect((await backend.getJob(id, signal)).error).toMatchObject({
      code: "user_error",
      message: 'The job ended as "user_error"; its events tell more',
    });
  });

  test("that have succeeded tell their model, tokens and price", async () => {
    const { id } = await createJob();
    fake.advanceJob(id, "completed");
    expect(await backend.getJob(id, signal)).toMatchObject({
      status: "succeeded",
      fine_tuned_model: expect.stringMatching(/^fake\//),
      finished_at: start + 40,
      trained_tokens: 850_000,
      token_count: 850_000,
      total_price: 4_000_000_000,
    });
  });

  test("go on after cancelJob() until the service has cancelled them", async () => {
    const { id } = await createJob();
    expect((await backend.cancelJob(id, signal)).status).toBe("running");
    await backend.getJob(id, signal);
    expect((await backend.getJob(id, signal)).status).toBe("cancelled");
    const error = await catchError(() => backend.cancelJob(id, signal));
    expect(error).toMatchObject({ status: 400, message: "Cannot cancel a job that is cancelled" });
  });

  test("of one second are listed by their milliseconds", async () => {
    const times = { a: "12:00:00.1Z", b: "12:00:00.3Z", c: "14:00:00.2+02:00" };
    const data = Object.entries(times).map(([id, time]) => {
      return { ...plainJob, id, status: "running", created_at: `2026-11-01T${time}` };
    });
    answerNext({ data });
    const jobs = await Array.fromAsync(backend.listJobs({ limit: 5 }, signal));
    expect(jobs.map(({ id }) => id)).toEqual(["b", "c", "a"]);
    expect(jobs.map(({ created_at }) => created_at)).toEqual([start, start, start]);
  });

  test.each([
    ["an odd time of its last change", { updated_at: "" }],
    ["the year 1 for its last change", { updated_at: "0001-01-01T00:00:00Z" }],
    ["events that are no objects", { events: ["odd"] }],
  ])("are told in spite of %s", async (_what, fields) => {
    answerNext({ ...plainJob, status: "completed", ...fields });
    expect(await backend.getJob("ft-1", signal)).toMatchObject({ status: "succeeded" });
  });

  test.each([
    ["created_at", { created_at: "soon" }],
    ["created_at", { created_at: 1_700_000_000 }],
    ["created_at", { created_at: undefined }],
    ["id", { id: "" }],
    ["status", { status: null }],
    ["token_count", { token_count: "many" }],
  ])("are a 502 that names what is wrong with %s", async (field, fields) => {
    answerNext({ ...plainJob, status: "running", ...fields });
    const error = await catchError(() => backend.getJob("ft-1", signal));
    expect(error).toMatchObject({ status: 502, code: "upstream_invalid_answer" });
    expect(String(error)).toContain(`"${field}"`);
  });
});

describe("events", () => {
  const event = { created_at: "2026-11-01T12:00:00.5Z", type: "warning", message: "Slow" };
  const list = (data: readonly unknown[]) => {
    answerNext({ data });
    return Array.fromAsync(backend.listJobEvents("ft-1", { limit: 9 }, signal));
  };

  test("are listed the newest first, with data and the levels of OpenAI", async () => {
    const levels = [
      null,
      "",
      "Info",
      "Warning",
      "legacy_iwarning",
      "error",
      "legacy_ierror",
      "fatal",
    ];
    const events = await list(
      levels.map((level, at) => ({
        ...event,
        created_at: `2026-11-01T12:00:0${at}`,
        level,
        step: at,
      })),
    );
    expect(events.map(({ level }) => level)).toEqual(
      ["info", "info", "info", "warn", "warn", "error", "error", "fatal"].reverse(),
    );
    expect(events[0]).toMatchObject({
      created_at: start + 7,
      message: "Slow",
      data: { type: "warning", step: 7 },
    });
  });

  test("keep their ids while the list grows and turns, and have as many ids as there are", async () => {
    const later = { ...event, created_at: "2026-11-01T12:01:00Z" };
    const two = await list([event, event]);
    const three = await list([later, event, event]);
    expect(new Set(three.map(({ id }) => id)).size).toBe(3);
    expect(three.slice(1)).toEqual(two);
    expect(two[0]?.id).toMatch(/^ftevent-[0-9a-f]{24}$/);
  });

  test("without a message have their type for one", async () => {
    const [one] = await list([{ ...event, message: "" }]);
    expect(one?.message).toBe("warning");
  });

  test("with a time that is none are a 502", async () => {
    const error = await catchError(() => list([{ ...event, created_at: "" }]));
    expect(error).toMatchObject({ status: 502, code: "upstream_invalid_answer" });
  });
});

test("checkpoints have ids that stay, and names from which a job continues", async () => {
  const one = { created_at: "2026-11-01T12:00:00Z", path: "/p", checkpoint_type: "Intermediate" };
  const data = [
    { ...one, step: 10 },
    { ...one, step: 20, created_at: "2026-11-01T12:00:01Z", object_name: "me/step-20" },
    { ...one, step: 0, created_at: "2026-11-01T12:00:02Z", checkpoint_type: "Final Merged" },
    { ...one, step: 0, created_at: "2026-11-01T12:00:02Z", checkpoint_type: "Final Adapter" },
  ];
  answerNext({ data });
  const query = { limit: 9 };
  const checkpoints = await Array.fromAsync(backend.listJobCheckpoints("ft-1", query, signal));
  expect(checkpoints.map((each) => each.fine_tuned_model_checkpoint)).toEqual([
    ...["ft-1", "ft-1", "me/step-20", "ft-1:10"],
  ]);
  expect(checkpoints.map((each) => each.step_number)).toEqual([0, 0, 20, 10]);
  expect(checkpoints.at(-1)).toMatchObject({ created_at: start, metrics: {} });
  expect(new Set(checkpoints.map(({ id }) => id)).size).toBe(4);
  answerNext({ data: data.slice(0, 1) });
  const early = await Array.fromAsync(backend.listJobCheckpoints("ft-1", query, signal));
  expect(early).toEqual(checkpoints.slice(-1));
});
