import assert from "node:assert/strict";
import { join } from "node:path";
import { type Checks, runToEnd } from "./checks.ts";
import type { Transfers } from "./transfers.ts";

/** Where the gateway is and what the lines may use. */
export interface CurlSettings {
  readonly url: string;
  readonly key: string;
  /** A file to upload. */
  readonly file: string;
  /** Files to upload at once. */
  readonly transfers: Transfers;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** A field of the JSON body, by its path. */
  field(...path: string[]): unknown;
}

/** Checks the curl lines of LiteLLM's pages on fine-tuning, and what only a bare request shows. */
export async function checkCurl(
  checks: Checks,
  { url, key, file, transfers }: CurlSettings,
  signal: AbortSignal,
): Promise<void> {
  const authorization = ["-H", `Authorization: Bearer ${key}`];
  const json = ["-H", "Content-Type: application/json"];
  const curl = (...words: string[]) => send([...words, ...authorization], signal);
  const check = (name: string, body: () => Promise<unknown>) => checks.run(`curl: ${name}`, body);
  let fileId = "";
  let jobId = "";

  await check("-F uploads with the hint between the fields", async () => {
    const answer = await curl(
      `${url}/v1/files`,
      ...["-F", "purpose=fine-tune"],
      ...["-F", "custom_llm_provider=openai"],
      ...["-F", `file=@${file}`],
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.field("bytes"), Bun.file(file).size);
    assert.match(answer.headers.get("x-request-id") ?? "", /^req_/);
    fileId = String(answer.field("id"));
  });

  await check("-F uploads eight files at once", async () => {
    const { directory, hashes } = transfers;
    const answers = await Promise.all(
      [...hashes.keys()].map((name) =>
        curl(
          `${url}/v1/files`,
          ...["-F", `file=@${join(directory, name)}`],
          ...["-F", "purpose=user_data"],
        ),
      ),
    );
    assert.deepEqual(
      answers.map((answer) => answer.field("filename")),
      [...hashes.keys()],
    );
  });

  await check("-d creates a job with the hint in its body", async () => {
    const model = "gpt-4o-mini-2024-07-18";
    const body = { custom_llm_provider: "openai", model, training_file: fileId };
    const answer = await curl(`${url}/v1/fine_tuning/jobs`, ...json, "-d", JSON.stringify(body));
    assert.equal(answer.status, 200);
    assert.equal(answer.field("object"), "fine_tuning.job");
    jobId = String(answer.field("id"));
  });

  await check("-X POST cancels with the hint in its body", async () => {
    const body = '{"custom_llm_provider": "openai"}';
    const path = `${url}/v1/fine_tuning/jobs/${jobId}/cancel`;
    const answer = await curl("-X", "POST", path, ...json, "-d", body);
    assert.equal(answer.field("status"), "cancelled");
  });

  await check("-X GET lists with the hint in the query", async () => {
    const path = `${url}/v1/fine_tuning/jobs?limit=2&custom_llm_provider=openai`;
    const answer = await curl("-X", "GET", path, ...json);
    assert.equal(answer.field("object"), "list");
    assert.equal(answer.field("has_more"), true);
    assert.equal(answer.field("data", "0", "id"), jobId);
  });

  await check("a path with a backend, an encoded id or a slash at its end is fine", async () => {
    const encoded = fileId.replace("-", "%2D");
    for (const path of [
      `/files/${fileId}`,
      `/v1/files/${encoded}/`,
      `/openai/v1/files/${fileId}`,
    ]) {
      assert.equal((await curl(`${url}${path}`)).field("id"), fileId);
    }
    assert.equal((await curl(`${url}/local/v1/files/${fileId}`)).status, 404);
    const header = ["-H", "custom-llm-provider: local"];
    assert.equal((await curl(`${url}/v1/files/${fileId}`, ...header)).status, 404);
  });

  await check("downloads carry OpenAI's headers", async () => {
    const { headers, text } = await curl(`${url}/v1/files/${fileId}/content`);
    assert.equal(text, await Bun.file(file).text());
    assert.equal(headers.get("content-type"), "application/octet-stream");
    assert.match(headers.get("content-disposition") ?? "", /^attachment; filename="/);
  });

  await check("-X DELETE deletes", async () => {
    const answer = await curl("-X", "DELETE", `${url}/v1/files/${fileId}`);
    assert.equal(answer.field("deleted"), true);
  });

  await check("what is wrong is told in OpenAI's shape", async () => {
    const wrong: [number, string[]][] = [
      [404, [`${url}/v1/chat/completions`]],
      [405, ["-X", "DELETE", `${url}/v1/fine_tuning/jobs`]],
      [400, [`${url}/v1/fine_tuning/jobs`, ...json, "-d", '{"model":']],
      [400, [`${url}/v1/fine_tuning/jobs`, ...json, "-d", '{"model":"tiny-lm"}']],
      [400, [`${url}/v1/files`, "-F", "purpose=fine-tune"]],
      [400, [`${url}/v1/files`, "-F", `file=@${file}`]],
      [400, [`${url}/v1/files?limit=0`]],
    ];
    for (const [status, words] of wrong) {
      const answer = await curl(...words);
      assert.equal(answer.status, status, words.join(" "));
      for (const name of ["message", "type"]) {
        assert.equal(typeof answer.field("error", name), "string", words.join(" "));
      }
      assert.ok(answer.field("error", "param") !== undefined);
      assert.ok(answer.field("error", "code") !== undefined);
    }
  });

  await check("without the key all is closed but the health of the gateway", async () => {
    const closed = await send([`${url}/v1/files`], signal);
    assert.equal(closed.status, 401);
    assert.equal(closed.field("error", "code"), "invalid_api_key");
    for (const path of ["/health/liveliness", "/health/liveness"]) {
      assert.equal((await send([`${url}${path}`], signal)).text, `"I'm alive!"`);
    }
    const ready = await send([`${url}/health/readiness`], signal);
    assert.equal(ready.status, 200);
    assert.equal(ready.field("backends", "1", "name"), "local");
  });
}

/** Runs curl, or on a machine without it what sends the same. */
async function send(words: readonly string[], signal: AbortSignal): Promise<Answer> {
  const own = ["python3", join(import.meta.dir, "curl.py")];
  const program = Bun.which("curl") === null ? own : ["curl", "--noproxy", "*"];
  const command = [...program, "-s", "-S", "-i", ...words];
  const { code, output, errors } = await runToEnd({ command }, signal);
  assert.equal(code, 0, errors);
  // Before it sends much, curl asks whether it may, and shows that answer, too.
  const answer = output.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  const end = answer.indexOf("\r\n\r\n");
  const [first = "", ...lines] = answer.slice(0, end).split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const text = answer.slice(end + 4);
  return {
    status: Number(first.split(" ")[1]),
    headers,
    text,
    field: (...path) => dig(text, path),
  };
}

function dig(text: string, path: readonly string[]): unknown {
  let value: unknown = JSON.parse(text);
  for (const name of path) {
    value = new Map<string, unknown>(Object.entries(Object(value))).get(name);
  }
  return value;
}
