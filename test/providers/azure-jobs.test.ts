import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import azure from "../../providers/azure/index.ts";
import type { JobRequest } from "../../src/provider.ts";
import { type FakeAzure, startFakeAzure } from "../fakes/azure.ts";
import { connectBackend, last, type WholeBackend } from "./backends.ts";

const { signal } = new AbortController();
let fake: FakeAzure;

beforeEach(async () => {
  fake = await startFakeAzure();
});
afterEach(() => fake.stop());

function connect(options: Readonly<Record<string, unknown>> = {}): WholeBackend {
  return connectBackend(azure, { api_base: fake.url, api_key: fake.apiKey, ...options });
}

/** A file that is pending, and goes through these states when it is looked at. */
function addComing(...states: readonly string[]): string {
  const { id } = fake.addFile(1000, { status: "pending" });
  fake.state.files.get(id)?.coming.push(...states);
  return id;
}

function makeRequest(training_file: string, fields: object = {}): JobRequest {
  return { model: "gpt-4o-mini-2024-07-18", training_file, ...fields };
}

function countCreates(): number {
  return fake.requests.filter(({ method }) => method === "POST").length;
}

describe.each(["2024-10-21", "v1"])("a job in version %s whose file", (api_version) => {
  test("is ready is asked for after one look at the file", async () => {
    const { id } = fake.addFile(1000);
    await connect({ api_version }).createJob(makeRequest(id), signal);
    expect(fake.requests.map(({ method }) => method)).toEqual(["GET", "POST"]);
  });

  test("is still being imported waits for it", async () => {
    const training_file = addComing("pending", "running", "processed");
    const job = await connect({ api_version }).createJob(makeRequest(training_file), signal);
    expect(job.training_file).toBe(training_file);
    expect(fake.requests.map(({ method }) => method)).toEqual(["GET", "GET", "GET", "POST"]);
  });

  test("is imported for too long is refused, and may be asked for again", async () => {
    const id = addComing();
    const call = connect({ api_version, import_timeout: 0.3 }).createJob(makeRequest(id), signal);
    await expect(call).rejects.toMatchObject({
      status: 400,
      message: `Cannot create the job: Azure is still importing the file "${id}"; wait until its status is "processed", then try again`,
      param: "training_file",
      code: "file_not_ready",
      retry: true,
    });
    expect(countCreates()).toBe(0);
  });

  test("is for validation is waited for too", async () => {
    const { id } = fake.addFile(1000);
    const request = makeRequest(id, { validation_file: addComing() });
    const call = connect({ api_version, import_timeout: 0 }).createJob(request, signal);
    await expect(call).rejects.toMatchObject({ status: 400, param: "validation_file" });
  });

  test("could not be imported is refused with Azure's reason", async () => {
    const backend = connect({ api_version });
    const fields = { status: "error", status_details: "Line 3 is not JSON." };
    const { id } = fake.addFile(1000, fields);
    await expect(backend.createJob(makeRequest(id), signal)).rejects.toMatchObject({
      status: 400,
      message: `Cannot create the job with the file "${id}": Azure could not import it: Line 3 is not JSON.`,
      param: "training_file",
      code: "invalid_file",
    });
    const silent = fake.addFile(1000, { status: "error" }).id;
    await expect(backend.createJob(makeRequest(silent), signal)).rejects.toMatchObject({
      message: `Cannot create the job with the file "${silent}": Azure could not import it`,
    });
    expect(countCreates()).toBe(0);
  });

  test("fails while it is waited for is refused", async () => {
    const request = makeRequest(addComing("running", "error"));
    const call = connect({ api_version }).createJob(request, signal);
    await expect(call).rejects.toMatchObject({ status: 400, code: "invalid_file" });
    expect(countCreates()).toBe(0);
  });

  test("is deleted is refused", async () => {
    const { id } = fake.addFile(1000, { status: "deleted" });
    const call = connect({ api_version }).createJob(makeRequest(id), signal);
    await expect(call).rejects.toMatchObject({ status: 400, param: "training_file" });
  });

  test("is in a state that nobody knows is Azure's to judge", async () => {
    const { id } = fake.addFile(1000, { status: "scanning" });
    const call = connect({ api_version }).createJob(makeRequest(id), signal);
    await expect(call).rejects.toMatchObject({ message: "The file import is not completed." });
  });
});

describe("while a job waits for its file", () => {
  test("the same request gets the same job, and another one its own", async () => {
    const backend = connect();
    const id = addComing("pending", "pending", "pending", "pending");
    const first = backend.createJob(makeRequest(id), signal);
    const second = backend.createJob(makeRequest(id), signal);
    await Bun.sleep(50);
    const repeated = backend.createJob(makeRequest(id), signal);
    const other = backend.createJob(makeRequest(id, { suffix: "other" }), signal);
    await Bun.sleep(50);
    fake.state.files.get(id)?.coming.push("processed");
    const jobs = await Promise.all([first, second, repeated, other]);
    expect(new Set(jobs.slice(0, 3).map((job) => job.id)).size).toBe(1);
    expect(jobs[3]?.id).not.toBe(jobs[0]?.id);
    expect(countCreates()).toBe(2);
    const later = await backend.createJob(makeRequest(id), signal);
    expect(later.id).not.toBe(jobs[0]?.id ?? "");
  });

  test("the failure of the first is that of the repeated one, and is not kept", async () => {
    const backend = connect({ import_timeout: 0.3 });
    const request = makeRequest(addComing());
    const calls = [backend.createJob(request, signal), backend.createJob(request, signal)];
    const ends = await Promise.allSettled(calls);
    expect(ends.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    fake.state.files.get(request.training_file)?.coming.push("processed");
    await backend.createJob(request, signal);
    expect(countCreates()).toBe(1);
  });

  test("an abort ends the waiting with its reason", async () => {
    const controller = new AbortController();
    const reason = new Error("the gateway is stopping");
    const call = connect().createJob(makeRequest(addComing()), controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await expect(call).rejects.toBe(reason);
    expect(countCreates()).toBe(0);
  });

  test.each([
    [{ status: 503, body: '{"error":{"code":"serviceUnavailable","message":"m"}}' }, 502, true],
    [{ status: 429, body: '{"error":{"code":"tooManyRequests","message":"m"}}' }, 429, true],
    [{ status: 403, body: '{"error":{"code":"forbidden","message":"m"}}' }, 403, false],
    [{ status: 401, body: "" }, 502, false],
    [{ status: 200, body: "<html>" }, 502, true],
  ])("%j to the look at the file is %d, retry %p", async (answer, status, retry) => {
    const request = makeRequest(addComing());
    fake.inject({ method: "GET", answer });
    const call = connect().createJob(request, signal);
    await expect(call).rejects.toMatchObject({ status, retry });
    expect(countCreates()).toBe(0);
  });
});

describe("the training type", () => {
  async function readTrainingType(
    options: Readonly<Record<string, unknown>>,
    fields: object,
  ): Promise<unknown> {
    const { id } = fake.addFile(1000);
    await connect(options).createJob(makeRequest(id, fields), signal);
    const sent: unknown = JSON.parse(last(fake.requests).body.toString());
    return Object.entries(sent ?? {}).find(([name]) => name === "trainingType")?.[1];
  }

  const preview = "2025-04-01-preview";
  test.each([
    [{}, {}, undefined],
    [{}, { trainingType: null }, undefined],
    [{ api_version: "2024-10-21" }, { trainingType: null }, undefined],
    [{}, { trainingType: "developerTier" }, "developerTier"],
    [{ training_type: "developerTier" }, {}, "developerTier"],
    [{ training_type: "developerTier" }, { trainingType: null }, "developerTier"],
    [{ training_type: "developerTier" }, { trainingType: "standard" }, "standard"],
    [{ api_version: preview, training_type: "globalStandard" }, {}, "globalStandard"],
    [{ api_version: preview }, { trainingType: "globalStandard" }, "globalStandard"],
    [{ api_version: "2024-10-21" }, {}, undefined],
    [{}, { model: "gpt-oss-20b" }, "globalStandard"],
    [{}, { model: "Ministral-3B" }, "globalStandard"],
    [{}, { model: "Qwen-32B" }, "globalStandard"],
    [{ api_version: preview }, { model: "Llama-3.3-70B-Instruct" }, "globalStandard"],
  ])("with options %j and request %j is %j", async (options, fields, expected) => {
    expect(await readTrainingType(options, fields)).toBe(expected as string);
  });

  test.each([
    [{ api_version: "2024-10-21" }, { trainingType: "globalStandard" }],
    [{}, { trainingType: 7 }],
    [{}, { trainingType: "" }],
    [{}, { trainingType: "GlobalStandard" }],
  ])("with options %j and request %j is refused", async (options, fields) => {
    await expect(readTrainingType(options, fields)).rejects.toMatchObject({
      status: 400,
      param: "trainingType",
    });
    expect(fake.state.jobs.size).toBe(0);
  });

  test("as an option needs a version that has it", () => {
    expect(() => connect({ api_version: "2024-10-21", training_type: "standard" })).toThrow(
      'Cannot set up backend "main": "training_type" needs an "api_version" of 2025-04-01-preview or later, or "v1"',
    );
  });
});

test("a field that Azure does not know is refused in its words on every surface", async () => {
  const { id } = fake.addFile(1000);
  for (const api_version of ["2024-10-21", "2025-04-01-preview", "v1"]) {
    const call = connect({ api_version }).createJob(makeRequest(id, { novelty: 1 }), signal);
    await expect(call).rejects.toMatchObject({ status: 400, param: "novelty" });
  }
});
