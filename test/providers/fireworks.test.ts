import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { last, makeUpload } from "./backends.ts";
import { catchError, content, line, never, startAccount, stopFakes } from "./fireworks-account.ts";

afterEach(stopFakes);

test("uploadFile() makes a dataset of the counted lines, whose id keeps the size", async () => {
  const { fake, upload } = await startAccount();
  const file = await upload({ filename: "träin 1.jsonl" });
  expect(file).toMatchObject({
    bytes: content.size,
    filename: "träin 1.jsonl",
    purpose: "fine-tune",
    status: "processed",
  });
  expect(file.id).toMatch(new RegExp(`^file-[0-9a-f]{24}-${content.size}$`));
  const [create, send] = fake.requests;
  expect(JSON.parse(create?.body.toString("utf8") ?? "")).toEqual({
    datasetId: file.id,
    dataset: { displayName: "träin 1.jsonl", exampleCount: "3", userUploaded: {} },
  });
  expect(send?.path).toBe(`/v1/accounts/acme/datasets/${file.id}:upload`);
  const stored = fake.datasets.get(`accounts/acme/datasets/${file.id}`);
  expect(stored?.file?.content.toString("utf8")).toBe(await content.text());
});

for (const [what, fault] of Object.entries({
  "is refused": {
    answer: { status: 400, body: '{"code":3,"message":"Bad line 7","details":[]}' },
  },
  "has no answer": { reset: true },
  "breaks off": { takes: 10, answer: { status: 500 }, closes: true },
} as const)) {
  test(`uploadFile() leaves no dataset behind where the upload ${what}`, async () => {
    const { fake, upload } = await startAccount();
    fake.inject({ path: /:upload$/, ...fault });
    const error = await catchError(upload());
    expect(error.status).toBe(what === "is refused" ? 400 : 502);
    expect([...fake.datasets]).toEqual([]);
  });
}

test("uploadFile() leaves no dataset behind where its client goes", async () => {
  const { fake, backend } = await startAccount();
  const controller = new AbortController();
  fake.inject({ path: /:upload$/, hang: true });
  const uploading = backend.uploadFile(makeUpload(content), controller.signal);
  while (fake.requests.length < 2) await Bun.sleep(2);
  const reason = new Error("gone");
  controller.abort(reason);
  expect(await uploading.catch((error) => error)).toBe(reason);
  expect([...fake.datasets]).toEqual([]);
});

test("uploadFile() fails as the upload does, even where the dataset cannot be deleted", async () => {
  const { fake, upload } = await startAccount();
  fake.inject({ path: /:upload$/, answer: { status: 503 } });
  fake.inject({ method: "DELETE", answer: { status: 500 } });
  expect((await catchError(upload())).message).toContain("it failed with status 503");
  expect(fake.datasets.size).toBe(1);
});

test("uploadFile() refuses by name what Fireworks AI does not keep, and sends nothing", async () => {
  const { fake, upload } = await startAccount();
  const directory = await mkdtemp(join(tmpdir(), "tunegate-fireworks-"));
  try {
    const path = join(directory, "huge.jsonl");
    await writeFile(path, "");
    await truncate(path, 150_000_001);
    const refused: [string, Promise<unknown>][] = [
      ["purpose", upload({ purpose: "batch" })],
      ["expires_after", upload({ expires_after: { anchor: "created_at", seconds: 3600 } })],
      ["a[b]", upload({ extra: [["a[b]", "1"]] })],
      ["file", upload({ content: new Blob([]) })],
      ["file", upload({ content: Bun.file(path) })],
    ];
    for (const [param, call] of refused) {
      const error = await catchError(call);
      expect([error.status, error.param]).toEqual([400, param]);
    }
    expect(fake.requests).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("uploadFile() refuses a name that the service does not keep as it is", async () => {
  const { fake, upload } = await startAccount({ longestDisplayName: 4 });
  const error = await catchError(upload());
  expect([error.status, error.param]).toEqual([400, "file"]);
  expect(error.message).toContain('"trai"');
  expect([...fake.datasets]).toEqual([]);
});

test("a dataset that was made elsewhere is no file, but can be trained on", async () => {
  const { fake, backend, createJob } = await startAccount();
  const fields = { state: "READY", createTime: "2026-01-01T00:00:00Z", displayName: "x" };
  const names = ["accounts/acme/datasets/my-set", "accounts/friend/datasets/shared"];
  for (const name of names) fake.datasets.set(name, { fields: { name, ...fields } });
  const list = backend.listFiles({ limit: 9, order: "asc" }, never);
  expect(await Array.fromAsync(list)).toEqual([]);
  expect((await catchError(backend.getFile("my-set", never))).status).toBe(404);
  const job = await createJob({ training_file: "my-set", validation_file: "friend:shared" });
  expect(job).toMatchObject({ training_file: "my-set", validation_file: "friend:shared" });
  expect([...fake.jobs.values()][0]).toMatchObject({
    dataset: names[0],
    evaluationDataset: names[1],
  });
});

test("a dataset that failed its check has the status error and the reason", async () => {
  const { fake, backend, upload } = await startAccount();
  const { id } = await upload();
  const status = { code: "INVALID_ARGUMENT", message: "line 2 is no JSON" };
  Object.assign(fake.datasets.get(`accounts/acme/datasets/${id}`)?.fields ?? {}, { status });
  const file = await backend.getFile(id, never);
  expect(file).toMatchObject({ status: "error", status_details: "line 2 is no JSON" });
});

test("readFile() takes a part from the signed URL, without our key", async () => {
  const { fake, backend, upload } = await startAccount();
  const { id } = await upload();
  const { body, status } = await backend.readFile(id, "bytes=2-9", never);
  expect([status, await new Response(body).text()]).toEqual([206, line.slice(2, 10)]);
  expect(last(fake.requests).headers.has("authorization")).toBe(false);
});

for (const urls of [
  {},
  { a: "ftp://x/y" },
  { a: "https://x.invalid/1", b: "https://x.invalid/2" },
]) {
  test(`readFile() is a 502 for the URLs ${JSON.stringify(urls)}`, async () => {
    const { fake, backend, upload } = await startAccount();
    const { id } = await upload();
    const body = JSON.stringify({ filenameToSignedUrls: urls });
    fake.inject({ path: /:getDownloadEndpoint$/, answer: { status: 200, body } });
    expect((await catchError(backend.readFile(id, undefined, never))).status).toBe(502);
  });
}

test("readFile() shows no signed URL where it leads nowhere", async () => {
  const { fake, backend, upload } = await startAccount();
  const { id } = await upload();
  fake.inject({ path: /^\/store/, answer: { status: 500, body: "broken" } });
  const error = await catchError(backend.readFile(id, undefined, never));
  expect(error.status).toBe(502);
  expect(JSON.stringify([error.message, error.headers])).not.toContain(fake.signature);
});

test("deleteFile() is a 502 where the service says {} and the dataset is still there", async () => {
  const { fake, backend, upload } = await startAccount();
  const { id } = await upload();
  fake.inject({ method: "DELETE", answer: { status: 200, body: "{}" } });
  expect((await catchError(backend.deleteFile(id, never))).status).toBe(502);
  await backend.deleteFile(id, never);
  expect([...fake.datasets]).toEqual([]);
});

test("a list that repeats its page token is a 502", async () => {
  const { fake, backend } = await startAccount();
  const body = '{"datasets":[],"nextPageToken":"again"}';
  fake.inject({ times: 2, path: /datasets$/, answer: { status: 200, body } });
  const read = Array.fromAsync(backend.listFiles({ limit: 1, order: "asc" }, never));
  expect((await catchError(read)).message).toContain('repeats the page token "again"');
});
