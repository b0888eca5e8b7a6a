import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as v from "valibot";
import azure from "../../providers/azure/index.ts";
import { type JobRequest, requestIdOf } from "../../src/provider.ts";
import { type FakeAzure, startFakeAzure } from "../fakes/azure.ts";
import { connectBackend, last, makeUpload, type WholeBackend } from "./backends.ts";

const { signal } = new AbortController();
const surfaces = ["2023-03-15-preview", "2024-10-21", "2025-04-01-preview", "v1", "preview"];
let fake: FakeAzure;

beforeEach(async () => {
  fake = await startFakeAzure();
});
afterEach(() => fake.stop());

function connect(api_version: string | undefined, path = ""): WholeBackend {
  return connectBackend(azure, {
    api_base: `${fake.url}${path}`,
    api_key: fake.apiKey,
    ...(api_version === undefined ? {} : { api_version }),
  });
}

describe("the address", () => {
  test.each([
    ["2024-10-21", "", "/openai/files?api-version=2024-10-21"],
    ["2024-10-21", "/", "/openai/files?api-version=2024-10-21"],
    ["2024-10-21", "/openai/", "/openai/files?api-version=2024-10-21"],
    ["2024-10-21", "/openai/v1", "/openai/v1/files"],
    ["2024-10-21", "/api/projects/p", "/api/projects/p/openai/v1/files"],
    ["v1", "", "/openai/v1/files"],
    ["latest", "", "/openai/v1/files"],
    [undefined, "", "/openai/v1/files"],
    [undefined, "/openai", "/openai/v1/files"],
    ["preview", "/openai/v1/", "/openai/v1/files?api-version=preview"],
    ["preview", "/api/projects/p/openai/v1", "/api/projects/p/openai/v1/files"],
  ])("of api_version %s and api_base %j is %s", async (version, base, expected) => {
    await Array.fromAsync(connect(version, base).listFiles({ limit: 1, order: "desc" }, signal));
    const { path, query } = last(fake.requests);
    expect(query.size === 0 ? path : `${path}?${query}`).toBe(expected);
  });
});

describe.each(surfaces)("api_version %s", (version) => {
  let backend: WholeBackend;
  beforeEach(() => {
    backend = connect(version);
  });

  test("uploads a file, which is uploaded until Azure has processed it", async () => {
    const file = await backend.uploadFile(
      makeUpload(new Blob(["{}\n"]), { filename: "t.jsonl" }),
      signal,
    );
    expect(file).toMatchObject({ bytes: 3, filename: "t.jsonl", status: "uploaded" });
    expect(requestIdOf(file)).toMatch(/^[\da-f-]{36}$/);
    const stored = fake.state.files.get(file.id);
    expect(stored?.content.toString()).toBe("{}\n");
    for (const [theirs, ours] of [
      ["running", "uploaded"],
      ["processed", "processed"],
      ["error", "error"],
      ["scanning", "scanning"],
    ]) {
      Object.assign(stored?.object ?? {}, { status: theirs });
      expect((await backend.getFile(file.id, signal)).status as string).toBe(ours ?? "");
    }
  });

  test("reads and deletes a file", async () => {
    const { id } = fake.addFile(1000, {}, "0123");
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(await new Response(body).text()).toBe("0123");
    expect(headers["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
    await backend.deleteFile(id, signal);
    expect(fake.state.files.size).toBe(0);
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({
      status: 404,
      message: `The specified file '${id}' was not found.`,
      code: "notFound",
    });
  });

  test("believes a 204 for a file that it deleted", async () => {
    fake.inject({ answer: { status: 204 } });
    await backend.deleteFile("file-1", signal);
  });

  test("shows no file that is deleted, and knows no size that Azure does not", async () => {
    const gone = fake.addFile(1000, { status: "deleted" });
    fake.addFile(1001, { status: "deleting" });
    const unknown = fake.addFile(1002, { status: "processed", bytes: null });
    const files = await Array.fromAsync(backend.listFiles({ limit: 5, order: "desc" }, signal));
    expect(files.map(({ id, bytes }) => [id, bytes])).toEqual([[unknown.id, 0]]);
    await expect(backend.getFile(gone.id, signal)).rejects.toMatchObject({
      status: 404,
      message: `No such File object: ${gone.id}`,
    });
  });

  test("lists files in the order asked for, although Azure has none", async () => {
    for (const at of [3, 1, 2, 2]) fake.addFile(1000 + at);
    fake.addFile(1000, { purpose: "fine-tune-results" });
    const read = async (order: "asc" | "desc") => {
      const list = backend.listFiles({ limit: 2, order, purpose: "fine-tune" }, signal);
      const files = await Array.fromAsync(list);
      expect(requestIdOf(list)).toMatch(/^[\da-f-]{36}$/);
      return files;
    };
    const descending = await read("desc");
    expect(descending.map(({ created_at }) => created_at)).toEqual([1003, 1002, 1002, 1001]);
    expect((await read("asc")).reverse()).toEqual(descending);
  });

  test("creates a job without what this surface lacks", async () => {
    const { id: training_file } = fake.addFile(1000);
    const request: JobRequest = {
      model: "gpt-4o-mini-2024-07-18",
      training_file,
      suffix: "run-1",
      seed: 7,
      hyperparameters: { n_epochs: 2 },
    };
    const job = await backend.createJob(request, signal);
    expect(job).toMatchObject({ status: "queued", result_files: [], seed: 7 });
    expect(JSON.parse(last(fake.requests).body.toString())).toEqual(request);
  });

  test("walks jobs, events and checkpoints page by page", async () => {
    const ids = Array.from({ length: 5 }, (_, at) => fake.addJob(1000 + at).id).reverse();
    const jobs = await Array.fromAsync(backend.listJobs({ limit: 1 }, signal));
    expect(jobs.map(({ id }) => id)).toEqual(ids);
    expect(fake.requests).toHaveLength(3);
    const rest = await Array.fromAsync(backend.listJobs({ limit: 9, after: ids[2] ?? "" }, signal));
    expect(rest.map(({ id }) => id)).toEqual(ids.slice(3));

    const [id = ""] = ids;
    const events = await Array.fromAsync(backend.listJobEvents(id, { limit: 20 }, signal));
    expect(events.map(({ level }) => level)).toEqual(["warn", "info"]);
    const checkpoints = await Array.fromAsync(
      backend.listJobCheckpoints(id, { limit: 20 }, signal),
    );
    expect(checkpoints.map(({ step_number }) => step_number)).toEqual([20, 10]);
  });

  test.each([
    ["created", "validating_files"],
    ["notRunning", "validating_files"],
    ["pending", "queued"],
    ["queued", "queued"],
    ["resuming", "queued"],
    ["validating_files", "validating_files"],
    ["running", "running"],
    ["pausing", "pausing"],
    ["paused", "paused"],
    ["succeeded", "succeeded"],
    ["failed", "failed"],
    ["cancelled", "cancelled"],
    ["canceled", "cancelled"],
    ["meditating", "meditating"],
  ])("says of a job that is %s: %s", async (status, expected) => {
    const { id } = fake.addJob(1000, { status });
    expect((await backend.getJob(id, signal)).status).toBe(expected);
  });

  test("names the organization as OpenAI does", async () => {
    const british = fake.addJob(1000, { organisation_id: "org-1" });
    const job = await backend.getJob(british.id, signal);
    expect(job).toMatchObject({ organization_id: "org-1" });
    expect(job).not.toHaveProperty("organisation_id");
    expect(await backend.getJob(fake.addJob(1000).id, signal)).not.toHaveProperty(
      "organization_id",
    );
  });

  test("cancels a job, and passes the conflict when it is over", async () => {
    const { id } = fake.addJob(1000, { status: "running" });
    expect((await backend.cancelJob(id, signal)).status).toBe("cancelled");
    await expect(backend.cancelJob(id, signal)).rejects.toMatchObject({
      status: 409,
      code: "conflict",
      message: "The job is in a final state.",
    });
  });

  test("takes an upload in parts", async () => {
    const request = {
      filename: "p.jsonl",
      purpose: "fine-tune",
      bytes: 3,
      mime_type: "text/jsonl",
    };
    const { id } = await backend.createUpload(request, signal);
    const part = await backend.addUploadPart(id, new Blob(["{}\n"]), signal);
    expect(part).toHaveProperty("azure_block_id");
    expect(await backend.completeUpload(id, { part_ids: [part.id] }, signal)).toMatchObject({
      status: "completed",
      file: { bytes: 3, status: "uploaded" },
    });
    const other = await backend.createUpload(request, signal);
    expect(await backend.cancelUpload(other.id, signal)).toMatchObject({ status: "cancelled" });
    await expect(backend.completeUpload(other.id, { part_ids: [] }, signal)).rejects.toMatchObject({
      status: 409,
      code: "conflict",
    });
  });

  test("refuses a suffix that Azure would refuse", async () => {
    for (const suffix of ["x".repeat(41), "a b", "ü"]) {
      const request = { model: "m", training_file: "file-1", suffix };
      await expect(backend.createJob(request, signal)).rejects.toMatchObject({
        status: 400,
        param: "suffix",
      });
    }
    expect(fake.requests).toHaveLength(0);
  });
});

describe("creating a job", () => {
  async function create(version: string, fields: Partial<JobRequest>): Promise<unknown> {
    const { id: training_file } = fake.addFile(1000);
    const request = { model: "gpt-4o-mini-2024-07-18", training_file, ...fields };
    await connect(version).createJob(request as JobRequest, signal);
    const { model, training_file: file, ...sent } = JSON.parse(last(fake.requests).body.toString());
    expect({ model, file }).toEqual({ model: request.model, file: training_file });
    return sent;
  }

  const auto = { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" };
  const supervised = (hyperparameters?: object) => ({
    method: { type: "supervised", supervised: { hyperparameters } },
  });
  const dpo = { method: { type: "dpo", dpo: { hyperparameters: { ...auto, beta: 0.1 } } } };

  test.each([
    ["2024-10-21", { hyperparameters: auto }, {}],
    [
      "2024-10-21",
      { hyperparameters: { ...auto, n_epochs: 3 } },
      { hyperparameters: { n_epochs: 3 } },
    ],
    [
      "2024-10-21",
      { seed: null, suffix: null, validation_file: null, metadata: null, integrations: null },
      {},
    ],
    ["2024-10-21", { metadata: {}, integrations: [] }, {}],
    ["2024-10-21", supervised(), {}],
    ["2024-10-21", supervised({ ...auto, batch_size: 4 }), { hyperparameters: { batch_size: 4 } }],
    [
      "2024-10-21",
      { method: { type: "supervised" }, hyperparameters: { n_epochs: 2 } },
      { hyperparameters: { n_epochs: 2 } },
    ],
    [
      "2024-10-21",
      { ...supervised({ n_epochs: 3 }), hyperparameters: { n_epochs: 2, batch_size: 1 } },
      { hyperparameters: { n_epochs: 3, batch_size: 1 } },
    ],
    ["2025-04-01-preview", supervised({ ...auto, batch_size: 4 }), supervised({ batch_size: 4 })],
    ["2025-04-01-preview", supervised(auto), { method: { type: "supervised", supervised: {} } }],
    [
      "2025-04-01-preview",
      dpo,
      { method: { type: "dpo", dpo: { hyperparameters: { beta: 0.1 } } } },
    ],
    [
      "2025-04-01-preview",
      { integrations: [{ type: "wandb", wandb: { project: "p" } }] },
      { integrations: [{ type: "wandb", wandb: { project: "p" } }] },
    ],
    [
      "v1",
      { ...dpo, metadata: { a: "b" }, seed: null, trainingType: "globalStandard" },
      { ...dpo, metadata: { a: "b" }, seed: null, trainingType: "globalStandard" },
    ],
  ])("in version %s, %j is sent as %j", async (version, fields, expected) => {
    expect(await create(version, fields as Partial<JobRequest>)).toEqual(expected);
  });

  test.each([
    ["2024-10-21", { metadata: { a: "b" } }, "metadata"],
    ["2025-04-01-preview", { metadata: { a: "b" } }, "metadata"],
    ["2024-10-21", { integrations: [{ type: "wandb", wandb: { project: "p" } }] }, "integrations"],
    ["2024-10-21", dpo, "method.type"],
    ["2024-10-21", { method: { type: "reinforcement", reinforcement: {} } }, "method.type"],
    [
      "2024-10-21",
      { method: { type: "supervised", supervised: { new: 1 } } },
      "method.supervised.new",
    ],
    ["2024-10-21", { method: { type: "supervised", new: 1 } }, "method.new"],
    ["2025-04-01-preview", { ...dpo, hyperparameters: { n_epochs: 1 } }, "hyperparameters"],
    ["2024-10-21", { method: { type: "supervised", supervised: "x" } }, "method.supervised"],
    ["2025-04-01-preview", { method: { type: "dpo", dpo: [] } }, "method.dpo"],
    ["2024-10-21", supervised([]), "method.supervised.hyperparameters"],
  ])("in version %s, %j is refused at %s", async (version, fields, param) => {
    await expect(create(version, fields as Partial<JobRequest>)).rejects.toMatchObject({
      status: 400,
      param,
    });
    expect(fake.requests).toHaveLength(0);
  });

  test("passes Azure's own refusal", async () => {
    const request = { model: "m", training_file: "file-none" };
    for (const [version, code] of [
      ["2024-10-21", "invalidPayload"],
      ["v1", null],
    ] as const) {
      await expect(connect(version).createJob(request, signal)).rejects.toMatchObject({
        status: 400,
        message: "The training file does not exist.",
        type: "invalid_request_error",
        param: "training_file",
        code,
      });
    }
  });
});

test("a file that is to expire is refused where Azure would keep it", async () => {
  const upload = makeUpload(new Blob(["{}\n"]), {
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  await expect(connect("2024-10-21").uploadFile(upload, signal)).rejects.toMatchObject({
    status: 400,
    param: "expires_after",
  });
  await connect("v1").uploadFile(upload, signal);
  expect(last(fake.requests).body.toString()).toContain('name="expires_after[seconds]"');
});

test("a form field that Azure does not know is sent, and refused in its words", async () => {
  const upload = makeUpload(new Blob(["{}\n"]), { extra: [["novelty", "1"]] });
  for (const version of surfaces) {
    await expect(connect(version).uploadFile(upload, signal)).rejects.toMatchObject({
      status: 400,
      param: "novelty",
    });
  }
  expect(fake.state.files.size).toBe(0);
});

test("an upload that is to expire is refused where Azure would keep its file", async () => {
  const request = { expires_after: { anchor: "created_at", seconds: 3600 } };
  await expect(connect("2024-10-21").createUpload(request, signal)).rejects.toMatchObject({
    status: 400,
    param: "expires_after",
  });
  expect(fake.requests).toHaveLength(0);
});

describe("importing a file by its URL", () => {
  const request = {
    purpose: "fine-tune",
    filename: "a.jsonl",
    content_url: "https://account.blob.core.windows.net/c/a.jsonl?sig=secret",
  };
  const expiring = { ...request, expires_after: { anchor: "created_at", seconds: 3600 } };

  test("gives a file that is uploaded until Azure has fetched it", async () => {
    const file = await connect("2024-10-21").importFile(request, signal);
    expect(file).toMatchObject({ filename: "a.jsonl", status: "uploaded", bytes: 0 });
    expect(last(fake.requests).path).toBe("/openai/files/import");
    expect(JSON.parse(last(fake.requests).body.toString())).toEqual(request);
    await connect("2025-04-01-preview").importFile(expiring, signal);
    expect(JSON.parse(last(fake.requests).body.toString())).toEqual(expiring);
  });

  test("passes Azure's refusal", async () => {
    const call = connect("2024-10-21").importFile({ ...request, content_url: 7 }, signal);
    await expect(call).rejects.toMatchObject({ status: 400, param: "content_url" });
  });

  test("refuses an expiry that the version does not know", async () => {
    const call = connect("2024-10-21").importFile(expiring, signal);
    await expect(call).rejects.toMatchObject({ status: 400, param: "expires_after" });
    expect(fake.requests).toHaveLength(0);
  });

  test("is not there on v1", () => {
    expect(connect("v1")).not.toHaveProperty("importFile");
  });
});

describe("deleting a job", () => {
  test("works on the classic API", async () => {
    const { id } = fake.addJob(1000);
    const backend = connect("2024-10-21");
    await backend.deleteJob(id, signal);
    expect(fake.state.jobs.size).toBe(0);
    await expect(backend.deleteJob(id, signal)).rejects.toMatchObject({ status: 404 });
  });

  test("passes the conflict when Azure does not let it go", async () => {
    const body = '{"error":{"code":"unexpectedEntityState","message":"It runs."}}';
    fake.inject({ answer: { status: 409, body } });
    const call = connect("2024-10-21").deleteJob("ftjob-1", signal);
    await expect(call).rejects.toMatchObject({ status: 409, code: "unexpectedEntityState" });
  });

  test("is not there on v1", () => {
    expect(connect("v1")).not.toHaveProperty("deleteJob");
  });
});

describe("checkAccess()", () => {
  test("asks for one job", async () => {
    await connect("2024-10-21").checkAccess(signal);
    expect(fake.requests).toHaveLength(1);
    const { method, path, query } = last(fake.requests);
    expect(`${method} ${path}?${query}`).toBe(
      "GET /openai/fine_tuning/jobs?api-version=2024-10-21&limit=1",
    );
  });

  test("fails where the version or the key is wrong, and where nothing listens", async () => {
    await expect(connect("2020-01-01").checkAccess(signal)).rejects.toMatchObject({ status: 404 });
    const wrong = connectBackend(azure, { api_base: fake.url, api_key: "wrong" });
    await expect(wrong.checkAccess(signal)).rejects.toMatchObject({ status: 502 });
    const nowhere = connectBackend(azure, { api_base: "http://127.0.0.1:1", api_key: "k" });
    await expect(nowhere.checkAccess(signal)).rejects.toMatchObject({ status: 502, retry: true });
  });
});

test("pause and resume are there on v1 alone", async () => {
  const { id } = fake.addJob(1000, { status: "running" });
  const backend = connect("v1");
  expect((await backend.pauseJob(id, signal)).status).toBe("paused");
  expect((await backend.resumeJob(id, signal)).status).toBe("queued");
  expect(connect("2024-10-21")).not.toHaveProperty("pauseJob");
  expect(connect("2024-10-21")).not.toHaveProperty("resumeJob");
});

test("files are not among the lists that start after an id", () => {
  for (const version of surfaces) {
    expect(connect(version).cursors).toEqual(["jobs", "events", "checkpoints"]);
  }
});

describe("errors", () => {
  test.each([
    [
      400,
      '{"error":{"code":"invalidPayload","message":"m","target":"suffix","innererror":{"code":"tooLong"}}}',
      { status: 400, message: "m", param: "suffix", code: "tooLong" },
    ],
    [
      400,
      '{"error":{"code":"jsonlValidationFailed","message":"The file is not valid.","details":[{"code":"invalidPayload","message":"Line 3: no messages.","target":"training_file"},{"code":"x","message":"Line 9: no JSON."}]}}',
      {
        status: 400,
        message: "The file is not valid. Line 3: no messages. Line 9: no JSON.",
        param: "training_file",
        code: "jsonlValidationFailed",
      },
    ],
    [
      400,
      '{"error":{"code":"invalidPayload","message":"m","target":null,"details":null,"innererror":{}}}',
      { status: 400, message: "m", param: null, code: "invalidPayload" },
    ],
    [
      400,
      '{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.1","title":"Bad.","status":400,"errors":{"model":["The model field is required."]}}',
      { status: 400, message: "Bad. The model field is required.", param: "model" },
    ],
    [
      429,
      '{"statusCode":429,"message":"Rate limit is exceeded. Try again in 5 seconds."}',
      { status: 429, message: "Rate limit is exceeded. Try again in 5 seconds.", code: null },
    ],
    [
      403,
      '{"error":{"code":"quotaExceeded","message":"m"}}',
      { status: 403, message: "m", code: "quotaExceeded", type: "invalid_request_error" },
    ],
    [
      409,
      '{"error":{"code":"conflict","message":"m","details":[]}}',
      { status: 409, param: null, code: "conflict", retry: undefined },
    ],
    [
      404,
      '{"error":{"code":"404","message":"Resource not found"}}',
      { status: 404, message: "Resource not found", code: null },
    ],
    [
      404,
      '{"statusCode":404,"message":"Resource not found"}',
      { status: 404, message: "Resource not found", code: null },
    ],
    [
      400,
      '{"error":{"message":"m","type":"t","param":"p","code":"c"}}',
      { status: 400, message: "m", type: "t", param: "p", code: "c" },
    ],
    [
      400,
      '{"error":{"message":"m","type":null,"param":"p","code":"c"}}',
      { status: 400, message: "m", param: "p", code: "c" },
    ],
    [
      429,
      '{"error":{"code":"tooManyRequests","message":"m"}}',
      { status: 429, code: "tooManyRequests", headers: { "retry-after": "9" } },
    ],
    [
      500,
      '{"error":{"code":"internalFailure","message":"m"}}',
      { status: 502, code: "internalFailure", message: expect.stringMatching(/status 500: m$/) },
    ],
    [503, "<html>", { status: 502, code: "upstream_error" }],
    [200, "<html>", { status: 502, code: "upstream_invalid_answer" }],
    [200, '{"id":"ftjob-1","status":"running"}', { status: 502 }],
  ])("status %d with %s", async (status, body, expected) => {
    fake.inject({ answer: { status, body, headers: { "retry-after": "9" } } });
    const call = connect("2024-10-21").getJob("ftjob-1", signal);
    await expect(call).rejects.toMatchObject(expected);
  });

  test("a key that Azure does not take is a 502 that repeats nothing", async () => {
    const options = { api_base: fake.url, api_key: "wrong-key" };
    const call = connectBackend(azure, options).getFile("file-1", signal);
    await expect(call).rejects.toMatchObject({
      status: 502,
      code: "upstream_authentication_error",
      retry: false,
      message: expect.not.stringContaining("key"),
    });
  });

  test("a version that Azure does not know is its 404", async () => {
    await expect(connect("2020-01-01").getFile("file-1", signal)).rejects.toMatchObject({
      status: 404,
      message: "Resource not found",
    });
  });

  test("an event of a level that OpenAI does not have passes as it is", async () => {
    const { id } = fake.addJob(1000);
    Object.assign(fake.state.jobs.get(id)?.events[0] ?? {}, { level: "fatal" });
    const list = await Array.fromAsync(connect("v1").listJobEvents(id, { limit: 5 }, signal));
    expect(list.some(({ level }) => level === "fatal")).toBe(true);
  });
});

describe("options", () => {
  test.each(Object.entries(azure.options.entries))("%s has a description", (_, schema) => {
    expect(v.getDescription(schema)).toBeString();
  });

  test.each([
    [{}, ["api_base"]],
    [{ api_base: "https://a", api_key: "k", api_version: "2024" }, ["api_version"]],
    [{ api_base: "https://a", api_key: "k", api_version: "2024-10-21-beta" }, ["api_version"]],
    [{ api_base: "https://a?api-version=1", api_key: "k" }, ["api_base"]],
    [{ api_base: "https://a", api_key: "k", resource_name: "t" }, ["resource_name"]],
    [{ api_base: "https://a", api_key: "a b" }, ["api_key"]],
    [{ api_base: "https://a", azure_ad_token: "oidc/google/x" }, ["azure_ad_token"]],
    [{ api_base: "https://a", tenant_id: "../other" }, ["tenant_id"]],
    [{ api_base: "https://a", client_id: "a/b" }, ["client_id"]],
    [{ api_base: "https://a", client_secret: " " }, ["client_secret"]],
    [{ api_base: "https://a", federated_token_file: "" }, ["federated_token_file"]],
    [{ api_base: "https://a", managed_identity: "yes" }, ["managed_identity"]],
    [{ api_base: "https://a", authority_host: "login.microsoftonline.us" }, ["authority_host"]],
    [{ api_base: "https://a", api_key: "k", training_type: "Developer" }, ["training_type"]],
    [{ api_base: "https://a", api_key: "k", import_timeout: -1 }, ["import_timeout"]],
  ])("%j is refused at %j", (input, paths) => {
    const { issues } = v.safeParse(azure.options, input);
    expect(issues?.map((issue) => v.getDotPath(issue))).toEqual(paths);
  });
});
