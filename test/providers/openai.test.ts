import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import openai from "../../providers/openai.ts";
import { requestIdOf } from "../../src/provider.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { connectBackend, last, makeUpload } from "./backends.ts";

const { signal } = new AbortController();
let fake: FakeOpenAI;
let backend: ReturnType<typeof connectBackend>;

beforeEach(async () => {
  fake = await startFakeOpenAI();
  backend = connectBackend(openai, { api_key: fake.apiKey, api_base: fake.url });
});
afterEach(async () => {
  await fake.stop();
  expect(fake.violations).toEqual([]);
});

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

describe("files", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "tunegate-openai-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test("uploadFile() sends 20 MB from disk byte for byte, with its length", async () => {
    const bytes = Buffer.alloc(20 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
    const path = join(directory, "big.jsonl");
    await Bun.write(path, bytes);

    const file = await backend.uploadFile(
      makeUpload(Bun.file(path, { type: "application/jsonl" }), { filename: "big.jsonl" }),
      signal,
    );

    expect(file).toMatchObject({
      bytes: bytes.length,
      filename: "big.jsonl",
      purpose: "fine-tune",
    });
    const stored = fake.state.files.get(file.id);
    expect(sha256(stored?.content ?? Buffer.alloc(0))).toBe(sha256(bytes));
    expect(stored?.type).toBe("application/jsonl");
    const { headers, body } = last(fake.requests);
    expect(headers.get("content-length")).toBe(String(body.length));
  });

  test("uploadFile() sends the same content as often as it is asked to", async () => {
    const upload = makeUpload(new Blob(["{}\n"]));
    const first = await backend.uploadFile(upload, signal);
    const second = await backend.uploadFile(upload, signal);
    expect(fake.state.files.get(first.id)?.content.toString()).toBe("{}\n");
    expect(fake.state.files.get(second.id)?.content.toString()).toBe("{}\n");
    expect(first.id).not.toBe(second.id);
  });

  test.each(['trän "x".jsonl', "a\r\nb\n.jsonl", "数据 %22.jsonl", "$&'; filename=y.jsonl"])(
    "uploadFile() keeps the filename %j",
    async (filename) => {
      await backend.uploadFile(makeUpload(new Blob(["{}\n"]), { filename }), signal);
      const escaped = filename
        .replaceAll('"', "%22")
        .replaceAll("\r", "%0D")
        .replaceAll("\n", "%0A");
      expect(last(fake.requests).body.toString()).toContain(`; filename="${escaped}"\r\n`);
    },
  );

  test("uploadFile() sends expires_after, and a type for content that has none", async () => {
    const file = await backend.uploadFile(
      makeUpload(new Blob(["{}\n"]), { expires_after: { anchor: "created_at", seconds: 3600 } }),
      signal,
    );
    expect(file.expires_at).toBe(file.created_at + 3600);
    expect(fake.state.files.get(file.id)?.type).toBe("application/octet-stream");
  });

  test("uploadFile() sends form fields that OpenAI does not define, for it to judge", async () => {
    const upload = makeUpload(new Blob(["{}\n"]), { extra: [["new[field]", "1"]] });
    await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({
      status: 400,
      message: "Unrecognized request argument supplied: new[field]",
      param: "new[field]",
    });
  });

  test("uploadFile() sends an empty file as it is", async () => {
    await expect(backend.uploadFile(makeUpload(new Blob([])), signal)).rejects.toMatchObject({
      status: 400,
      message: "File is empty.",
    });
  });

  test("uploadFile() fails as the disk does when the content cannot be read", async () => {
    const upload = makeUpload(Bun.file(join(directory, "missing.jsonl")));
    await expect(backend.uploadFile(upload, signal)).rejects.toMatchObject({ code: "ENOENT" });
    expect(fake.state.files.size).toBe(0);
  });

  test("getFile() answers the whole object and the call's id", async () => {
    const { id } = fake.addFile(1000, { filename: "a.jsonl" });
    const file = await backend.getFile(id, signal);
    expect(file).toEqual(fake.state.files.get(id)?.object as never);
    expect(requestIdOf(file)).toMatch(/^req_/);
  });

  test("getFile() passes a status on that nobody knew of", async () => {
    const { id } = fake.addFile(1000);
    Object.assign(fake.state.files.get(id)?.object ?? {}, { status: "scanning" });
    expect(await backend.getFile(id, signal)).toMatchObject({ status: "scanning" });
  });

  test("getFile() answers OpenAI's own 404", async () => {
    await expect(backend.getFile("file-none", signal)).rejects.toMatchObject({
      status: 404,
      message: "No such File object: file-none",
      type: "invalid_request_error",
      param: "id",
      code: null,
      headers: { "x-request-id": expect.stringMatching(/^req_/) },
    });
  });

  test("listFiles() sends purpose and order, and reads to the end", async () => {
    for (let at = 0; at < 5; at += 1) fake.addFile(1000 + at, { filename: `${at}.jsonl` });
    fake.addFile(1000, { purpose: "batch" });
    const query = { limit: 10_000, order: "asc", purpose: "fine-tune" } as const;
    const files = await Array.fromAsync(backend.listFiles(query, signal));
    expect(files.map(({ filename }) => filename)).toEqual(
      [0, 1, 2, 3, 4].map((at) => `${at}.jsonl`),
    );
    expect(last(fake.requests).query.toString()).toBe("purpose=fine-tune&order=asc&limit=10000");
  });

  test("readFile() has a small file whole, with OpenAI's headers", async () => {
    const { id } = fake.addFile(1000, { filename: "r.csv", content: "step,loss\n1,2\n" });
    const { body, status, headers } = await backend.readFile(id, undefined, signal);
    expect(body).toBeInstanceOf(Blob);
    expect(await new Response(body).text()).toBe("step,loss\n1,2\n");
    expect(status).toBe(200);
    expect(headers).toEqual({
      "content-type": "application/octet-stream",
      "content-disposition": 'attachment; filename="r.csv"',
      "content-length": "14",
      "x-request-id": expect.stringMatching(/^req_/),
    });
    expect(last(fake.requests).headers.get("range")).toBeNull();
  });

  test("readFile() streams a large file byte for byte", async () => {
    const content = Buffer.alloc(9 * 1024 * 1024, "0123456789\n");
    const { id } = fake.addFile(1000, { content });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(body).toBeInstanceOf(ReadableStream);
    expect(headers["content-length"]).toBe(String(content.length));
    expect(sha256(await new Response(body).bytes())).toBe(sha256(content));
  });

  test("readFile() reads a range, and passes the 416 for an impossible one", async () => {
    const { id } = fake.addFile(1000, { content: "0123456789" });
    const part = await backend.readFile(id, "bytes=2-4", signal);
    expect(part).toMatchObject({
      status: 206,
      headers: { "content-range": "bytes 2-4/10", "content-length": "3" },
    });
    expect(await new Response(part.body).text()).toBe("234");
    await expect(backend.readFile(id, "bytes=10-", signal)).rejects.toMatchObject({ status: 416 });
  });

  test("readFile() reads an empty file", async () => {
    const { id } = fake.addFile(1000, { content: "" });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(await new Response(body).text()).toBe("");
    expect(headers["content-length"]).toBe("0");
  });

  test("readFile() gives the true length of a file that came compressed", async () => {
    const { id } = fake.addFile(1000);
    const answer = {
      status: 200,
      headers: { "content-encoding": "gzip" },
      body: Bun.gzipSync(Buffer.from("x".repeat(1000))),
    };
    fake.inject({ answer });
    const { body, headers } = await backend.readFile(id, undefined, signal);
    expect(await new Response(body).text()).toBe("x".repeat(1000));
    expect(headers["content-length"] ?? "1000").toBe("1000");
    expect(last(fake.requests).headers.get("accept-encoding")).toBe("identity");
  });

  test("deleteFile() deletes", async () => {
    const { id } = fake.addFile(1000);
    await backend.deleteFile(id, signal);
    expect(fake.state.files.has(id)).toBe(false);
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({ status: 404 });
  });

  test.each(['{"id":"file-1","object":"file","deleted":false}', '{"id":"file-1"}', "", "[]"])(
    "deleteFile() does not believe the answer %j",
    async (body) => {
      fake.inject({ answer: { status: 200, body } });
      await expect(backend.deleteFile("file-1", signal)).rejects.toMatchObject({ status: 502 });
    },
  );
});

describe("jobs", () => {
  const model = "gpt-4o-mini-2024-07-18";

  test("createJob() sends the request as it is, fields that are new included", async () => {
    const { id: training_file } = fake.addFile(1000);
    const request = {
      model,
      training_file,
      validation_file: null,
      suffix: "my-run",
      seed: 42,
      method: {
        type: "dpo",
        dpo: { hyperparameters: { beta: 0.1, n_epochs: "auto" } },
      },
      metadata: { team: "a b" },
      integrations: [{ type: "wandb", wandb: { project: "p", tags: ["é"] } }],
      new_field: { deep: [1, null, "x"] },
    };
    const job = await backend.createJob(request, signal);
    const { method, path, headers, body } = last(fake.requests);
    expect(`${method} ${path}`).toBe("POST /v1/fine_tuning/jobs");
    expect(headers.get("content-type")).toBe("application/json");
    expect(JSON.parse(body.toString())).toEqual(request);
    expect(job).toMatchObject({
      id: expect.stringMatching(/^ftjob-/),
      status: "validating_files",
      new_field: { deep: [1, null, "x"] },
      user_provided_suffix: "my-run",
      shared_with_openai: false,
    });
    expect(requestIdOf(job)).toMatch(/^req_/);
  });

  test("createJob() passes OpenAI's 400 with its param and code", async () => {
    const request = { model: "gpt-9", training_file: "file-1" };
    await expect(backend.createJob(request, signal)).rejects.toMatchObject({
      status: 400,
      message: "Model gpt-9 is not available for fine-tuning or does not exist.",
      type: "invalid_request_error",
      param: "model",
      code: "model_not_available",
      retry: undefined,
    });
  });

  test("createJob() passes OpenAI's 403 when fine-tuning is closed", async () => {
    await fake.stop();
    fake = await startFakeOpenAI({ trainingClosed: true });
    backend = connectBackend(openai, { api_key: fake.apiKey, api_base: fake.url });
    const request = { model, training_file: "file-1" };
    await expect(backend.createJob(request, signal)).rejects.toMatchObject({
      status: 403,
      code: "training_not_available",
      message: expect.stringMatching(/^OpenAI is winding down the fine-tuning platform/),
    });
  });

  test("getJob() answers the whole object, and OpenAI's own 404", async () => {
    const { id } = fake.addJob(1000);
    expect(await backend.getJob(id, signal)).toEqual(fake.state.jobs.get(id)?.object as never);
    await expect(backend.getJob("ftjob-none", signal)).rejects.toMatchObject({
      status: 404,
      message: "Could not find fine tune: ftjob-none",
      param: "fine_tune_id",
      code: "fine_tune_not_found",
    });
  });

  test("getJob() passes a status on that nobody knew of", async () => {
    const { id } = fake.addJob(1000, { status: "meditating" });
    expect((await backend.getJob(id, signal)).status).toBe("meditating");
  });

  test("pauseJob(), resumeJob() and cancelJob() send no body and answer the new status", async () => {
    const { id } = fake.addJob(1000, { status: "running" });
    expect((await backend.pauseJob(id, signal)).status).toBe("paused");
    expect((await backend.resumeJob(id, signal)).status).toBe("queued");
    expect((await backend.cancelJob(id, signal)).status).toBe("cancelled");
    expect(fake.requests.map(({ method, path, body }) => [method, path, body.length])).toEqual(
      ["pause", "resume", "cancel"].map((verb) => [
        "POST",
        `/v1/fine_tuning/jobs/${id}/${verb}`,
        0,
      ]),
    );
    await expect(backend.pauseJob(id, signal)).rejects.toMatchObject({ status: 400 });
  });

  test("listJobEvents() and listJobCheckpoints() read a finished job, newest first", async () => {
    const { id } = fake.addJob(1000);
    fake.advanceJob(id, "running");
    fake.advanceJob(id, "succeeded");
    const events = await Array.fromAsync(backend.listJobEvents(id, { limit: 5 }, signal));
    expect(events).toHaveLength(fake.state.jobs.get(id)?.events.length ?? 0);
    expect(events[0]?.message).toBe("The job has successfully completed");
    expect(events.at(-1)?.message).toBe(`Created fine-tuning job: ${id}`);
    expect(events.find(({ type }) => type === "metrics")).toMatchObject({ data: { step: 9 } });

    const checkpoints = await Array.fromAsync(
      backend.listJobCheckpoints(id, { limit: 10 }, signal),
    );
    expect(checkpoints.map(({ step_number }) => step_number)).toEqual([9, 6, 3]);
    expect(checkpoints[1]?.fine_tuned_model_checkpoint).toEndWith(":ckpt-step-6");
  });

  test("listJobs() filters by metadata, and by its absence", async () => {
    fake.addJob(1000, { metadata: { team: "a b", "k&=]": "1" } });
    fake.addJob(1001, { metadata: { team: "a b" } });
    fake.addJob(1002);
    const list = (metadata: Record<string, string> | null) =>
      Array.fromAsync(backend.listJobs({ limit: 20, metadata }, signal));
    const both = await list({ team: "a b", "k&=]": "1" });
    expect(both.map(({ created_at }) => created_at)).toEqual([1000]);
    expect(await list({ team: "a b" })).toHaveLength(2);
    const without = await list(null);
    expect(without.map(({ created_at }) => created_at)).toEqual([1002]);
  });
});

describe("lists", () => {
  test("listJobs() walks all pages, and asks for one more than wanted", async () => {
    const ids = Array.from({ length: 45 }, (_, at) => fake.addJob(1000 + at).id).reverse();
    const jobs = await Array.fromAsync(backend.listJobs({ limit: 20 }, signal));
    expect(jobs.map(({ id }) => id)).toEqual(ids);
    expect(fake.requests.map(({ query }) => query.toString())).toEqual([
      "limit=21",
      `limit=21&after=${ids[20]}`,
      `limit=21&after=${ids[41]}`,
    ]);
  });

  test.each([
    [1, "2"],
    [20, "21"],
    [99, "100"],
    [100, "100"],
    [500, "500"],
  ])("listJobs() with limit %d asks for pages of %s", async (limit, size) => {
    await Array.fromAsync(backend.listJobs({ limit }, signal));
    expect(last(fake.requests).query.get("limit")).toBe(size);
  });

  test("listFiles() asks for at most 10,000", async () => {
    await Array.fromAsync(backend.listFiles({ limit: 20_000, order: "desc" }, signal));
    expect(last(fake.requests).query.get("limit")).toBe("10000");
  });

  test("listJobs() starts after an id, and stops asking when its reader stops", async () => {
    const ids = Array.from({ length: 45 }, (_, at) => fake.addJob(1000 + at).id).reverse();
    const list = backend.listJobs({ limit: 3, after: ids[9] ?? "" }, signal);
    const read: string[] = [];
    for await (const { id } of list) if (read.push(id) === 3) break;
    expect(read).toEqual(ids.slice(10, 13));
    expect(fake.requests).toHaveLength(1);
    expect(requestIdOf(list)).toMatch(/^req_/);
  });

  test("listJobs() gives up on a service that repeats its last page", async () => {
    const { id } = fake.addJob(1000);
    const page = { object: "list", data: [fake.state.jobs.get(id)?.object], has_more: true };
    fake.inject({ times: 100, answer: { status: 200, body: JSON.stringify(page) } });
    const list = Array.fromAsync(backend.listJobs({ limit: 20 }, signal));
    await expect(list).rejects.toMatchObject({
      status: 502,
      message: `Cannot use the answer of backend "main": it repeats the page that ends with "${id}"`,
    });
    expect(fake.requests).toHaveLength(2);
  });

  test.each([
    '{"object":"list","data":[],"has_more":true}',
    '{"data":[]}',
    '{"data":[],"has_more":null}',
  ])("listJobs() ends at %s", async (body) => {
    fake.inject({ times: 100, answer: { status: 200, body } });
    expect(await Array.fromAsync(backend.listJobs({ limit: 20 }, signal))).toEqual([]);
    expect(fake.requests).toHaveLength(1);
  });

  test.each(["{}", '{"data":{}}', '{"data":[{"object":"fine_tuning.job"}]}', '{"data":[null]}'])(
    "listJobs() refuses the answer %s",
    async (body) => {
      fake.inject({ answer: { status: 200, body } });
      const list = Array.fromAsync(backend.listJobs({ limit: 20 }, signal));
      await expect(list).rejects.toMatchObject({ status: 502, code: "upstream_invalid_answer" });
    },
  );

  test("listJobs() keeps what came before the page that failed", async () => {
    for (let at = 0; at < 30; at += 1) fake.addJob(1000 + at);
    const read: string[] = [];
    fake.inject({}, { answer: { status: 500, body: "{}" } });
    const reading = (async () => {
      for await (const { id } of backend.listJobs({ limit: 20 }, signal)) read.push(id);
    })();
    await expect(reading).rejects.toMatchObject({ status: 502 });
    expect(read).toHaveLength(21);
  });

  test("all four lists start after an id by themselves", () => {
    expect(backend.cursors).toEqual(["files", "jobs", "events", "checkpoints"]);
  });
});

describe("uploads, permissions, graders and models", () => {
  test("an upload in parts becomes a file", async () => {
    const parts = ["0123456789", "abc"];
    const request = {
      filename: "p.jsonl",
      purpose: "fine-tune",
      bytes: 13,
      mime_type: "text/jsonl",
    };
    const { id } = await backend.createUpload(request, signal);
    const made = [];
    for (const part of parts) made.push(await backend.addUploadPart(id, new Blob([part]), signal));
    const part_ids = made.map((part) => part.id).reverse();
    const done = await backend.completeUpload(id, { part_ids }, signal);
    expect(done).toMatchObject({ status: "completed", file: { bytes: 13, object: "file" } });
    const [file] = fake.state.files.values();
    expect(file?.content.toString()).toBe("abc0123456789");
    await expect(backend.cancelUpload(id, signal)).rejects.toMatchObject({ status: 400 });
  });

  test("cancelUpload() cancels", async () => {
    const request = { filename: "p.jsonl", purpose: "batch", bytes: 1, mime_type: "text/jsonl" };
    const { id } = await backend.createUpload(request, signal);
    expect(await backend.cancelUpload(id, signal)).toMatchObject({ status: "cancelled" });
    expect(last(fake.requests).body).toHaveLength(0);
  });

  test("checkpoint permissions are made, listed and deleted under the model's name", async () => {
    const model = "ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd";
    const made = await backend.createCheckpointPermissions(
      model,
      { project_ids: ["proj_a", "proj_b"] },
      signal,
    );
    expect(made).toMatchObject({ object: "list", has_more: false });
    expect(last(fake.requests).path).toBe(`/v1/fine_tuning/checkpoints/${model}/permissions`);
    const query = { project_id: "proj_b", limit: "5", order: "ascending" };
    const listed = await backend.listCheckpointPermissions(model, query, signal);
    const id = String(listed.first_id);
    expect(listed).toMatchObject({ data: [{ id, project_id: "proj_b" }] });
    expect(await backend.deleteCheckpointPermission(model, id, signal)).toEqual({
      id,
      object: "checkpoint.permission",
      deleted: true,
    });
    expect(fake.state.permissions.get(model)).toHaveLength(1);
  });

  test("graders are run and validated", async () => {
    const grader = {
      type: "string_check",
      name: "same",
      input: "{{sample.output_text}}",
      reference: "yes",
      operation: "eq",
    };
    expect(await backend.validateGrader({ grader }, signal)).toEqual({ grader });
    const run = await backend.runGrader({ grader, model_sample: "yes" }, signal);
    expect(run).toMatchObject({ reward: 1, metadata: { name: "same" } });
    fake.inject({ answer: { status: 200, body: "[]" } });
    const refused = backend.runGrader({ grader, model_sample: "yes" }, signal);
    await expect(refused).rejects.toMatchObject({ status: 502 });
  });

  test("models are listed, and one is found", async () => {
    const models = await Array.fromAsync(backend.listModels(signal));
    expect(models.map(({ id }) => id)).toContain("gpt-4.1-mini-2025-04-14");
    expect(last(fake.requests).query.size).toBe(0);
    expect(await backend.getModel("gpt-4.1-2025-04-14", signal)).toMatchObject({ object: "model" });
    await expect(backend.getModel("none", signal)).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });
});

describe("requests", () => {
  test("ids are one segment of the path, whatever is in them", async () => {
    for (const id of ["a/b", "a%2Fb", "a?b#c", "é ü", "../files", "a:b"]) {
      await expect(backend.getFile(id, signal)).rejects.toMatchObject({
        status: 404,
        message: `No such File object: ${id}`,
      });
    }
    expect(last(fake.requests).path).toBe("/v1/files/a:b");
  });

  test.each(["", ".", ".."])("the id %j is refused before anything is sent", async (id) => {
    await expect(backend.getFile(id, signal)).rejects.toMatchObject({ status: 400, param: "id" });
    await expect(backend.deleteFile(id, signal)).rejects.toMatchObject({ status: 400 });
    expect(fake.requests).toHaveLength(0);
  });

  test("organization, project and more headers go with every call", async () => {
    await fake.stop();
    const account = { organization: "org-1", project: "proj_1" };
    const headers = { "x-proxy-token": "t", "user-agent": "mine" };
    fake = await startFakeOpenAI({ ...account, headers });
    backend = connectBackend(openai, {
      api_key: fake.apiKey,
      api_base: `${fake.url}/`,
      ...account,
      headers: { "X-Proxy-Token": "t", "User-Agent": "mine" },
    });
    const { id } = await backend.uploadFile(makeUpload(new Blob(["{}\n"])), signal);
    await backend.readFile(id, undefined, signal);
    await backend.createJob({ model: "gpt-4o-mini-2024-07-18", training_file: id }, signal);
    await Array.fromAsync(backend.listJobs({ limit: 1 }, signal));
    expect(fake.requests).toHaveLength(4);
  });

  test("cookies that the service sets are not sent back", async () => {
    const { id } = fake.addFile(1000);
    const body = JSON.stringify(fake.state.files.get(id)?.object);
    fake.inject({ answer: { status: 200, body, headers: { "set-cookie": "a=b; Path=/" } } });
    await backend.getFile(id, signal);
    await backend.getFile(id, signal);
    expect(last(fake.requests).headers.get("cookie")).toBeNull();
  });

  test("a call that changes something never uses a connection that was left open", async () => {
    const { id } = fake.addJob(1000);
    await backend.getJob(id, signal);
    await backend.getJob(id, signal);
    expect(fake.countConnections()).toBe(1);
    await backend.cancelJob(id, signal);
    expect(fake.countConnections()).toBe(2);
  });
});

describe("options", () => {
  const entries = Object.entries(openai.options.entries);

  test.each(entries)("%s has a description", (_, schema) => {
    expect(v.getDescription(schema)).toBeString();
  });

  test("an api_key is enough", () => {
    expect(v.parse(openai.options, { api_key: " sk-1\n" })).toEqual({
      api_key: "sk-1",
      api_base: "https://api.openai.com/v1",
      timeout: 600,
      headers: {},
    });
  });

  test.each([
    [{}, "api_key"],
    [{ api_key: "" }, "api_key"],
    [{ api_key: "sk 1" }, "api_key"],
    [{ api_key: "sk\n1" }, "api_key"],
    [{ api_key: "sk-é" }, "api_key"],
    [{ api_key: 1 }, "api_key"],
    [{ api_key: "sk-1", api_base: "api.openai.com" }, "api_base"],
    [{ api_key: "sk-1", api_base: "ftp://host/v1" }, "api_base"],
    [{ api_key: "sk-1", api_base: "https://a:b@host/v1" }, "api_base"],
    [{ api_key: "sk-1", api_base: "https://host/v1?x=1" }, "api_base"],
    [{ api_key: "sk-1", timeout: 0 }, "timeout"],
    [{ api_key: "sk-1", timeout: 1e9 }, "timeout"],
    [{ api_key: "sk-1", timeout: "600" }, "timeout"],
    [{ api_key: "sk-1", organization: "a\nb" }, "organization"],
    [{ api_key: "sk-1", headers: { Authorization: "x" } }, "headers.Authorization"],
    [{ api_key: "sk-1", headers: { "a b": "x" } }, "headers.a b"],
    [{ api_key: "sk-1", headers: { a: "x\r\ny" } }, "headers.a"],
    [{ api_key: "sk-1", api_version: "1" }, "api_version"],
  ])("%j is refused at %s", (input, path) => {
    const { success, issues } = v.safeParse(openai.options, input);
    expect(success).toBe(false);
    expect(issues?.map((issue) => v.getDotPath(issue))).toContain(path);
    // Valibot's own messages quote the value; the ones of the key must not.
    if (path === "api_key" && "api_key" in input && input.api_key !== 1) {
      for (const issue of issues ?? [])
        if (issue.type === "regex") expect(issue.message).not.toMatch(/sk/);
    }
  });
});
