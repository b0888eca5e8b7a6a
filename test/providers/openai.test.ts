import { afterEach, beforeEach, describe, expect, test } from "bun:test";
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
