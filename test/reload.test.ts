import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import OpenAI from "openai";
import { type ServerProcess, startServer } from "./demo/server.ts";
import { type FakeOpenAI, startFakeOpenAI } from "./fakes/openai.ts";
import { makeDirectory } from "./support/directory.ts";

let directory: ReturnType<typeof makeDirectory>;
let first: FakeOpenAI;
let second: FakeOpenAI;
let server: ServerProcess;

beforeEach(async () => {
  directory = makeDirectory();
  first = await startFakeOpenAI();
  second = await startFakeOpenAI();
});
afterEach(async () => {
  await server.stop();
  await Promise.all([first.stop(), second.stop()]);
  directory.remove();
});

async function configure(backends: Readonly<Record<string, FakeOpenAI>>, key = "mk-1") {
  const entries = Object.entries(backends).map(
    ([name, { apiKey, url }]) =>
      `  - { custom_llm_provider: openai, name: ${name}, api_key: ${apiKey}, api_base: "${url}" }\n`,
  );
  await write(
    `general_settings: { master_key: ${key}, validate_files: off }\nfinetune_settings:\n${entries.join("")}`,
  );
}

async function write(text: string): Promise<void> {
  await Bun.write(join(directory.path, "config.yaml"), text);
}

async function start(...words: readonly string[]): Promise<void> {
  const main = join(import.meta.dir, "../src/main.ts");
  server = await startServer({
    command: [process.execPath, "--no-env-file", main, "--port", "0", ...words],
    directory: directory.path,
    environment: { PATH: process.env.PATH },
  });
}

function connect(apiKey = "mk-1"): OpenAI {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
}

async function waitFor(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let wait = 0; wait < 400; wait += 1) {
    if (await condition()) return;
    await Bun.sleep(10);
  }
  throw new Error("it did not happen");
}

async function listBackends(apiKey = "mk-1"): Promise<readonly string[]> {
  const names = new Set<string>();
  for await (const { owned_by } of connect(apiKey).models.list()) names.add(owned_by);
  return [...names].sort();
}

describe("SIGHUP", () => {
  test("goes on with the new configuration, and finishes with the old what has begun", async () => {
    await configure({ one: first });
    await start();
    expect(await listBackends()).toEqual(["one"]);
    first.inject({ delay: 600 });
    const begun = connect().files.create({
      file: new File(["{}"], "a.jsonl"),
      purpose: "fine-tune",
    });
    await waitFor(() => first.requests.some(({ method }) => method === "POST"));
    await configure({ one: first, two: second }, "mk-2");
    server.send("SIGHUP");
    await waitFor(async () => (await catchStatus(() => listBackends())) === 401);
    expect(await listBackends("mk-2")).toEqual(["one", "two"]);
    expect((await begun).bytes).toBe(2);
  });

  test("stays with the old configuration where the new one has a mistake", async () => {
    await configure({ one: first });
    await start();
    for (const broken of [
      "finetune_settings: [{ custom_llm_provider: nobody }]",
      "finetune_settings: [{ custom_llm_provider: azure, api_base: https://a.example, client_secret: s }]",
      "{",
    ]) {
      await write(broken);
      const before = (await server.readLog()).length;
      server.send("SIGHUP");
      await waitFor(async () =>
        (await server.readLog()).slice(before).includes("the old one stays"),
      );
      expect(await listBackends()).toEqual(["one"]);
    }
  });

  test("keeps a job of the local backend alive", async () => {
    const local = "finetune_settings: [{ custom_llm_provider: local }]\ngeneral_settings: {";
    await write(`${local} validate_files: off }`);
    await start();
    const client = connect("unused");
    const line = JSON.stringify({
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
      ],
    });
    const file = await client.files.create({
      file: new File([`${line}\n`.repeat(12)], "a.jsonl"),
      purpose: "fine-tune",
    });
    const job = await client.fineTuning.jobs.create({ model: "tiny-lm", training_file: file.id });
    await write(`${local} validate_files: warn }`);
    server.send("SIGHUP");
    await waitFor(async () => (await server.readLog()).includes("Loaded the configuration again"));
    await waitFor(
      async () => (await client.fineTuning.jobs.retrieve(job.id)).status === "succeeded",
    );
  });
});

test("--watch loads a configuration that has changed", async () => {
  await configure({ one: first });
  await start("--watch");
  expect(await listBackends()).toEqual(["one"]);
  await configure({ two: second });
  await waitFor(async () => (await listBackends()).join() === "two");
});

async function catchStatus(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return 200;
  } catch (error) {
    return (error as { status?: unknown }).status;
  }
}
