// Azure, classic and v1, and Vertex AI through OpenAI's Node SDK on Node itself; prints one line for
// each check, "ok ..." or "not ok ..." with the reason below it.
import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";

const { GATEWAY_URL, GATEWAY_KEY, DATASETS, VERTEX_JOB } = process.env;
const training = join(DATASETS, "training.jsonl");
const content = readFileSync(training);
const models = {
  azure: "gpt-4o-mini-2024-07-18",
  sweden: "gpt-4o-mini-2024-07-18",
  vertex_ai: "gemini-2.5-flash",
};
// The dataset has a line that Gemini's format cannot carry whole.
const extra = { vertex_ai: { on_unsupported: "warn" } };

const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });
const { files } = client;
const { jobs } = client.fineTuning;

async function check(name, body) {
  try {
    await body();
    console.log(`ok node: ${name}`);
  } catch (error) {
    console.log(`not ok node: ${name}\n${error.stack}`);
  }
}

/** All ids of all pages; the SDK fetches the next page by itself. */
async function collectIds(pages) {
  const ids = [];
  for await (const { id } of pages) ids.push(id);
  assert.equal(new Set(ids).size, ids.length);
  return ids;
}

const hintTo = (name) => ({ query: { custom_llm_provider: name } });

for (const [name, model] of Object.entries(models)) {
  let file;
  let job;

  await check(`${name} stores a file and runs a job, by id alone`, async () => {
    file = await files.create({
      file: createReadStream(training),
      purpose: "fine-tune",
      custom_llm_provider: name,
      ...extra[name],
    });
    assert.equal(file.bytes, content.length);
    // Where the file is; Azure is still importing it.
    job = await jobs.create({ model, training_file: file.id });
    assert.equal(job.model, model);
    assert.equal((await jobs.retrieve(job.id)).created_at, job.created_at);
    assert.equal((await files.waitForProcessing(file.id)).status, "processed");
    const stored = await (await files.content(file.id)).arrayBuffer();
    assert.deepEqual(Buffer.from(stored), content);
    assert.ok((await collectIds(jobs.listEvents(job.id, { limit: 1 }))).length > 0);
    await collectIds(jobs.checkpoints.list(job.id, { limit: 1 }));
  });

  await check(`${name} lists its own, in the order of the list over all`, async () => {
    const pairs = [
      [file.id, files.list({}, hintTo(name)), files.list({ limit: 4 })],
      [job.id, jobs.list({}, hintTo(name)), jobs.list({ limit: 2 })],
    ];
    for (const [id, ownPages, allPages] of pairs) {
      const own = await collectIds(ownPages);
      assert.ok(own.includes(id));
      const all = await collectIds(allPages);
      assert.deepEqual(
        all.filter((one) => own.includes(one)),
        own,
      );
    }
  });

  await check(`${name} cancels and deletes`, async () => {
    const cancelled = await jobs.cancel(job.id, { body: { custom_llm_provider: name } });
    assert.equal(cancelled.status, "cancelled");
    assert.equal((await files.delete(file.id)).deleted, true);
    await assert.rejects(files.retrieve(file.id), OpenAI.NotFoundError);
  });
}

await check("a job of Vertex AI that has succeeded has metrics, checkpoints, results", async () => {
  const { status, fine_tuned_model, result_files } = await jobs.retrieve(VERTEX_JOB);
  assert.equal(status, "succeeded");
  assert.match(fine_tuned_model, /\/endpoints\//);
  const events = await jobs.listEvents(VERTEX_JOB, { limit: 50 });
  assert.equal(events.data.filter(({ type }) => type === "metrics").length, 4);
  assert.equal((await collectIds(jobs.checkpoints.list(VERTEX_JOB, { limit: 1 }))).length, 2);
  const rows = (await (await files.content(result_files[0])).text()).trim().split("\n");
  assert.equal(rows.length, 5);
});
