import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import openai from "../../providers/openai.ts";
import { requestIdOf } from "../../src/provider.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { connectBackend, last } from "./backends.ts";

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
