// Drives a running gateway with OpenAI's Node SDK on Node itself; prints one line for each check,
// "ok ..." or "not ok ..." with the reason below it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { toFile } from "openai";

const { GATEWAY_URL, GATEWAY_KEY, DATASETS } = process.env;
const training = join(DATASETS, "training.jsonl");
const model = "gpt-4.1-mini-2025-04-14";
const label = "node";
const openai = { custom_llm_provider: "openai" };
const local = { custom_llm_provider: "local" };

// A call that fails is not to be repeated unseen.
const client = new OpenAI({
  baseURL: `${GATEWAY_URL}/v1`,
  apiKey: GATEWAY_KEY,
  adminAPIKey: GATEWAY_KEY,
  maxRetries: 0,
});
const { files, models, uploads } = client;
const { jobs, checkpoints, alpha } = client.fineTuning;

async function check(name, body) {
  try {
    await body();
    console.log(`ok ${label}: ${name}`);
  } catch (error) {
    console.log(`not ok ${label}: ${name}\n${error.stack}`);
  }
}

/** All items of all pages; the SDK fetches the next page by itself. */
async function collect(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

/** The error of a call that must fail with an error of the SDK's class `type`. */
async function fail(type, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof type, `${type.name} expected, not ${error}`);
    return error;
  }
  throw new Error(`${type.name} was not thrown`);
}

/** The job that the account holds for this client, by its metadata. */
async function findSeeded(stage) {
  const [job] = await collect(jobs.list({ metadata: { client: label, stage } }));
  return job;
}

async function waitFor(id, ...statuses) {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(100)) {
    const job = await jobs.retrieve(id);
    if (statuses.includes(job.status)) return job;
  }
  throw new Error(`${id} is not ${statuses.join(" or ")} in time`);
}

const idsOf = (items) => items.map(({ id }) => id);
const content = readFileSync(training);
let file;
let job;
let localFile;
let trained;

await check("runs on Node", () => {
  assert.equal(process.versions.bun, undefined);
});

await check(
  "files.create() takes a stream of unknown length, the file before its purpose",
  async () => {
    file = await files.create({
      file: createReadStream(training),
      purpose: "fine-tune",
      ...openai,
    });
    assert.equal(file.bytes, content.length);
    assert.equal(file.filename, "training.jsonl");
    assert.equal((await files.waitForProcessing(file.id)).status, "processed");
  },
);

await check("files.create() takes a file with a name beyond ASCII, and expires_after", async () => {
  const named = await files.create({
    file: await toFile(content, 'dä"ta.jsonl'),
    purpose: "fine-tune",
    expires_after: { anchor: "created_at", seconds: 3600 },
    ...local,
  });
  assert.equal(named.filename, 'dä"ta.jsonl');
  assert.equal(named.expires_at, named.created_at + 3600);
});

await check("files.content() gives the very bytes back", async () => {
  const response = await files.content(file.id);
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), content);
});

await check("jobs.create() starts a job on OpenAI, every field kept", async () => {
  const method = {
    type: "dpo",
    dpo: { hyperparameters: { beta: 0.1, n_epochs: 2, batch_size: "auto" } },
  };
  job = await jobs.create({
    model,
    training_file: file.id,
    method,
    seed: 7,
    suffix: "brook",
    metadata: { client: label, stage: "created" },
    integrations: [{ type: "wandb", wandb: { project: "brook" } }],
    ...openai,
  });
  assert.deepEqual(job.method, method);
  assert.equal(job.seed, 7);
  assert.equal(job.integrations[0].wandb.project, "brook");
  assert.equal((await findSeeded("created")).id, job.id);
});

await check("jobs.list() with a hint in the query pages through one backend", async () => {
  const listed = await collect(jobs.list({ limit: 2 }, { query: { limit: 2, ...openai } }));
  assert.ok(listed.length > 2 && listed.every((one) => one.organization_id === "org-fake"));
  assert.equal(new Set(idsOf(listed)).size, listed.length);
});

await check("jobs.cancel(), jobs.pause() and jobs.resume() reach OpenAI", async () => {
  assert.equal((await jobs.cancel(job.id, { body: openai })).status, "cancelled");
  const running = await findSeeded("running");
  assert.equal((await jobs.pause(running.id)).status, "paused");
  assert.equal((await jobs.resume(running.id)).status, "queued");
});

await check("jobs.listEvents() and jobs.checkpoints.list() page through OpenAI's", async () => {
  const { id, result_files } = await findSeeded("succeeded");
  const events = await collect(jobs.listEvents(id, { limit: 5 }));
  assert.equal(new Set(idsOf(events)).size, events.length);
  assert.equal(events[0].message, "The job has successfully completed");
  const steps = await collect(jobs.checkpoints.list(id, { limit: 1 }));
  assert.deepEqual(
    steps.map((one) => one.step_number),
    [9, 6, 3],
  );
  const result = await (await files.content(result_files[0])).text();
  assert.match(result, /^step,train_loss,/);
});

await check("uploads in parts become one file", async () => {
  const upload = await uploads.create({
    bytes: content.length,
    filename: "parts.jsonl",
    mime_type: "text/jsonl",
    purpose: "fine-tune",
  });
  const half = content.length >> 1;
  const part_ids = [];
  for (const data of [content.subarray(0, half), content.subarray(half)]) {
    const part = await uploads.parts.create(upload.id, { data: await toFile(data, "part") });
    part_ids.push(part.id);
  }
  const md5 = createHash("md5").update(content).digest("hex");
  const done = await uploads.complete(upload.id, { part_ids, md5 });
  assert.equal(done.status, "completed");
  assert.equal(await (await files.content(done.file.id)).text(), content.toString());
});

await check("checkpoints.permissions and graders reach OpenAI", async () => {
  const tuned = `ft:${model}:fake:node:12345678`;
  const created = await collect(
    checkpoints.permissions.create(tuned, { project_ids: ["proj_a", "proj_b"] }),
  );
  const listed = await collect(checkpoints.permissions.list(tuned, { limit: 1 }));
  assert.deepEqual(idsOf(listed).sort(), idsOf(created).sort());
  const [first] = listed;
  await checkpoints.permissions.delete(first.id, { fine_tuned_model_checkpoint: tuned });
  const grader = {
    type: "string_check",
    name: "exact",
    input: "{{sample.output_text}}",
    reference: "4",
    operation: "eq",
  };
  assert.equal((await alpha.graders.run({ grader, model_sample: "4" })).reward, 1);
});

await check("models.list() names the backend of each model", async () => {
  const owners = Object.fromEntries(
    (await collect(models.list())).map(({ id, owned_by }) => [id, owned_by]),
  );
  assert.equal(owners[model], "openai");
  assert.equal(owners["tiny-lm"], "local");
  assert.equal((await models.retrieve(model)).owned_by, "openai");
});

await check("a job on the local backend trains and succeeds", async () => {
  const stored = await files.create({
    file: createReadStream(training),
    purpose: "fine-tune",
    ...local,
  });
  localFile = stored.id;
  const { id } = await jobs.create({
    model: "tiny-lm",
    training_file: localFile,
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2, batch_size: 4 } } },
  });
  trained = await waitFor(id, "succeeded", "failed", "cancelled");
  assert.equal(trained.status, "succeeded");
  assert.match(trained.fine_tuned_model, /^ft:tiny-lm:local::\w{8}$/);
  const events = await collect(jobs.listEvents(id, { limit: 5 }));
  assert.equal(new Set(idsOf(events)).size, events.length);
  assert.equal(events.filter(({ type }) => type === "metrics").length, 24);
  const steps = await collect(jobs.checkpoints.list(id, { limit: 1 }));
  assert.deepEqual(
    steps.map((one) => one.step_number),
    [24, 12],
  );
  const rows = (await (await files.content(trained.result_files[0])).text()).trim().split("\n");
  assert.equal(rows.length, 25);
});

await check("a local job is paused, resumed and cancelled", async () => {
  const { id } = await jobs.create({
    model: "tiny-lm",
    training_file: localFile,
    hyperparameters: { n_epochs: 50 },
  });
  await waitFor(id, "running");
  assert.equal((await jobs.pause(id)).status, "paused");
  assert.match((await jobs.resume(id)).status, /^(queued|running)$/);
  assert.equal((await jobs.cancel(id)).status, "cancelled");
});

await check(
  "files.list() and jobs.list() merge all backends over many pages, none twice",
  async () => {
    const listed = await collect(files.list({ limit: 3 }));
    assert.equal(new Set(idsOf(listed)).size, listed.length);
    assert.ok(idsOf(listed).includes(file.id) && idsOf(listed).includes(localFile));
    const times = listed.map(({ created_at }) => created_at);
    assert.deepEqual(
      times,
      times.toSorted((one, other) => other - one),
    );
    const allJobs = idsOf(await collect(jobs.list({ limit: 2 })));
    assert.equal(new Set(allJobs).size, allJobs.length);
    assert.ok(allJobs.includes(job.id) && allJobs.includes(trained.id));
  },
);

await check("files.delete() deletes on the backend that has the file", async () => {
  for (const id of [file.id, localFile]) {
    assert.deepEqual(await files.delete(id), { id, object: "file", deleted: true });
    await fail(OpenAI.NotFoundError, () => files.retrieve(id));
  }
});

await check("errors are the SDK's classes, with code, param and request id", async () => {
  const missing = await fail(OpenAI.NotFoundError, () => jobs.retrieve("ftjob-none"));
  assert.equal(missing.code, "fine_tune_not_found");
  assert.match(missing.requestID, /^req_/);
  const refused = await fail(OpenAI.BadRequestError, () =>
    jobs.create({ model: "tiny-lm", training_file: "file-none", ...local }),
  );
  assert.equal(refused.param, "training_file");
  const stranger = client.withOptions({ apiKey: "sk-wrong" });
  const locked = await fail(OpenAI.AuthenticationError, () => stranger.files.list());
  assert.equal(locked.code, "invalid_api_key");
  const unsupported = await fail(OpenAI.BadRequestError, () =>
    client.fineTuning.alpha.graders.validate({ grader: { type: "python" }, ...local }),
  );
  assert.equal(unsupported.code, "unsupported_operation");
});

await check("every answer carries its request id", async () => {
  assert.match((await models.retrieve("tiny-lm"))._request_id, /^req_/);
  const { request_id } = await files.list().withResponse();
  assert.match(request_id, /^req_/);
});
