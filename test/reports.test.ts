import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { toFile } from "openai";
import * as v from "valibot";
import openai from "../providers/openai.ts";
import { tokenRules, type ValidationMode } from "../src/reports.ts";
import { createMemoryState, type MemoryState } from "./fakes/memory.ts";
import { makeDirectory } from "./support/directory.ts";
import { catchError, startMemoryGateway, type TestGateway } from "./support/gateway.ts";
import { expectNoUploads } from "./support/open-files.ts";

let directory: ReturnType<typeof makeDirectory>;
let state: MemoryState;
let gateway: TestGateway;

beforeEach(() => {
  directory = makeDirectory();
  state = createMemoryState();
});
afterEach(async () => {
  await expectNoUploads(directory.path);
  await gateway.stop();
  directory.remove();
});

async function start(validateFiles: ValidationMode = "refuse"): Promise<void> {
  gateway = await startMemoryGateway(
    { mine: state },
    {
      dataDirectory: directory.path,
      validateFiles,
    },
  );
}

const good = JSON.stringify({
  messages: [
    { role: "user", content: "How much is 2 and 2?" },
    { role: "assistant", content: "It is 4." },
  ],
});
const noAnswer = JSON.stringify({ messages: [{ role: "user", content: "Hello?" }] });
const examples = (count: number) =>
  Array.from({ length: count }, (_, at) => good.replace("4", `${at}`));

const Findings = v.object({
  count: v.number(),
  first: v.array(v.looseObject({ line: v.nullable(v.number()), code: v.string() })),
});
const Report = v.looseObject({ examples: v.number(), errors: Findings });
const Tokens = v.looseObject({ status: v.string(), total: v.optional(v.number()) });
/** What these calls answer: a file, a report or an error. */
const Answer = v.looseObject({
  id: v.optional(v.string(), ""),
  sha256: v.optional(v.string(), ""),
  error: v.optional(v.looseObject({ message: v.string(), code: v.nullable(v.string()) })),
  report: v.optional(Report),
  warnings: v.optional(Findings),
  tokens: v.optional(v.nullable(Tokens)),
});

async function create(lines: readonly string[], query = "", purpose = "fine-tune") {
  const form = new FormData();
  form.set("file", new File([`${lines.join("\n")}\n`], "train.jsonl"));
  form.set("purpose", purpose);
  const response = await fetch(`${gateway.url}/v1/files${query}`, { method: "POST", body: form });
  return {
    status: response.status,
    headers: response.headers,
    body: v.parse(Answer, await response.json()),
  };
}

async function readReport(id: string) {
  const response = await fetch(`${gateway.url}/v1/files/${id}/report`);
  return { status: response.status, body: v.parse(Answer, await response.json()) };
}

async function readCounted(id: string) {
  for (let wait = 0; wait < 400; wait += 1) {
    const { body } = await readReport(id);
    if (body.tokens?.status !== "counting") return body;
    await Bun.sleep(10);
  }
  throw new Error("the tokens are still being counted");
}

describe("an upload whose dataset has errors", () => {
  test("is refused with the lines and the report, and nothing is stored", async () => {
    await start();
    const { status, headers, body } = await create([...examples(10), noAnswer, "{broken", good]);
    expect(status).toBe(400);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(body.error).toMatchObject({ type: "invalid_request_error", param: "file" });
    expect(body.error?.message).toMatch(
      /^Cannot take the file: its dataset has 2 errors: line 11: /,
    );
    expect(body.error?.message).toContain("; line 12: ");
    expect(body.error?.code).toBe(body.report?.errors.first[0]?.code ?? "none");
    expect(body.report).toMatchObject({ object: "file.report", format: "chat", examples: 13 });
    expect(body.report?.errors.first.map(({ line }) => line)).toEqual([11, 12]);
    expect(state.calls).toEqual([]);
  });

  test("is refused when it was sent in parts, which stay as they are", async () => {
    await start();
    const text = `${[...examples(10), noAnswer].join("\n")}\n`;
    const { client } = gateway;
    const upload = await client.uploads.create({
      filename: "train.jsonl",
      purpose: "fine-tune",
      bytes: Buffer.byteLength(text),
      mime_type: "application/jsonl",
    });
    const part = await client.uploads.parts.create(upload.id, {
      data: await toFile(Buffer.from(text), "part"),
    });
    const complete = () => client.uploads.complete(upload.id, { part_ids: [part.id] });
    for (const call of [complete, complete]) {
      expect(await catchError(call)).toMatchObject({ status: 400, param: "file" });
    }
    expect(state.calls).toEqual([]);
  });

  test("is taken with a warning where the operator wants that, and its report lists them", async () => {
    await start("warn");
    const { status, headers, body } = await create([...examples(10), noAnswer]);
    expect(status).toBe(200);
    expect(headers.get("warning")).toBe(
      `199 tunegate "the dataset has 1 error: see /v1/files/${body.id}/report"`,
    );
    expect(await readCounted(body.id)).toMatchObject({ file_id: body.id, errors: { count: 1 } });
  });

  test("is not looked at where the operator wants that, nor for another purpose", async () => {
    await start("off");
    const { status, body } = await create(["{broken"]);
    expect(status).toBe(200);
    expect(await readReport(body.id)).toMatchObject({
      status: 404,
      body: { error: { code: "report_not_found", param: "id" } },
    });
    await gateway.stop();
    await start();
    expect((await create(["{broken"], "", "user_data")).status).toBe(200);
  });
});

describe("a file with fewer examples than training takes", () => {
  test("is stored, for it may be for validation, and no job is made of it", async () => {
    await start();
    const { status, body } = await create(examples(9));
    expect(status).toBe(200);
    expect(await readCounted(body.id)).toMatchObject({
      errors: { count: 0 },
      warnings: {
        first: expect.arrayContaining([expect.objectContaining({ code: "invalid_n_examples" })]),
      },
    });
    const mixed = await create(Array(9).fill(good.replace("user", "system")), "?dry_run=true");
    expect(mixed.body.warnings?.first[0]?.code).toBe("invalid_n_examples");
    const job = { model: "m", training_file: body.id };
    for (const options of [{}, { query: { dry_run: "true" } }]) {
      const call = () => gateway.client.fineTuning.jobs.create(job, options);
      expect(await catchError(call)).toMatchObject({
        status: 400,
        param: "training_file",
        code: "invalid_n_examples",
        message:
          "400 Cannot create the job: the training file has 9 example(s), but must have at least 10 examples",
      });
    }
    expect(state.requests).toEqual([]);
    const enough = await create(examples(10));
    const training = { ...job, training_file: enough.body.id, validation_file: body.id };
    expect((await gateway.client.fineTuning.jobs.create(training)).status).toBe("queued");
  });

  test("is the service's to judge where the operator does not want refusals", async () => {
    await start("warn");
    const { body } = await create(examples(3));
    await readCounted(body.id);
    const job = { model: "m", training_file: body.id };
    expect((await gateway.client.fineTuning.jobs.create(job)).status).toBe("queued");
  });
});

describe("the report of a file", () => {
  test("has its tokens once they are counted, and goes with the file", async () => {
    await start();
    const { status, headers, body } = await create(examples(12));
    expect(status).toBe(200);
    expect(headers.get("warning")).toBeNull();
    const report = await readCounted(body.id);
    expect(report).toMatchObject({ examples: 12, format: "chat", errors: { count: 0, first: [] } });
    expect(report.tokens).toMatchObject({ status: "done", tokenizer: "o200k_base" });
    expect(report.tokens?.total).toBeGreaterThan(12 * 10);
    await gateway.client.files.delete(body.id);
    expect((await readReport(body.id)).status).toBe(404);
  });

  test("says that the count has failed where the gateway was stopped in the middle", async () => {
    await start();
    const { body } = await create(examples(12));
    const report = await readCounted(body.id);
    await gateway.stop();
    const { Database } = await import("bun:sqlite");
    const database = new Database(`${directory.path}/ledger.sqlite`);
    const tokens = { ...report.tokens, status: "counting" };
    database.run("UPDATE reports SET report = ?", [JSON.stringify({ ...report, tokens })]);
    database.close();
    await start();
    expect((await readReport(body.id)).body.tokens?.status).toBe("failed");
  });

  test("outlives a restart", async () => {
    await start();
    const { body } = await create(examples(12));
    const report = await readCounted(body.id);
    await gateway.stop();
    await start();
    expect((await readReport(body.id)).body).toEqual(report);
  });
});

describe("an upload with dry_run=true", () => {
  test("is answered with its whole report, and stores nothing", async () => {
    await start();
    const { status, body } = await create([...examples(9), noAnswer], "?dry_run=true");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: "file.report",
      backend: "mine",
      filename: "train.jsonl",
      examples: 10,
      errors: { count: 1 },
      tokens: { status: "done" },
    });
    expect(body.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(state.calls).toEqual([]);
  });

  test("is a 400 for what is no dataset, and for a value that it does not know", async () => {
    await start();
    expect(await create(["x"], "?dry_run=true", "user_data")).toMatchObject({
      status: 400,
      body: { error: { param: "purpose" } },
    });
    expect(await create([good], "?dry_run=yes")).toMatchObject({
      status: 400,
      body: { error: { param: "dry_run" } },
    });
    expect(state.calls).toEqual([]);
  });
});

test("tokens are counted for the first model of a provider while none is named", () => {
  expect(tokenRules(openai.datasets)).toEqual({
    tokenizer: "o200k_base",
    estimated: false,
    limit: 65_536,
  });
  expect(tokenRules(openai.datasets, "unheard-of")).toMatchObject({ estimated: true, limit: null });
  expect(tokenRules(undefined)).toMatchObject({ estimated: true, limit: null });
});
