import { afterEach, describe, expect, test } from "bun:test";
import { toFile } from "openai";
import { ApiError } from "../src/errors.ts";
import type { FileFields, JobFields } from "../src/provider.ts";
import { createMemoryState } from "./fakes/memory.ts";
import { catchError, startMemoryGateway, type TestGateway } from "./support/gateway.ts";

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

function makeJob(id: string, created_at = 1, more: object = {}): JobFields {
  return { id, created_at, model: "m", status: "running", training_file: "file-x", ...more };
}

function makeFile(id: string, created_at = 1, purpose = "fine-tune"): FileFields {
  return { id, created_at, bytes: 1, filename: `${id}.jsonl`, purpose };
}

async function upload(at: TestGateway, form: Record<string, string>, path = "/v1/files") {
  const body = new FormData();
  body.set("file", new File(["x"], "a.jsonl"));
  body.set("purpose", "fine-tune");
  for (const [name, value] of Object.entries(form)) body.set(name, value);
  return body && { url: `${at.url}${path}`, init: { method: "POST", body } };
}

describe("hints", () => {
  test("are taken from path, then header, then query, then form, and never travel on", async () => {
    const states = {
      a: createMemoryState(),
      b: createMemoryState(),
      c: createMemoryState(),
      d: createMemoryState(),
    };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { default_provider: a }",
    });
    const send = async (path: string, header: string | undefined, form: string | undefined) => {
      const { url, init } = await upload(
        gateway as TestGateway,
        form === undefined ? {} : { custom_llm_provider: form },
        path,
      );
      const headers = header === undefined ? {} : { "custom-llm-provider": header };
      expect((await fetch(url, { ...init, headers })).status).toBe(200);
    };
    await send("/v1/files", undefined, undefined);
    expect(states.a.uploads).toHaveLength(1);
    await send("/v1/files", undefined, "b");
    expect(states.b.uploads).toHaveLength(1);
    await send("/v1/files?custom_llm_provider=c", undefined, "b");
    await send("/v1/files?provider=c", undefined, "b");
    expect(states.c.uploads).toHaveLength(2);
    await send("/v1/files?custom_llm_provider=c", "d", "b");
    expect(states.d.uploads).toHaveLength(1);
    await send("/b/v1/files?custom_llm_provider=c", "d", "a");
    expect(states.b.uploads).toHaveLength(2);
    for (const state of Object.values(states)) {
      for (const { extra } of state.uploads) expect(extra).toEqual([]);
    }
  });

  test("are taken from a JSON body and not passed on", async () => {
    const states = { a: createMemoryState(), b: createMemoryState() };
    gateway = await startMemoryGateway(states);
    const body = { model: "m", training_file: "file-1", custom_llm_provider: "b", new_field: [1] };
    await gateway.client.fineTuning.jobs.create(body as never);
    expect(states.b.requests).toEqual([{ model: "m", training_file: "file-1", new_field: [1] }]);
  });

  test("name a backend, or a provider, which means its first backend", async () => {
    const states = { a: createMemoryState(), b: createMemoryState() };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { default_provider: b }",
    });
    const { url, init } = await upload(gateway, { custom_llm_provider: "memory" });
    await fetch(url, init);
    expect(states.a.uploads).toHaveLength(1);
  });

  test("are taken from the body of a DELETE, which holds nothing else", async () => {
    const states = {
      a: createMemoryState(),
      b: createMemoryState({ files: [makeFile("file-1")] }),
    };
    gateway = await startMemoryGateway(states);
    const remove = async (body: string) =>
      await fetch(`${gateway?.url}/v1/files/file-1`, { method: "DELETE", body });
    expect((await remove('{"force":true}')).status).toBe(400);
    expect((await remove('{"custom_llm_provider":"a"}')).status).toBe(404);
    expect((await remove('{"custom_llm_provider":"b"}')).status).toBe(200);
  });

  test("that lead nowhere are refused: 404 in the path, else 400 naming the parameter", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState() });
    const path = await fetch(`${gateway.url}/nope/v1/files`);
    expect(path.status).toBe(404);
    expect(await path.json()).toEqual({
      error: {
        message: 'Cannot route to backend or provider "nope": configured are "a"',
        type: "invalid_request_error",
        param: null,
        code: "backend_not_found",
      },
    });
    const query = await fetch(`${gateway.url}/v1/files?provider=nope`);
    expect(query.status).toBe(400);
    expect(await query.json()).toMatchObject({ error: { param: "custom_llm_provider" } });
    const number = await fetch(`${gateway.url}/v1/fine_tuning/jobs/x/cancel`, {
      method: "POST",
      body: '{"custom_llm_provider":7}',
    });
    expect(await number.json()).toMatchObject({ error: { param: "custom_llm_provider" } });
  });
});

describe("without a hint", () => {
  test("uploads go to the preferred provider's backend, else to the first entry", async () => {
    const states = { a: createMemoryState(), openai: createMemoryState() };
    gateway = await startMemoryGateway(states);
    await gateway.client.files.create({
      file: await toFile(Buffer.from("x"), "x.jsonl"),
      purpose: "fine-tune",
    });
    expect(states.openai.uploads).toHaveLength(1);
    await gateway.stop();
    const others = { a: createMemoryState(), b: createMemoryState() };
    gateway = await startMemoryGateway(others);
    await gateway.client.files.create({
      file: await toFile(Buffer.from("x"), "x.jsonl"),
      purpose: "fine-tune",
    });
    expect(others.a.uploads).toHaveLength(1);
  });

  test("an id that the ledger knows goes to its backend alone", async () => {
    const states = { a: createMemoryState(), b: createMemoryState() };
    gateway = await startMemoryGateway(states);
    const { url, init } = await upload(gateway, { custom_llm_provider: "b" });
    const file = (await (await fetch(url, init)).json()) as { id: string };
    const job = await gateway.client.fineTuning.jobs.create({ model: "m", training_file: file.id });
    expect(states.b.jobs).toHaveLength(1);
    states.a.calls.length = 0;
    await gateway.client.files.retrieve(file.id);
    await gateway.client.fineTuning.jobs.retrieve(job.id);
    expect((await gateway.client.fineTuning.jobs.cancel(job.id)).status).toBe("cancelled");
    expect(states.a.calls).toEqual([]);
  });

  test("an id that the ledger does not know is asked for everywhere once, and remembered", async () => {
    const states = {
      a: createMemoryState(),
      b: createMemoryState({ jobs: [makeJob("ftjob-old")] }),
    };
    gateway = await startMemoryGateway(states);
    expect((await gateway.client.fineTuning.jobs.retrieve("ftjob-old")).id).toBe("ftjob-old");
    expect(states.a.calls).toEqual(["getJob"]);
    await gateway.client.fineTuning.jobs.retrieve("ftjob-old");
    expect(states.a.calls).toEqual(["getJob"]);
  });

  test("an id that has moved from the backend that the ledger names is found where it is", async () => {
    const states = {
      a: createMemoryState({ jobs: [makeJob("ftjob-1")], files: [makeFile("file-1")] }),
      b: createMemoryState(),
    };
    gateway = await startMemoryGateway(states);
    const { files, fineTuning } = gateway.client;
    const read = async () => [
      (await fineTuning.jobs.retrieve("ftjob-1")).id,
      (await files.retrieve("file-1")).id,
    ];
    expect(await read()).toEqual(["ftjob-1", "file-1"]);
    states.b.jobs.push(...states.a.jobs.splice(0));
    states.b.files.push(...states.a.files.splice(0));
    expect(await read()).toEqual(["ftjob-1", "file-1"]);
    states.a.calls.length = 0;
    expect(await read()).toEqual(["ftjob-1", "file-1"]);
    expect(states.a.calls).toEqual([]);
    states.b.jobs.length = 0;
    states.a.failure = new ApiError(500, "down");
    expect(await catchError(() => fineTuning.jobs.retrieve("ftjob-1"))).toMatchObject({
      status: 404,
    });
  });

  test("an id that nobody has is OpenAI's own 404", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState(), b: createMemoryState() });
    const { client } = gateway;
    expect(await catchError(() => client.files.retrieve("file-none"))).toMatchObject({
      status: 404,
      error: {
        message: "No such File object: file-none",
        param: "id",
        code: null,
        type: "invalid_request_error",
      },
    });
    expect(await catchError(() => client.fineTuning.jobs.retrieve("ftjob-none"))).toMatchObject({
      status: 404,
      error: {
        message: "Could not find fine tune: ftjob-none",
        param: "fine_tune_id",
        code: "fine_tune_not_found",
      },
    });
    const create = () => client.fineTuning.jobs.create({ model: "m", training_file: "file-none" });
    expect(await catchError(create)).toMatchObject({ status: 404, param: "training_file" });
  });

  test("an id that nobody reachable has is 502 while a backend is silent, within the budget", async () => {
    const states = { a: createMemoryState(), down: createMemoryState({ hangs: true, deaf: true }) };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { list_timeout_seconds: 0.1 }",
    });
    const { client } = gateway;
    expect(await catchError(() => client.files.retrieve("file-none"))).toMatchObject({
      status: 502,
      error: { code: "backend_unavailable" },
    });
  });

  test("a job is found by its list where the backend cannot retrieve one", async () => {
    const states = { a: createMemoryState(), b: createMemoryState({ jobs: [makeJob("ftjob-1")] }) };
    gateway = await startMemoryGateway(states, { methods: [] });
    expect((await gateway.client.fineTuning.jobs.retrieve("ftjob-1")).status).toBe("running");
  });
});

describe("operations that a backend lacks", () => {
  test("are refused naming backend and operation, and not repeated", async () => {
    const states = {
      a: createMemoryState({ jobs: [makeJob("ftjob-1")], files: [makeFile("file-1")] }),
    };
    gateway = await startMemoryGateway(states, { methods: ["getJob"] });
    for (const [method, path, words] of [
      ["POST", "/v1/fine_tuning/jobs/ftjob-1/pause", "pause a job"],
      ["POST", "/v1/fine_tuning/jobs/ftjob-1/resume", "resume a job"],
      ["GET", "/v1/fine_tuning/jobs/ftjob-1/events", "list the events of a job"],
      ["GET", "/v1/fine_tuning/jobs/ftjob-1/checkpoints", "list the checkpoints of a job"],
      ["GET", "/a/v1/files", "list files"],
      ["GET", "/v1/files", "list files"],
      ["GET", "/v1/files/file-1", "retrieve a file"],
      ["GET", "/v1/files/file-1/content", "download a file"],
      ["DELETE", "/v1/files/file-1", "delete a file"],
      ["POST", "/a/v1/fine_tuning/alpha/graders/run", "run a grader"],
      ["POST", "/a/v1/fine_tuning/alpha/graders/validate", "validate a grader"],
      ["GET", "/a/v1/fine_tuning/checkpoints/ft:m:o::x/permissions", "list permissions"],
      ["POST", "/a/v1/fine_tuning/checkpoints/ft:m:o::x/permissions", "create permissions"],
      ["DELETE", "/a/v1/fine_tuning/checkpoints/ft:m:o::x/permissions/p", "delete a permission"],
      ["GET", "/a/v1/models", "list models"],
    ] as const) {
      const response = await fetch(`${gateway.url}${path}`, { method });
      expect(response.status).toBe(400);
      expect(response.headers.get("x-should-retry")).toBe("false");
      const { error } = (await response.json()) as { error: { message: string; code: string } };
      expect(error.code).toBe("unsupported_operation");
      expect(error.message).toStartWith(`Cannot ${words} on backend "a": `);
    }
  });
});

describe("merged lists", () => {
  test("page exactly through the SDK, over backends with and without cursors of their own", async () => {
    const jobs = (name: string, count: number) =>
      Array.from({ length: count }, (_, at) =>
        makeJob(`ftjob-${name}${at}`, 100 - Math.floor(at / 3)),
      );
    const states = {
      a: createMemoryState({ jobs: jobs("a", 17), cursors: ["jobs"] }),
      b: createMemoryState({ jobs: jobs("b", 9) }),
      c: createMemoryState(),
    };
    gateway = await startMemoryGateway(states);
    const seen: string[] = [];
    for await (const job of gateway.client.fineTuning.jobs.list({ limit: 4 })) seen.push(job.id);
    expect(seen).toHaveLength(26);
    expect(new Set(seen).size).toBe(26);
    const whole = await gateway.client.fineTuning.jobs.list({ limit: 100 });
    expect(whole.data.map(({ id }) => id)).toEqual(seen);
    expect(whole.has_more).toBe(false);
  });

  test("of files take order and purpose, and name their ends", async () => {
    const states = {
      a: createMemoryState({ files: [makeFile("file-1", 1), makeFile("file-3", 3)] }),
      b: createMemoryState({ files: [makeFile("file-2", 2), makeFile("file-4", 4, "batch")] }),
    };
    gateway = await startMemoryGateway(states);
    const response = await fetch(`${gateway.url}/v1/files?order=asc&purpose=fine-tune&limit=2`);
    const first = (await response.json()) as Record<string, unknown>;
    expect(first).toMatchObject({
      object: "list",
      first_id: "file-1",
      last_id: "file-2",
      has_more: true,
    });
    const second = await gateway.client.files.list({
      order: "asc",
      purpose: "fine-tune",
      limit: 2,
      after: "file-2",
    });
    expect(second.data.map(({ id }) => id)).toEqual(["file-3"]);
    expect(second.has_more).toBe(false);
    const none = await (await fetch(`${gateway.url}/v1/files?purpose=evals`)).json();
    expect(none).toEqual({
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });

  test("of jobs filter by metadata, and by its absence in both spellings of the SDKs", async () => {
    const state = createMemoryState({
      jobs: [
        makeJob("ftjob-1", 3, { metadata: { team: "a b", n: "1" } }),
        makeJob("ftjob-2", 2, { metadata: {} }),
        makeJob("ftjob-3", 1),
      ],
    });
    gateway = await startMemoryGateway({ a: state });
    const list = async (query: string) => {
      const response = await fetch(`${gateway?.url}/v1/fine_tuning/jobs?${query}`);
      const { data } = (await response.json()) as { data: { id: string }[] };
      return data.map(({ id }) => id);
    };
    expect(await list("metadata%5Bteam%5D=a%20b&metadata[n]=1")).toEqual(["ftjob-1"]);
    expect(await list("metadata[team]=z")).toEqual([]);
    expect(await list("metadata[__proto__]=x")).toEqual([]);
    expect(await list("metadata=null")).toEqual(["ftjob-2", "ftjob-3"]);
    expect(await list("metadata=")).toEqual(["ftjob-2", "ftjob-3"]);
  });

  test("go on without a backend that is down or slow, and say so in a warning", async () => {
    const states = {
      good: createMemoryState({ files: [makeFile("file-1")] }),
      down: createMemoryState({ failure: new ApiError(502, "the backend is down") }),
      slow: createMemoryState({ hangs: true, deaf: true }),
      buggy: createMemoryState({ failure: new TypeError("undefined is not a function") }),
    };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { list_timeout_seconds: 0.1 }",
    });
    const response = await fetch(`${gateway.url}/v1/files`);
    expect(await response.json()).toMatchObject({ data: [{ id: "file-1" }], has_more: false });
    const warning = response.headers.get("warning") ?? "";
    expect(warning).toContain('199 tunegate "backend down is missing: it answered 502"');
    expect(warning).toContain("backend slow is missing: it did not answer in time");
    expect(warning).toContain("backend buggy is missing: it failed");
  });

  test("far down cost a call for each backend and not a walk from the start", async () => {
    const jobs = (name: string) =>
      Array.from({ length: 300 }, (_, at) => makeJob(`ftjob-${name}${at}`, 1000 - at));
    const states = {
      a: createMemoryState({ jobs: jobs("a"), cursors: ["jobs"] }),
      b: createMemoryState({ jobs: jobs("b"), cursors: ["jobs"] }),
    };
    gateway = await startMemoryGateway(states);
    let pages = 0;
    const seen = new Set<string>();
    for await (const page of (
      await gateway.client.fineTuning.jobs.list({ limit: 20 })
    ).iterPages()) {
      pages += 1;
      for (const { id } of page.data) seen.add(id);
    }
    expect({ pages, seen: seen.size }).toEqual({ pages: 30, seen: 600 });
    for (const { calls } of Object.values(states)) expect(calls).toHaveLength(30);
  });

  test("survive that the item which the ledger would start at is gone", async () => {
    const states = {
      a: createMemoryState({
        jobs: [makeJob("ftjob-a", 5), makeJob("ftjob-b", 1)],
        cursors: ["jobs"],
      }),
      b: createMemoryState({
        jobs: [makeJob("ftjob-c", 9), makeJob("ftjob-d", 2)],
        cursors: ["jobs"],
      }),
    };
    gateway = await startMemoryGateway(states);
    await gateway.client.fineTuning.jobs.list();
    states.b.jobs.shift();
    const rest = await gateway.client.fineTuning.jobs.list({ after: "ftjob-a" });
    expect(rest.data.map(({ id }) => id)).toEqual(["ftjob-d", "ftjob-b"]);
  });

  test("are 504 when every backend is too slow, and go on when the cursor's is busy", async () => {
    const states = {
      a: createMemoryState({ jobs: [makeJob("ftjob-a", 5)] }),
      b: createMemoryState({ jobs: [makeJob("ftjob-b", 1)] }),
    };
    gateway = await startMemoryGateway(states, {
      config: "general_settings: { list_timeout_seconds: 0.1 }",
    });
    await gateway.client.fineTuning.jobs.list();
    states.a.failure = new ApiError(429, "busy");
    const rest = await gateway.client.fineTuning.jobs.list({ after: "ftjob-a" });
    expect(rest.data.map(({ id }) => id)).toEqual(["ftjob-b"]);
    for (const state of Object.values(states)) Object.assign(state, { hangs: true, deaf: true });
    const slow = await fetch(`${gateway.url}/v1/fine_tuning/jobs`);
    expect(slow.status).toBe(504);
    expect(await slow.json()).toMatchObject({
      error: {
        message: 'Cannot list: "a", "b" did not answer in time',
        code: "backend_unavailable",
      },
    });
  });

  test("refuse a cursor that nobody has, and parameters that nobody knows", async () => {
    gateway = await startMemoryGateway({ a: createMemoryState(), b: createMemoryState() });
    for (const [query, param] of [
      ["after=ftjob-none", "after"],
      ["limit=0", "limit"],
      ["limit=1e3", "limit"],
      ["limit=10001", "limit"],
      ["limit=-1", "limit"],
      ["limit=", "limit"],
      ["limit=2&limit=3", "limit"],
      ["status=running", "status"],
      ["metadata=abc", "metadata"],
      ["metadata[=abc", "metadata["],
      ["metadata=null&metadata[a]=b", "metadata"],
    ] as const) {
      const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs?${query}`);
      expect({ query, status: response.status }).toEqual({ query, status: 400 });
      expect(await response.json()).toMatchObject({ error: { param } });
    }
    const order = await fetch(`${gateway.url}/v1/files?order=up`);
    expect(await order.json()).toMatchObject({ error: { param: "order" } });
  });
});
