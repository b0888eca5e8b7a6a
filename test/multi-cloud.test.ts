import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { toFile } from "openai";
import { providers } from "../providers/index.ts";
import { type FakeTokens, startFakeTokens } from "./fakes/google/token.ts";
import { type FakeOpenAI, startFakeOpenAI } from "./fakes/openai.ts";
import { type Clouds, cloudModels, startClouds } from "./sdk/clouds.ts";
import { makeDirectory } from "./support/directory.ts";
import { catchError, startTestGateway, type TestGateway } from "./support/gateway.ts";

// The unmodified SDK, and one gateway with a backend of every provider and two of Azure, on fakes
// of their services: config.yaml has the shape of LiteLLM's sample.

const models = {
  ...cloudModels,
  openai: "gpt-4.1-mini-2025-04-14",
  local: "tiny-lm",
} as const;
// In the order of the configuration, which decides between objects of one second.
const names = ["azure", "sweden", "vertex_ai", "openai", "local"] as const;
type Name = (typeof names)[number];

let tokens: FakeTokens | undefined;
let clouds: Clouds;
let openai: FakeOpenAI;
let directory: ReturnType<typeof makeDirectory>;
let gateway: TestGateway;

beforeEach(async () => {
  tokens ??= await startFakeTokens();
  clouds = await startClouds(tokens);
  openai = await startFakeOpenAI({ apiKey: "sk-key-of-the-account" });
  directory = makeDirectory();
  await start();
});
afterEach(async () => {
  const { jobs } = gateway.client.fineTuning;
  // Trainers go on when their gateway stops.
  for await (const { id, status } of jobs.list({}, query("local"))) {
    if (status !== "cancelled") await jobs.cancel(id);
  }
  await gateway.stop();
  const { violations } = openai;
  await Promise.all([clouds.stop(), openai.stop()]);
  directory.remove();
  expect(violations).toEqual([]);
});
afterAll(() => tokens?.stop());

async function start(): Promise<void> {
  const entries = `${clouds.entries}  - custom_llm_provider: openai
    api_key: os.environ/OPENAI_API_KEY
    api_base: ${openai.url}
`;
  gateway = await startTestGateway({
    providers,
    dataDirectory: directory.path,
    environment: { ...clouds.environment, OPENAI_API_KEY: openai.apiKey },
    config: `finetune_settings:
${entries}  - { custom_llm_provider: local, trainer: [sleep, "600"] }
files_settings:
${entries}`,
  });
}

/** Starts the gateway anew, without anything that it has noted of files and jobs. */
async function forget(): Promise<void> {
  await gateway.stop();
  for (const end of ["", "-wal", "-shm"]) {
    rmSync(join(directory.path, `ledger.sqlite${end}`), { force: true });
  }
  await start();
}

/** Options of a call of the SDK, which take the place of its parameters. */
const query = (backend: string, more: object = {}) => ({
  query: { ...more, custom_llm_provider: backend },
});

const content = Array.from({ length: 12 }, (_, at) =>
  JSON.stringify({
    messages: [
      { role: "user", content: `Was ist ${at}? 🎉` },
      { role: "assistant", content: `Eine Zahl — ${at}` },
    ],
  }),
).join("\n");

async function upload(backend: Name) {
  return await gateway.client.files.create({
    file: await toFile(Buffer.from(content), "träin.jsonl"),
    purpose: "fine-tune",
    custom_llm_provider: backend,
  } as never);
}

/** The backends that have a file or a job, asked one by one. */
async function findOwners(kind: "files" | "jobs", id: string): Promise<readonly string[]> {
  const owners: string[] = [];
  for (const name of names) {
    if ((await listIds(kind, name)).includes(id)) owners.push(name);
  }
  return owners;
}

async function listIds(kind: "files" | "jobs", backend: Name): Promise<readonly string[]> {
  const { client } = gateway;
  const list =
    kind === "files"
      ? client.files.list({}, query(backend))
      : client.fineTuning.jobs.list({}, query(backend));
  const ids: string[] = [];
  for await (const { id } of list) ids.push(id);
  return ids;
}

describe.each(names)("on backend %s", (name) => {
  test.each(["with the ledger", "with an empty ledger"])(
    "files and jobs live their whole life by id alone, %s",
    async (ledger) => {
      const file = await upload(name);
      expect(file).toMatchObject({ object: "file", filename: "träin.jsonl", purpose: "fine-tune" });
      expect(file.bytes).toBe(Buffer.byteLength(content));
      if (ledger === "with an empty ledger") await forget();
      const { files, fineTuning } = gateway.client;
      const { jobs } = fineTuning;
      const stored = await files.waitForProcessing(file.id, { pollInterval: 1 });
      expect(stored).toMatchObject({ id: file.id, status: "processed", bytes: file.bytes });
      expect(await findOwners("files", file.id)).toEqual([name]);
      const created = await jobs.create({ model: models[name], training_file: file.id });
      expect(created).toMatchObject({ object: "fine_tuning.job", training_file: file.id });
      expect(created.model).toBe(models[name]);
      expect(await findOwners("jobs", created.id)).toEqual([name]);
    },
  );

  test("jobs are read, told of and cancelled by id alone after the ledger is lost", async () => {
    const file = await upload(name);
    await gateway.client.files.waitForProcessing(file.id, { pollInterval: 1 });
    const { id, created_at } = await gateway.client.fineTuning.jobs.create({
      model: models[name],
      training_file: file.id,
    });
    await forget();
    const { jobs } = gateway.client.fineTuning;
    expect(await jobs.retrieve(id)).toMatchObject({ id, created_at, training_file: file.id });
    await forget();
    const messages: string[] = [];
    for await (const event of gateway.client.fineTuning.jobs.listEvents(id, { limit: 1 })) {
      messages.push(event.message);
    }
    expect(messages.length).toBeGreaterThan(0);
    await forget();
    const checkpoints = await gateway.client.fineTuning.jobs.checkpoints.list(id);
    expect(checkpoints.data).toBeArray();
    await forget();
    const cancelled = await gateway.client.fineTuning.jobs.cancel(id);
    expect(cancelled).toMatchObject({ id, status: "cancelled" });
    await forget();
    const { files } = gateway.client;
    expect(await (await files.content(file.id)).text()).toBe(content);
    await forget();
    expect(await gateway.client.files.delete(file.id)).toMatchObject({ deleted: true });
    const gone = await catchError(() => gateway.client.files.retrieve(file.id));
    expect(gone).toMatchObject({ status: 404 });
  });

  test("a hint in the path, a header, the query or the body leads there, and no further", async () => {
    const { url } = gateway;
    const ways: readonly (readonly [path: string, headers: object, field: boolean])[] = [
      [`/${name}/v1/files`, {}, false],
      ["/v1/files", { "custom-llm-provider": name }, false],
      [`/v1/files?custom_llm_provider=${name}`, {}, false],
      [`/v1/files?provider=${name}`, {}, false],
      ["/v1/files", {}, true],
    ];
    for (const [path, headers, field] of ways) {
      const form = new FormData();
      // As openai-node has it: the file before its purpose.
      form.append("file", new File([content], "a.jsonl"));
      form.append("purpose", "fine-tune");
      if (field) form.append("custom_llm_provider", name);
      const init = { method: "POST", body: form, headers: { ...headers } };
      const response = await fetch(`${url}${path}`, init);
      const file = (await response.json()) as { id: string; bytes: number };
      expect(response.status).toBe(200);
      expect(file.bytes).toBe(Buffer.byteLength(content));
      expect(await listIds("files", name)).toContain(file.id);
    }
    const { files } = gateway.client;
    const [training_file = ""] = await listIds("files", name);
    await files.waitForProcessing(training_file, { pollInterval: 1 });
    for (const [path, headers, field] of ways) {
      const hint = field ? { custom_llm_provider: name } : {};
      const body = JSON.stringify({ model: models[name], training_file, ...hint });
      const init = { method: "POST", body, headers: { ...headers } };
      const response = await fetch(`${url}${path.replace("files", "fine_tuning/jobs")}`, init);
      expect(response.status).toBe(200);
    }
    for (const other of names) {
      const count = other === name ? ways.length : 0;
      expect(await listIds("files", other)).toHaveLength(count);
      expect(await listIds("jobs", other)).toHaveLength(count);
    }
  });
});

/** Objects on every backend, some of one second. */
async function fill(): Promise<void> {
  const now = Math.floor(Date.now() / 1000) - 100;
  for (let at = 0; at < 4; at += 1) {
    openai.addJob(now + at);
    openai.addFile(now + at);
    clouds.classic.addJob(now + 2 * at);
    clouds.classic.addFile(now + at);
    clouds.sweden.addJob(now + at);
    clouds.sweden.addFile(now + 2 * at);
    const createTime = new Date((now + at) * 1000).toISOString();
    clouds.google.vertex.addJob({ createTime });
    await upload("vertex_ai");
  }
  const file = await upload("local");
  for (let at = 0; at < 2; at += 1) {
    await gateway.client.fineTuning.jobs.create({ model: "tiny-lm", training_file: file.id });
  }
}

interface Listed {
  readonly id: string;
  readonly created_at: number;
}

async function collect(pages: AsyncIterable<Listed>): Promise<readonly string[]> {
  return (await Array.fromAsync(pages)).map(({ id }) => id);
}

/** The list that merging must give: by time, then by the configuration, then as each has it. */
async function expectMerged(
  list: (backend: Name) => AsyncIterable<Listed>,
  order: "asc" | "desc" = "desc",
): Promise<readonly string[]> {
  const all = await Promise.all(
    names.map(async (name, rank) =>
      (await Array.fromAsync(list(name))).map((item) => ({ ...item, rank })),
    ),
  );
  const sign = order === "desc" ? 1 : -1;
  const merged = all.flat().sort((a, b) => sign * (b.created_at - a.created_at || a.rank - b.rank));
  return merged.map(({ id }) => id);
}

describe("merged lists", () => {
  beforeEach(fill);

  test.each([1, 2, 5, 7, 100])("of jobs page exactly with limit %d", async (limit) => {
    const { jobs } = gateway.client.fineTuning;
    const expected = await expectMerged((name) => jobs.list({}, query(name)));
    expect(expected).toHaveLength(18);
    expect(await collect(jobs.list({ limit }))).toEqual(expected);
  });

  test.each([1, 2, 5, 100])(
    "of files page exactly with limit %d, in both orders",
    async (limit) => {
      const { files } = gateway.client;
      for (const order of ["asc", "desc"] as const) {
        const expected = await expectMerged(
          (name) => files.list({}, query(name, { order })),
          order,
        );
        expect(expected).toHaveLength(17);
        expect(await collect(files.list({ limit, order }))).toEqual(expected);
      }
    },
  );

  test("page exactly when the ledger is lost between the pages", async () => {
    const { jobs } = gateway.client.fineTuning;
    const expected = await expectMerged((name) => jobs.list({}, query(name)));
    const found: string[] = [];
    for (let after: string | undefined; found.length < expected.length; after = found.at(-1)) {
      await forget();
      const cursor = after === undefined ? {} : { after };
      const page = await gateway.client.fineTuning.jobs.list({ limit: 5, ...cursor });
      expect(page.data.length).toBeGreaterThan(0);
      found.push(...page.data.map(({ id }) => id));
    }
    expect(found).toEqual([...expected]);
  });

  const services: readonly (readonly [Name, () => Promise<void>])[] = [
    ["azure", () => clouds.classic.stop()],
    ["sweden", () => clouds.sweden.stop()],
    ["vertex_ai", () => clouds.google.stop()],
    ["openai", () => openai.stop()],
  ];

  test.each(services)("go on without %s, and say so", async (down, stop) => {
    const { jobs } = gateway.client.fineTuning;
    const { files } = gateway.client;
    const rest = async (kind: "files" | "jobs") => {
      const ids = names.filter((name) => name !== down).map((name) => listIds(kind, name));
      return (await Promise.all(ids)).flat().toSorted();
    };
    const expectedJobs = await rest("jobs");
    const expectedFiles = await rest("files");
    await stop();
    for (const [kind, expected, list] of [
      ["jobs", expectedJobs, () => jobs.list({ limit: 100 }).withResponse()],
      ["files", expectedFiles, () => files.list({ limit: 100 }).withResponse()],
    ] as const) {
      const { data, response } = await list();
      const ids = data.data.map(({ id }) => id);
      expect({ kind, ids: ids.toSorted() }).toEqual({ kind, ids: [...expected] });
      expect(response.headers.get("warning")).toContain(`backend ${down} is missing`);
    }
    // What is elsewhere is found; of what is not, nobody can tell.
    const elsewhere = expectedJobs[0] ?? "";
    expect((await jobs.retrieve(elsewhere)).id).toBe(elsewhere);
    const error = await catchError(() => jobs.retrieve("ftjob-1"));
    expect(error).toMatchObject({ status: 502, code: "backend_unavailable" });
  });
});

describe("what others get wrong", () => {
  test("a broken line for Vertex AI is a 400 that names it, and nothing is stored", async () => {
    const broken = Buffer.from(`${content.split("\n")[0]}\n{"messages":[\n`);
    const error = await catchError(async () =>
      gateway.client.files.create({
        file: await toFile(broken, "a.jsonl"),
        purpose: "fine-tune",
        custom_llm_provider: "vertex_ai",
      } as never),
    );
    expect(error).toMatchObject({ status: 400, message: expect.stringMatching(/line 2\b/i) });
    expect([...clouds.google.storage.objects.keys()]).toEqual([]);
  });

  test("a model, and Azure's 404, never move a job to another backend than its file's", async () => {
    const file = await upload("sweden");
    await gateway.client.files.waitForProcessing(file.id, { pollInterval: 1 });
    const request = { model: "gemini-2.5-flash", training_file: file.id };
    const job = await gateway.client.fineTuning.jobs.create(request);
    expect(await findOwners("jobs", job.id)).toEqual(["sweden"]);
  });

  test("a file of one backend and a job with a hint for another is refused, and nothing made", async () => {
    const file = await upload("azure");
    for (const name of ["sweden", "vertex_ai", "openai", "local"] as const) {
      const error = await catchError(() =>
        gateway.client.fineTuning.jobs.create({
          model: models[name],
          training_file: file.id,
          custom_llm_provider: name,
        } as never),
      );
      expect(error).toMatchObject({ param: "training_file" });
      expect(await listIds("jobs", name)).toEqual([]);
    }
  });

  test("pausing where there is no pause is a 4xx, and the job goes on", async () => {
    for (const name of ["azure", "vertex_ai"] as const) {
      const file = await upload(name);
      await gateway.client.files.waitForProcessing(file.id, { pollInterval: 1 });
      const request = { model: models[name], training_file: file.id };
      const { jobs } = gateway.client.fineTuning;
      const { id, status } = await jobs.create(request);
      for (const call of [() => jobs.pause(id), () => jobs.resume(id)]) {
        const error = await catchError(call);
        expect(error).toMatchObject({ status: 400, code: "unsupported_operation" });
      }
      expect((await jobs.retrieve(id)).status).toBe(status);
    }
  });

  test("a credential that a service no longer takes is a 502 that names the backend", async () => {
    const body = '{"error":{"code":"401","message":"Unauthorized"}}';
    const services = { azure: clouds.classic, sweden: clouds.sweden, openai };
    for (const [name, fake] of Object.entries(services)) {
      fake.inject({ times: 2, answer: { status: 401, body } });
      const error = await catchError(() => gateway.client.files.list({}, query(name)));
      expect(error).toMatchObject({ status: 502, message: expect.stringContaining(`"${name}"`) });
    }
    clouds.google.storage.inject({ times: 2, answer: { status: 401, body } });
    const error = await catchError(() => gateway.client.files.list({}, query("vertex_ai")));
    expect(error).toMatchObject({ status: 502, message: expect.stringContaining('"vertex_ai"') });
  });

  test("a service's own words are kept, without the credential that they repeat", async () => {
    await gateway.client.fineTuning.jobs.list();
    const { vertex } = clouds.google;
    const services = { azure: clouds.classic, sweden: clouds.sweden, openai, vertex_ai: vertex };
    for (const [name, fake] of Object.entries(services)) {
      const seen = fake.requests.flatMap(({ headers }) => [
        headers.get("authorization")?.replace("Bearer ", "") ?? [],
        headers.get("api-key") ?? [],
      ]);
      const message = `Quota of ${seen.flat().join(" ")} is spent`;
      const error = { message, code: "quota", status: "RESOURCE_EXHAUSTED" };
      fake.inject({ answer: { status: 400, body: JSON.stringify({ error }) } });
      const refused = await catchError(() => gateway.client.fineTuning.jobs.list({}, query(name)));
      expect(refused).toMatchObject({ status: 400, message: expect.stringContaining("Quota of") });
      for (const secret of seen.flat()) expect(String(refused)).not.toContain(secret);
    }
    const log = gateway.logLines.join("\n");
    for (const secret of [...clouds.listSecrets(), openai.apiKey])
      expect(log).not.toContain(secret);
  });
});
