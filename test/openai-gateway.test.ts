import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { toFile } from "openai";
import { providers } from "../providers/index.ts";
import { type FakeOpenAI, startFakeOpenAI } from "./fakes/openai.ts";
import { catchError, startTestGateway, type TestGateway } from "./support/gateway.ts";

// The unmodified SDK, through the gateway, to servers that check what they receive.

let first: FakeOpenAI;
let second: FakeOpenAI;
let gateway: TestGateway;

beforeEach(async () => {
  first = await startFakeOpenAI({ apiKey: "sk-first-account" });
  second = await startFakeOpenAI({ apiKey: "sk-second-account" });
  gateway = await startTestGateway({
    providers,
    apiKey: "mk-gateway-key",
    environment: { FIRST_KEY: first.apiKey },
    config: `
general_settings: { master_key: mk-gateway-key, list_timeout_seconds: 2 }
finetune_settings:
  - { custom_llm_provider: openai, api_key: os.environ/FIRST_KEY, api_base: "${first.url}" }
  - { custom_llm_provider: openai, name: second, api_key: sk-second-account, api_base: "${second.url}/" }
  - { custom_llm_provider: local }
`,
  });
});

afterEach(async () => {
  await gateway.stop();
  const seen = [...first.violations, ...second.violations];
  await Promise.all([first.stop(), second.stop()]);
  expect(seen).toEqual([]);
});

const lines = Array.from({ length: 12 }, (_, at) =>
  JSON.stringify({
    messages: [
      { role: "user", content: `What is ${at}?` },
      { role: "assistant", content: `A number, ${at} 🎉` },
    ],
  }),
).join("\n");

async function uploadTo(backend: string) {
  return await gateway.client.files.create({
    file: await toFile(Buffer.from(lines), "träin.jsonl"),
    purpose: "fine-tune",
    custom_llm_provider: backend,
  } as never);
}

describe("files and jobs on OpenAI", () => {
  test("live their whole life by id alone, on the account where the file is", async () => {
    const { client } = gateway;
    const file = await uploadTo("second");
    expect(second.state.files.get(file.id)).toBeDefined();
    expect(first.state.files.size).toBe(0);
    expect((await client.files.waitForProcessing(file.id)).status).toBe("processed");
    const content = await client.files.content(file.id);
    expect(await content.text()).toBe(lines);
    const request = {
      model: "gpt-4o-mini-2024-07-18",
      training_file: file.id,
      suffix: "my-run",
      seed: 42,
      method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2 } } },
      metadata: { team: "a" },
      integrations: [{ type: "wandb", wandb: { project: "p" } }],
    } as const;
    const job = await client.fineTuning.jobs.create(request as never);
    expect(job._request_id).toMatch(/^req_/);
    const sent = second.requests.find(
      ({ method, path }) => method === "POST" && path === "/v1/fine_tuning/jobs",
    );
    expect(JSON.parse(sent?.body.toString() ?? "")).toEqual(request);
    second.advanceJob(job.id, "running");
    expect((await client.fineTuning.jobs.pause(job.id)).status).toBe("paused" as never);
    expect((await client.fineTuning.jobs.resume(job.id)).status).toBe("queued");
    second.advanceJob(job.id, "succeeded");
    const done = await client.fineTuning.jobs.retrieve(job.id);
    expect(done).toMatchObject({ status: "succeeded", user_provided_suffix: "my-run" });
    const events: string[] = [];
    for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 4 }))
      events.push(event.id);
    expect(new Set(events).size).toBe(events.length);
    expect(events.length).toBeGreaterThan(8);
    const checkpoints = await client.fineTuning.jobs.checkpoints.list(job.id, { limit: 2 });
    expect(checkpoints.data).toHaveLength(2);
    expect(checkpoints.has_more).toBe(true);
    const result = await client.files.content(done.result_files[0] ?? "");
    expect(result.headers.get("content-type")).toBe("application/octet-stream");
    expect(result.headers.get("content-length")).toBe(
      String((await result.arrayBuffer()).byteLength),
    );
    expect((await client.files.delete(file.id)).deleted).toBe(true);
  });

  test("merge into one list over accounts and the local backend, and page exactly", async () => {
    for (let at = 0; at < 7; at += 1) first.addJob(1_700_000_000 + at);
    for (let at = 0; at < 5; at += 1) second.addJob(1_700_000_003 + at);
    const ids: string[] = [];
    const times: number[] = [];
    for await (const job of gateway.client.fineTuning.jobs.list({ limit: 3 })) {
      ids.push(job.id);
      times.push(job.created_at);
    }
    expect(new Set(ids).size).toBe(12);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    const only = await gateway.client.fineTuning.jobs.list({}, { query: { provider: "second" } });
    expect(only.data).toHaveLength(5);
  });

  test("list models of every backend, owned by the backend's name", async () => {
    const { data } = await gateway.client.models.list();
    expect(data.some(({ id, owned_by }) => id === "tiny-lm" && owned_by === "local")).toBe(true);
    expect(new Set(data.map(({ owned_by }) => owned_by))).toEqual(
      new Set(["openai", "second", "local"]),
    );
    expect(await gateway.client.models.retrieve("tiny-lm")).toMatchObject({
      owned_by: "local",
      object: "model",
    });
    expect(await catchError(() => gateway.client.models.retrieve("none"))).toMatchObject({
      status: 404,
    });
  });

  test("go up in parts", async () => {
    const { client } = gateway;
    const upload = await client.uploads.create({
      filename: "a.jsonl",
      purpose: "fine-tune",
      bytes: 6,
      mime_type: "text/jsonl",
      custom_llm_provider: "second",
    } as never);
    const parts = await Promise.all(
      ["abc", "def"].map(
        async (data) =>
          await client.uploads.parts.create(upload.id, {
            data: await toFile(Buffer.from(data), "p"),
          }),
      ),
    );
    const done = await client.uploads.complete(upload.id, { part_ids: parts.map(({ id }) => id) });
    expect(done).toMatchObject({ status: "completed", file: { bytes: 6 } });
    expect(await (await client.files.content(done.file?.id ?? "")).text()).toBe("abcdef");
    const other = await client.uploads.create({
      filename: "b",
      purpose: "fine-tune",
      bytes: 1,
      mime_type: "text/jsonl",
    });
    expect((await client.uploads.cancel(other.id)).status).toBe("cancelled");
    expect(await catchError(() => client.uploads.cancel("upload_none"))).toMatchObject({
      status: 404,
    });
  });

  test("grade, and share checkpoints", async () => {
    const grader = {
      type: "string_check",
      name: "g",
      input: "{{sample.output_text}}",
      reference: "x",
      operation: "eq",
    } as const;
    expect(await gateway.client.fineTuning.alpha.graders.validate({ grader })).toMatchObject({
      grader,
    });
    expect(
      await gateway.client.fineTuning.alpha.graders.run({ grader, model_sample: "x", item: {} }),
    ).toMatchObject({ reward: expect.any(Number) });
    const model = "ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd";
    const path = `${gateway.url}/second/v1/fine_tuning/checkpoints/${model}/permissions`;
    const headers = { authorization: "Bearer mk-gateway-key" };
    const created = await fetch(path, {
      method: "POST",
      headers,
      body: '{"project_ids":["proj_1"]}',
    });
    const { data } = (await created.json()) as { data: { id: string }[] };
    expect(data).toHaveLength(1);
    const listed = (await (await fetch(`${path}?limit=5&order=ascending`, { headers })).json()) as {
      data: unknown[];
    };
    expect(listed.data).toHaveLength(1);
    const deleted = await fetch(`${path}/${data[0]?.id}`, { method: "DELETE", headers });
    expect(await deleted.json()).toMatchObject({ deleted: true });
  });
});

describe("failures of OpenAI", () => {
  test("a wrong key of ours is 502 naming the backend, never 401", async () => {
    first.inject({
      answer: {
        status: 401,
        body: JSON.stringify({
          error: {
            message: "Incorrect API key provided: sk-first-account",
            type: "invalid_request_error",
            param: null,
            code: "invalid_api_key",
          },
        }),
      },
    });
    const error = await catchError(() =>
      gateway.client.fineTuning.jobs.retrieve("ftjob-x", {
        query: { provider: "openai" },
      } as never),
    );
    expect(error).toMatchObject({ status: 502 });
    expect(String(error)).toContain('"openai"');
    expect(String(error)).not.toContain("sk-first");
    expect(gateway.logLines.join("\n")).not.toContain("sk-first-account");
  });

  test("403 training_not_available passes whole and names the other backends", async () => {
    await first.stop();
    first = await startFakeOpenAI({ apiKey: "sk-first-account", trainingClosed: true });
    await gateway.stop();
    gateway = await startTestGateway({
      providers,
      config: `
finetune_settings:
  - { custom_llm_provider: openai, api_key: sk-first-account, api_base: "${first.url}" }
  - { custom_llm_provider: local }
`,
    });
    const file = await uploadTo("openai");
    const create = () =>
      gateway.client.fineTuning.jobs.create({ model: "gpt-4o-mini", training_file: file.id });
    const error = await catchError(create);
    expect(error).toMatchObject({ status: 403, code: "training_not_available" });
    expect(String(error)).toContain("winding down");
    expect(String(error)).toContain('Other configured backends that could take the job: "local"');
  });

  test("a create that is answered with 500, garbage or silence is sent once", async () => {
    const file = await uploadTo("openai");
    const patient = gateway.client.withOptions({ maxRetries: 2 });
    for (const fault of [
      { status: 500, body: "{}" },
      { status: 200, body: "<html>" },
      { status: 200, body: "" },
    ]) {
      first.inject({ answer: fault });
      const before = first.requests.length;
      const error = await catchError(() =>
        patient.fineTuning.jobs.create({ model: "gpt-4o-mini", training_file: file.id }),
      );
      expect(error).toMatchObject({ status: 502 });
      expect(first.requests.length - before).toBe(1);
    }
  });

  test("one account that is down takes nothing else with it", async () => {
    first.addJob(5);
    second.addJob(6);
    await second.stop();
    const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs`, {
      headers: { authorization: "Bearer mk-gateway-key" },
    });
    expect(((await response.json()) as { data: unknown[] }).data).toHaveLength(1);
    expect(response.headers.get("warning")).toContain("backend second is missing");
    second = await startFakeOpenAI();
  });
});

describe("the ledger", () => {
  test("that is lost is rebuilt by use: an id alone still finds its backend", async () => {
    const job = second.addJob(1_700_000_000);
    expect((await gateway.client.fineTuning.jobs.retrieve(job.id)).id).toBe(job.id);
    const asked = first.requests.length;
    await gateway.client.fineTuning.jobs.retrieve(job.id);
    expect(first.requests.length).toBe(asked);
  });
});
