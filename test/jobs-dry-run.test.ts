import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as v from "valibot";
import { providers } from "../providers/index.ts";
import type { Fields } from "../src/provider.ts";
import { AnyObject } from "../src/upstream/objects.ts";
import { postJob, startCostGateway, writeReports } from "./cost/gateway.ts";
import { makeReport, published } from "./cost/support.ts";
import { type FakeAzure, startFakeAzure } from "./fakes/azure.ts";
import { type FakeStorage, startFakeStorage } from "./fakes/google/storage.ts";
import { type FakeTokens, startFakeTokens } from "./fakes/google/token.ts";
import { type FakeVertex, startFakeVertex } from "./fakes/google/vertex.ts";
import { createMemoryState } from "./fakes/memory.ts";
import { type FakeOpenAI, startFakeOpenAI } from "./fakes/openai.ts";
import { makeDirectory } from "./support/directory.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const dryRun = "?dry_run=true";

describe("a dry run of a job", () => {
  let gateway: TestGateway;
  let state = createMemoryState();

  async function start(config = ""): Promise<void> {
    state = createMemoryState();
    const unknown = makeReport(null, { examples: 12 });
    const reports = { "file-1": makeReport(), "file-3": unknown };
    gateway = await startCostGateway({ state, config, reports });
  }
  afterEach(() => gateway.stop());

  const request = { model: "big-1", training_file: "file-1" };

  test("answers with request, epochs, tokens and cost, and creates nothing", async () => {
    await start();
    const response = await postJob(gateway, request, dryRun);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-request-id")).toStartWith("req_");
    const { tokens } = makeReport();
    expect(await response.json()).toEqual({
      object: "fine_tuning.job.dry_run",
      backend: "main",
      request,
      request_is_exact: false,
      training_file: { id: "file-1", format: "chat", bytes: 50_000, examples: 100, tokens },
      hyperparameters: { n_epochs: 3, batch_size: "auto", learning_rate_multiplier: "auto" },
      billable_tokens: 27_000,
      estimated_cost: { usd: 0.675, tokens: 27_000, usd_per_million_tokens: 25, ...published },
      reason: null,
      assumptions: [expect.stringContaining('"n_epochs" is taken as 3')],
      cost_limit_usd: null,
      cost_limit_checked: false,
    });
    expect(state.calls).not.toContain("createJob");
    expect((await gateway.client.fineTuning.jobs.list()).data).toEqual([]);
  });

  test("says why there is no cost", async () => {
    await start();
    const { training_file, ...unknown } = await read(
      await postJob(gateway, { ...request, training_file: "file-2" }, dryRun),
    );
    expect(training_file).toEqual({
      id: "file-2",
      format: null,
      bytes: null,
      examples: null,
      tokens: null,
    });
    expect(unknown).toMatchObject({
      hyperparameters: { n_epochs: "auto" },
      billable_tokens: null,
      estimated_cost: null,
      reason: 'The tokens of the file "file-2" are not known to the gateway',
    });
    expect(
      await read(await postJob(gateway, { ...request, training_file: "file-3" }, dryRun)),
    ).toMatchObject({
      training_file: { examples: 12, tokens: null },
      hyperparameters: { n_epochs: 8 },
      estimated_cost: null,
    });
    expect(
      await read(await postJob(gateway, { ...request, model: "unheard-of" }, dryRun)),
    ).toMatchObject({ billable_tokens: 30_000, estimated_cost: null });
  });

  test("is refused as the job would be by max_job_cost_usd", async () => {
    await start("general_settings: { max_job_cost_usd: 0.5 }");
    const [dry, real] = await Promise.all([
      postJob(gateway, request, dryRun),
      postJob(gateway, request),
    ]);
    expect(dry.status).toBe(400);
    expect(await dry.json()).toMatchObject({ error: { code: "cost_limit_exceeded" } });
    expect(real.status).toBe(400);
    const cheap = await postJob(gateway, { ...request, hyperparameters: { n_epochs: 1 } }, dryRun);
    expect(await read(cheap)).toMatchObject({ cost_limit_usd: 0.5, cost_limit_checked: true });
    const other = await postJob(gateway, { ...request, training_file: "file-2" }, dryRun);
    expect(await read(other)).toMatchObject({ cost_limit_usd: 0.5, cost_limit_checked: false });
  });

  test.each<[string, Fields | readonly string[], string]>([
    ["no model", { training_file: "file-1" }, ""],
    ["a suffix that is no string", { ...request, suffix: 7 }, ""],
    ["a body that is a list", ["x"], ""],
    ["an unknown backend", request, "&custom_llm_provider=nowhere"],
    ["an unknown query parameter", request, "&dry=1"],
  ])("is refused as the job would be for %s", async (_name, body, more) => {
    await start();
    const send = async (query: string) => {
      const text = JSON.stringify(body);
      const response = await fetch(`${gateway.url}/v1/fine_tuning/jobs${query}`, {
        method: "POST",
        body: text,
      });
      return { status: response.status, body: await response.json() };
    };
    const dry = await send(`${dryRun}${more}`);
    expect(dry.status).toBe(400);
    expect(dry).toEqual(await send(`?dry_run=false${more}`));
    expect(state.calls).not.toContain("createJob");
  });

  test.each(["1", "yes", "", "TRUE", "true&dry_run=false"])(
    "is refused, and no job created, for dry_run=%s",
    async (value) => {
      await start();
      const response = await postJob(gateway, request, `?dry_run=${value}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { param: "dry_run" } });
      expect(state.calls).toEqual([]);
    },
  );

  test("with dry_run=false is no dry run", async () => {
    await start();
    expect(await read(await postJob(gateway, request, "?dry_run=false"))).toMatchObject({
      object: "fine_tuning.job",
      status: "queued",
    });
    expect(state.requests).toEqual([request]);
  });
});

describe("a dry run shows what would be sent, and sends nothing,", () => {
  let gateway: TestGateway;
  let openai: FakeOpenAI;
  let azure: FakeAzure;
  let tokens: FakeTokens;
  let storage: FakeStorage;
  let vertex: FakeVertex;
  let directory: ReturnType<typeof makeDirectory>;

  beforeEach(async () => {
    openai = await startFakeOpenAI();
    azure = await startFakeAzure();
    tokens = await startFakeTokens();
    const accepts = (token: string) => tokens.tokens.includes(token);
    storage = await startFakeStorage({ accepts });
    storage.addObject("train.jsonl", "{}\n");
    const exists = (uri: string) => storage.objects.has(uri.replace("gs://bucket/", ""));
    vertex = await startFakeVertex({ accepts, exists });
    const google = {
      custom_llm_provider: "vertex_ai",
      vertex_project: vertex.project,
      vertex_credentials: JSON.stringify(tokens.serviceAccount),
      gcs_bucket_name: "bucket",
      api_base: vertex.url,
      storage_base: storage.origin,
      labels: { team: "research" },
    };
    const key = `custom_llm_provider: azure, api_base: "${azure.url}", api_key: ${azure.apiKey}`;
    directory = makeDirectory();
    const counted = { "gs://bucket/train.jsonl": makeReport({ limit: 131_072, billable: 10_000 }) };
    await writeReports(directory.path, "vertex_ai", counted);
    gateway = await startTestGateway({
      providers,
      validateFiles: "refuse",
      dataDirectory: directory.path,
      config: `
finetune_settings:
  - { custom_llm_provider: openai, api_key: ${openai.apiKey}, api_base: "${openai.url}" }
  - { ${key} }
  - { ${key}, name: classic, api_version: "2024-10-21" }
  - ${JSON.stringify(google)}
  - { custom_llm_provider: local }
`,
    });
  });
  afterEach(async () => {
    await gateway.stop();
    await Promise.all([openai, azure, tokens, storage, vertex].map((fake) => fake.stop()));
    directory.remove();
  });

  /** Sends a request twice, dry and not; returns the preview and what reached the service then. */
  async function compare(
    backend: string,
    request: Fields,
    requests: readonly { readonly method: string; readonly path: string; readonly body: Buffer }[],
  ) {
    const sent = () =>
      requests.filter(({ method, path }) => method === "POST" && /obs$/.test(path));
    const before = sent().length;
    const preview = await read(
      await postJob(gateway, request, `${dryRun}&custom_llm_provider=${backend}`),
    );
    expect(sent()).toHaveLength(before);
    const created = await postJob(gateway, request, `?custom_llm_provider=${backend}`);
    expect(created.status).toBe(200);
    expect(sent()).toHaveLength(before + 1);
    const body: unknown = JSON.parse(sent().at(-1)?.body.toString() ?? "");
    return { preview, body };
  }

  /** Uploads twelve examples that are alike. */
  async function upload(backend: string) {
    const lines = Array.from({ length: 12 }, (_, at) => {
      const messages = [
        { role: "user", content: `What is ${at}?` },
        { role: "assistant", content: `A number, ${at}` },
      ];
      return `${JSON.stringify({ messages })}\n`;
    });
    return await gateway.client.files.create({
      file: new File(lines, "train.jsonl"),
      purpose: "fine-tune",
      custom_llm_provider: backend,
    } as never);
  }

  test("with the cost of a file that was uploaded just now, once its tokens are counted", async () => {
    const { id } = await upload("openai");
    const request = { model: "gpt-4o-mini-2024-07-18", training_file: id };
    const preview = await read(await postJob(gateway, request, dryRun));
    expect(preview).toMatchObject({
      backend: "openai",
      training_file: { format: "chat", examples: 12, tokens: { status: "done" } },
      hyperparameters: { n_epochs: 8 },
      estimated_cost: { usd_per_million_tokens: 3, date: "2026-11-22" },
      assumptions: [expect.stringContaining('"n_epochs" is taken as 8')],
    });
    // Each example: 3 for itself, 3 for each message, and the two roles; the rest are the texts.
    expect(preview.billable_tokens).toBeGreaterThan(8 * 12 * 11);
    expect(openai.requests.filter(({ path }) => path.endsWith("/jobs"))).toEqual([]);
  });

  test("to OpenAI", async () => {
    const { id } = openai.addFile(1000);
    const request = { model: "gpt-4.1-mini-2025-04-14", training_file: id, suffix: "näme" };
    const { preview, body } = await compare("openai", request, openai.requests);
    expect(preview).toMatchObject({ backend: "openai", request_is_exact: true, request });
    expect(body).toEqual(request);
  });

  test.each(["azure", "classic"])("to Azure's backend %s", async (backend) => {
    const { id } = azure.addFile(1000);
    const request = {
      model: "gpt-4o-mini-2024-07-18",
      training_file: id,
      suffix: null,
      hyperparameters: { n_epochs: 2, batch_size: "auto" },
    };
    const { preview, body } = await compare(backend, request, azure.requests);
    expect(preview).toMatchObject({ backend, request_is_exact: true, request: body });
    expect(preview.request).toEqual(body);
    expect(preview).toMatchObject({
      hyperparameters: { n_epochs: 2 },
      estimated_cost: null,
      reason: expect.stringContaining("No price of training"),
    });
  });

  test("to Vertex AI, with its price", async () => {
    const request = {
      model: "gemini-2.5-flash",
      training_file: "gs://bucket/train.jsonl",
      hyperparameters: { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: "auto" },
      metadata: { run: "7" },
    };
    const posted = vertex.requests;
    const sent = () => posted.filter(({ method }) => method === "POST").length;
    const preview = await read(
      await postJob(gateway, request, `${dryRun}&custom_llm_provider=vertex_ai`),
    );
    expect(sent()).toBe(0);
    await postJob(gateway, request, "?custom_llm_provider=vertex_ai");
    expect(sent()).toBe(1);
    expect(preview.request).toEqual(JSON.parse(posted.at(-1)?.body.toString() ?? ""));
    expect(preview).toMatchObject({
      request: { labels: { team: "research", run: "7" } },
      billable_tokens: 20_000,
      estimated_cost: { usd: 0.1, usd_per_million_tokens: 5 },
      assumptions: ["Tokens are counted with o200k_base; the model may count otherwise"],
    });
  });

  test("to a trainer of its own", async () => {
    const file = await upload("local");
    const request = { model: "tiny-lm", training_file: file.id, seed: 7 };
    const response = await postJob(gateway, request, `${dryRun}&custom_llm_provider=local`);
    expect(await read(response)).toMatchObject({
      backend: "local",
      request_is_exact: true,
      request: {
        ...request,
        validation_file: null,
        suffix: null,
        method: { type: "supervised", supervised: { hyperparameters: {} } },
        metadata: null,
      },
    });
    expect((await gateway.client.fineTuning.jobs.list()).data).toEqual([]);
  });

  test.each<[string, string, Fields]>([
    ["azure", "a suffix with a space", { suffix: "my run" }],
    ["azure", "a file that could not be imported", { training_file: "broken" }],
    ["classic", "metadata", { metadata: { a: "b" } }],
    ["vertex_ai", "a seed", { seed: 7 }],
    ["vertex_ai", "a file that is not there", { training_file: "gs://bucket/none.jsonl" }],
    ["vertex_ai", "reinforcement", { method: { type: "reinforcement" } }],
    ["local", "a model that it does not have", {}],
    ["local", "an unknown field", { model: "tiny-lm", colour: "red" }],
    ["local", "a file that is not there", { model: "tiny-lm" }],
  ])("and is refused by %s as the job would be for %s", async (backend, _name, fields) => {
    const broken = azure.addFile(1000, { status: "error" });
    const training_file =
      fields.training_file === "broken"
        ? broken.id
        : (fields.training_file ?? "gs://bucket/train.jsonl");
    const request = { model: "gemini-2.5-flash", ...fields, training_file };
    const ask = async (query: string) => {
      const response = await postJob(gateway, request, query);
      return { status: response.status, body: await response.json() };
    };
    const dry = await ask(`${dryRun}&custom_llm_provider=${backend}`);
    expect(dry.status).toBeOneOf([400, 404]);
    expect(dry).toEqual(await ask(`?custom_llm_provider=${backend}`));
  });

  test("and fails as the job would where the service is down", async () => {
    azure.inject({ method: "GET", times: 3, answer: { status: 503, body: "{}" } });
    const { id } = azure.addFile(1000);
    const request = { model: "gpt-4o-mini-2024-07-18", training_file: id };
    const response = await postJob(gateway, request, `${dryRun}&custom_llm_provider=azure`);
    expect(response.status).toBe(502);
    expect(azure.requests.filter(({ method }) => method === "POST")).toEqual([]);
  });
});

async function read(response: Response): Promise<Fields> {
  const body: unknown = await response.json();
  expect({ status: response.status, body }).toMatchObject({ status: 200 });
  return v.parse(AnyObject, body);
}
