import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { APIError } from "openai";
import { makeDirectory } from "../support/directory.ts";
import { catchError, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { load, makePlugin, writeFiles } from "./support.ts";

let directory: ReturnType<typeof makeDirectory>;
let gateway: TestGateway | undefined;
beforeEach(() => {
  directory = makeDirectory();
});
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  directory.remove();
});

/** A gateway with one backend, of a plugin that has `members`. */
async function start(members: string): Promise<TestGateway> {
  await writeFiles(directory.path, { "acme.ts": makePlugin(members) });
  const providers = await load(directory.path);
  const config = "finetune_settings: [{ custom_llm_provider: acme, name: mine }]\n";
  gateway = await startTestGateway({ providers, config });
  return gateway;
}

async function fail(call: () => PromiseLike<unknown>): Promise<APIError> {
  const error = await catchError(call);
  if (!(error instanceof APIError)) throw new Error(`no APIError but ${Bun.inspect(error)}`);
  return error;
}

const create = ({ client }: TestGateway) =>
  client.fineTuning.jobs.create({ model: "m", training_file: "file-1" });

describe("a gateway with a plugin", () => {
  test("serves the SDK by it", async () => {
    const { client } = await start("");
    const content = new File(["{}\n"], "a.jsonl");
    expect(await client.files.create({ file: content, purpose: "fine-tune" })).toMatchObject({
      id: "file-1",
      object: "file",
    });
    expect(await client.fineTuning.jobs.retrieve("ftjob-1")).toMatchObject({ status: "queued" });
    expect((await client.fineTuning.jobs.list()).data).toHaveLength(1);
    const refused = await fail(() => client.fineTuning.jobs.pause("ftjob-1"));
    expect(refused).toMatchObject({ status: 400, code: "unsupported_operation" });
  });

  test("answers a job in milliseconds with a 502, tells the SDK not to repeat it, and keeps nothing", async () => {
    const started = await start(
      'async createJob() { return { ...job("ftjob-2"), created_at: Date.now() }; },',
    );
    const error = await fail(() => create(started));
    expect(error).toMatchObject({ status: 502, code: "plugin_invalid_answer" });
    expect(error.message).toContain('createJob() of its plugin "acme"');
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect(started.logLines.join("\n")).toContain("ftjob-2");
    // The merged list and a look-up by id go on as before.
    const { data } = await started.client.fineTuning.jobs.list();
    expect(data.map(({ id }) => id)).toEqual(["ftjob-1"]);
    expect((await fail(() => started.client.fineTuning.jobs.retrieve("ftjob-2"))).status).toBe(404);
  });

  test("answers a 502 for a plugin that throws, and goes on serving", async () => {
    const started = await start('async getJob() { throw new Error("inner secret"); },');
    const error = await fail(() => started.client.fineTuning.jobs.retrieve("ftjob-1"));
    expect(error).toMatchObject({ status: 502, code: "plugin_failed" });
    expect(error.message).toContain('getJob() of its plugin "acme" failed');
    expect(error.message).not.toContain("inner secret");
    expect(started.logLines.join("\n")).toContain("inner secret");
    expect((await create(started)).id).toBe("ftjob-1");
  });

  test("outlives a plugin that fails after it has answered", async () => {
    const started = await start(
      'async getJob(id) { Promise.resolve().then(() => 1); return job(id); }, async close() { throw new Error("late"); },',
    );
    expect((await started.client.fineTuning.jobs.retrieve("ftjob-1")).id).toBe("ftjob-1");
    await started.stop();
    gateway = undefined;
    expect(started.logLines.join("\n")).toContain('close() of plugin \\"acme\\" failed');
  });

  test("looks an id up in a list that never ends, and stays alive", async () => {
    const started = await start(
      "async *listJobs() { for (let at = 0; ; at += 1) yield job('ftjob-' + at); },",
    );
    const waiting = new AbortController();
    const call = started.client.fineTuning.jobs.retrieve("nowhere", { signal: waiting.signal });
    call.catch(() => undefined);
    const { status } = await fetch(`${started.url}/health/liveness`);
    expect(status).toBe(200);
    waiting.abort();
    await catchError(async () => await call);
    expect((await create(started)).id).toBe("ftjob-1");
  });
});

describe("GET /v1/providers", () => {
  test("lists each backend with its operations, methods and limits", async () => {
    const { url } = await start("async getJob(id) { return job(id); },");
    const answer = await fetch(`${url}/v1/providers`);
    expect(answer.headers.get("x-request-id")).toBeString();
    expect(await answer.json()).toEqual({
      object: "list",
      data: [
        {
          id: "mine",
          object: "backend",
          provider: "acme",
          operations: ["upload a file", "create, retrieve, list, cancel jobs"],
          methods: ["uploadFile", "createJob", "getJob", "listJobs", "cancelJob"],
          datasets: null,
          prices: [],
        },
      ],
      has_more: false,
    });
  });

  test("adds the models on request, and null where they cannot be listed", async () => {
    const { url } = await start('async *listModels() { yield { id: "a/b" }; yield { id: "c" }; },');
    const read = async (query: string) => (await fetch(`${url}/v1/providers?${query}`)).json();
    expect(await read("include=models")).toMatchObject({ data: [{ models: ["a/b", "c"] }] });
    expect(await read("include=prices")).toMatchObject({ error: { param: "include" } });
    expect(await read("provider=none")).toMatchObject({ error: { code: "backend_not_found" } });
    await gateway?.stop();
    const other = makeDirectory();
    directory.remove();
    directory = other;
    const { url: second } = await start('async *listModels() { throw new Error("down"); },');
    const answer = await fetch(`${second}/v1/providers?include=models`);
    expect(await answer.json()).toMatchObject({ data: [{ models: null }] });
  });

  test("asks for the key like everything else", async () => {
    await writeFiles(directory.path, { "acme.ts": makePlugin() });
    const providers = await load(directory.path);
    const config =
      "general_settings: { master_key: mk-1 }\nfinetune_settings: [{ custom_llm_provider: acme }]\n";
    gateway = await startTestGateway({ providers, config });
    expect((await fetch(`${gateway.url}/v1/providers`)).status).toBe(401);
    const headers = { authorization: "Bearer mk-1" };
    expect((await fetch(`${gateway.url}/v1/providers`, { headers })).status).toBe(200);
  });
});
