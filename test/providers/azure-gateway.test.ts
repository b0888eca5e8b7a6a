import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { providers } from "../../providers/index.ts";
import { StartError } from "../../src/errors.ts";
import { type FakeAzure, startFakeAzure } from "../fakes/azure.ts";
import { type FakeEntra, startFakeEntra } from "../fakes/entra.ts";
import { makeDirectory } from "../support/directory.ts";
import { catchError, startTestGateway, type TestGateway } from "../support/gateway.ts";

// The unmodified SDK, through the gateway, to two resources: the classic API with a key, as in
// LiteLLM's sample, and v1 with Entra ID.

let entra: FakeEntra;
let classic: FakeAzure;
let v1: FakeAzure;
let gateway: TestGateway;
let client: OpenAI;

beforeEach(async () => {
  entra = await startFakeEntra();
  classic = await startFakeAzure({ apiKey: "classic-key" });
  v1 = await startFakeAzure({ acceptsToken: entra.accepts });
  const { tenantId, clientId, accepted } = entra;
  const key = `api_base: "${classic.url}", api_key: classic-key, api_version: "2023-03-15-preview"`;
  const registration = `api_base: "${v1.url}", tenant_id: ${tenantId}, client_id: ${clientId}, client_secret: "${accepted.secret}", authority_host: "${entra.url}"`;
  gateway = await startTestGateway({
    providers,
    config: `
finetune_settings:
  - { custom_llm_provider: azure, ${key} }
  - { custom_llm_provider: azure, name: sweden, ${registration} }
files_settings:
  - { custom_llm_provider: azure, ${key} }
  - { custom_llm_provider: azure, name: sweden, ${registration} }
`,
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "unused", maxRetries: 2 });
});

afterEach(async () => {
  await gateway.stop();
  await Promise.all([entra.stop(), classic.stop(), v1.stop()]);
});

async function upload(backend: string) {
  return await client.files.create({
    file: await toFile(Buffer.from("{}\n"), "träin.jsonl"),
    purpose: "fine-tune",
    custom_llm_provider: backend,
  } as never);
}

function countCreates(fake: FakeAzure): number {
  return fake.requests.filter(
    ({ method, path }) => method === "POST" && path.endsWith("/fine_tuning/jobs"),
  ).length;
}

describe.each(["azure", "sweden"])("on backend %s", (name) => {
  let fake: FakeAzure;
  beforeEach(() => {
    fake = name === "azure" ? classic : v1;
  });

  test("files and jobs live their whole life by id alone", async () => {
    fake.state.importing = ["pending", "running", "processed"];
    const { data, response } = await client.files
      .create({
        file: await toFile(Buffer.from("{}\n"), "train.jsonl"),
        purpose: "fine-tune",
        custom_llm_provider: name,
      } as never)
      .withResponse();
    expect(response.status).toBe(200);
    expect(data).toMatchObject({ object: "file", bytes: 3, status: "uploaded" });
    const request = { model: "gpt-4o-mini-2024-07-18", training_file: data.id };
    const created = await client.fineTuning.jobs
      .create({ ...request, hyperparameters: { n_epochs: "auto" } })
      .withResponse();
    expect(created.response.status).toBe(200);
    expect(created.data).toMatchObject({
      object: "fine_tuning.job",
      status: "queued",
      result_files: [],
      organization_id: "",
    });
    const { id } = created.data;
    expect((await client.fineTuning.jobs.retrieve(id)).training_file).toBe(data.id);
    const events = await client.fineTuning.jobs.listEvents(id);
    expect(events.data.map(({ level }) => level)).toEqual(["warn", "info"]);
    const checkpoints = await client.fineTuning.jobs.checkpoints.list(id);
    expect(checkpoints.data.map(({ step_number }) => step_number)).toEqual([20, 10]);
    expect((await client.fineTuning.jobs.cancel(id)).status).toBe("cancelled");
    expect(await (await client.files.content(data.id)).text()).toBe("{}\n");
    const deleted = await client.files.delete(data.id);
    expect(deleted).toEqual({ id: data.id, object: "file", deleted: true });
    const gone = await catchError(() => client.files.retrieve(data.id));
    expect(gone).toMatchObject({ status: 404 });
  });

  test("a conflict is told once, and the job is asked for once", async () => {
    const file = await upload(name);
    Object.assign(fake.state.files.get(file.id)?.object ?? {}, { status: "processed" });
    const body = '{"error":{"code":"conflict","message":"Too much at a time."}}';
    fake.inject({ method: "POST", times: 9, answer: { status: 409, body } });
    const error = await catchError(() =>
      client.fineTuning.jobs.create({ model: "m", training_file: file.id }),
    );
    expect(error).toMatchObject({ status: 409, code: "conflict" });
    expect(countCreates(fake)).toBe(1);
  });

  test("a job that is made but not answered for is asked for once", async () => {
    const file = await upload(name);
    Object.assign(fake.state.files.get(file.id)?.object ?? {}, { status: "processed" });
    fake.inject({ method: "POST", carriedOut: true, reset: true });
    const error = await catchError(() =>
      client.fineTuning.jobs.create({ model: "m", training_file: file.id }),
    );
    expect(error).toMatchObject({ status: 502 });
    expect(fake.state.jobs.size).toBe(1);
    expect(countCreates(fake)).toBe(1);
  });

  test("a file that could not be imported names its field", async () => {
    const file = await upload(name);
    const broken = { status: "error", status_details: "Line 1 is not an example." };
    Object.assign(fake.state.files.get(file.id)?.object ?? {}, broken);
    expect((await client.files.retrieve(file.id)).status_details).toBe(broken.status_details);
    const error = await catchError(() =>
      client.fineTuning.jobs.create({ model: "m", training_file: file.id }),
    );
    expect(error).toMatchObject({ status: 400, param: "training_file", code: "invalid_file" });
    expect(countCreates(fake)).toBe(0);
  });
});

test("what one API lacks is refused where it is lacking, and the job is left alone", async () => {
  const [old, other] = [classic, v1].map((fake) => fake.addJob(1000, { status: "running" }));
  const error = await catchError(() => client.fineTuning.jobs.pause(old?.id ?? ""));
  expect(error).toMatchObject({ status: 400, code: "unsupported_operation" });
  expect(old?.status).toBe("running");
  expect(classic.requests.some(({ method }) => method === "POST")).toBe(false);
  expect((await client.fineTuning.jobs.pause(other?.id ?? "")).status).toBe("paused" as never);
});

test("dpo, metadata and integrations are carried out or refused, never left out", async () => {
  const files = [classic, v1].map((fake) => fake.addFile(1000).id);
  const fields = {
    model: "gpt-4.1-2025-04-14",
    method: { type: "dpo", dpo: { hyperparameters: { beta: 0.1 } } },
    metadata: { team: "a" },
    integrations: [{ type: "wandb", wandb: { project: "p" } }],
  } as const;
  const [old = "", current = ""] = files;
  for (const [name, param] of [
    ["method", "method.type"],
    ["metadata", "metadata"],
    ["integrations", "integrations"],
  ] as const) {
    const request = { model: fields.model, training_file: old, [name]: fields[name] };
    const error = await catchError(() => client.fineTuning.jobs.create(request as never));
    expect(error).toMatchObject({ status: 400, param });
  }
  expect(countCreates(classic)).toBe(0);
  await client.fineTuning.jobs.create({ ...fields, training_file: current } as never);
  const sent = v1.requests.findLast(({ method }) => method === "POST");
  expect(JSON.parse(sent?.body.toString() ?? "")).toEqual({ ...fields, training_file: current });
});

test("the files and jobs of both are one list that pages exactly", async () => {
  const files: string[] = [];
  const jobs: string[] = [];
  for (let at = 0; at < 9; at++) {
    const fake = at % 2 === 0 ? classic : v1;
    files.unshift(fake.addFile(1000 + at).id);
    jobs.unshift(fake.addJob(1000 + at).id);
  }
  const page = await fetch(`${gateway.url}/v1/files?limit=4`);
  const ends = { has_more: true, first_id: files[0], last_id: files[3] };
  expect(await page.json()).toMatchObject({
    data: files.slice(0, 4).map((id) => ({ id })),
    ...ends,
  });
  const seen = { files: [] as string[], jobs: [] as string[] };
  for await (const file of client.files.list({ limit: 2 })) seen.files.push(file.id);
  for await (const job of client.fineTuning.jobs.list({ limit: 2 })) seen.jobs.push(job.id);
  expect(seen).toEqual({ files, jobs });
});

test("a credential that Azure does not accept is the gateway's fault, and named", async () => {
  entra.accepted.secret = "rotated";
  const error = await catchError(() =>
    client.fineTuning.jobs.list({ limit: 1 }, { query: { custom_llm_provider: "sweden" } }),
  );
  expect(error).toMatchObject({ status: 502 });
  expect(String(error)).toContain('token for backend "sweden"');
  expect(String(error)).toContain("AADSTS7000215");
  const secret = "s3cret~of";
  expect(String(error)).not.toContain(secret);
  expect(gateway.logLines.join("\n")).not.toContain(secret);
});

test("a token appears neither in an answer nor in the log", async () => {
  const { id } = v1.addJob(1000);
  const job = await client.fineTuning.jobs.retrieve(id);
  const token = v1.requests.at(-1)?.headers.get("authorization")?.replace("Bearer ", "") ?? "";
  expect(token).not.toBe("");
  expect(JSON.stringify(job) + gateway.logLines.join("\n")).not.toContain(token);
});

describe("a gateway of its own", () => {
  let directory: ReturnType<typeof makeDirectory>;
  beforeEach(() => {
    directory = makeDirectory();
  });
  afterEach(() => directory.remove());

  const start = (options: string) =>
    startTestGateway({
      providers,
      dataDirectory: directory.path,
      config: `finetune_settings: [{ custom_llm_provider: azure, api_base: "${classic.url}", ${options} }]`,
    });

  test("lets the SDK repeat a job whose file is still being imported", async () => {
    const impatient = await start(
      "api_key: classic-key, api_version: 2024-10-21, import_timeout: 0",
    );
    try {
      const { id } = classic.addFile(1000, { status: "pending" });
      classic.state.files.get(id)?.coming.push("pending", "pending", "processed");
      const patient = impatient.client.withOptions({ maxRetries: 2 });
      const job = await patient.fineTuning.jobs.create({ model: "m", training_file: id });
      expect(job.training_file).toBe(id);
      expect(countCreates(classic)).toBe(1);
    } finally {
      await impatient.stop();
    }
  });

  test("does not start with half a credential", async () => {
    const error = await catchError(() => start("client_secret: hunter2-secret"));
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toEndWith(
      'Cannot set up backend "azure": "client_secret" needs "tenant_id" beside it; add it',
    );
  });
});
