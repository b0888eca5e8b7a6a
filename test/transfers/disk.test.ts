import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { explainWriteError } from "../../src/file-writer.ts";
import { type ServerProcess, startServer } from "../demo/server.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { makeDirectory } from "../support/directory.ts";
import { catchError } from "../support/gateway.ts";
import { makeContent } from "./content.ts";

// A gateway whose disk takes no file of more than 4 MiB, or 2 MiB where the shell counts so.

let directory: ReturnType<typeof makeDirectory>;
let fake: FakeOpenAI;
let server: ServerProcess;
let client: OpenAI;
beforeEach(async () => {
  directory = makeDirectory();
  fake = await startFakeOpenAI();
  await Bun.write(
    join(directory.path, "config.yaml"),
    `finetune_settings:
  - { custom_llm_provider: openai, api_key: ${fake.apiKey}, api_base: "${fake.url}" }
  - { custom_llm_provider: local }
general_settings: { validate_files: off }
`,
  );
  const limited = ["sh", "-c", `trap "" XFSZ; ulimit -f 4096; exec "$@"`, "sh"];
  const main = join(import.meta.dir, "../../src/main.ts");
  server = await startServer({
    command: [...limited, process.execPath, main, "--port", "0"],
    directory: directory.path,
    environment: { PATH: process.env.PATH },
  });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterEach(async () => {
  await server.stop();
  await fake.stop();
  directory.remove();
});

const full = {
  status: 507,
  code: "insufficient_storage",
  type: "server_error",
  error: { message: "Cannot take the file: the gateway's disk takes no file of this size" },
};

async function makeFile(bytes: number) {
  return await toFile(makeContent(bytes), "a.jsonl");
}

test("a disk that takes no more is a 507 that leaves nothing, and the gateway goes on", async () => {
  const upload = async (bytes: number) =>
    await client.files.create({ file: await makeFile(bytes), purpose: "fine-tune" });
  const error = await catchError(() => upload(8_000_000));
  expect(error).toMatchObject(full);
  expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("false");
  expect(fake.requests).toEqual([]);
  expect(readdirSync(join(directory.path, ".tunegate/spool"))).toEqual([]);
  expect((await upload(1_500_000)).bytes).toBe(1_500_000);
});

test("parts that the disk does not take in one file are a 507, and stay as they are", async () => {
  const { uploads } = client.withOptions({ baseURL: `${server.url}/local/v1` });
  const upload = await uploads.create({
    filename: "a.jsonl",
    purpose: "fine-tune",
    bytes: 6_000_000,
    mime_type: "text/jsonl",
  });
  const part_ids: string[] = [];
  for (let at = 0; at < 4; at += 1) {
    const part = await uploads.parts.create(upload.id, { data: await makeFile(1_500_000) });
    part_ids.push(part.id);
  }
  expect(await catchError(() => uploads.complete(upload.id, { part_ids }))).toMatchObject(full);
  const left = readdirSync(join(directory.path, ".tunegate/uploads/local", upload.id));
  expect(left.sort()).toEqual([...part_ids, "upload.json"].sort());
});

test("a disk that is full is a 507, and one that may not be written to a 500", async () => {
  const refusal = await catchError(async () => writeFileSync("/dev/full", "x"));
  expect(explainWriteError(refusal)).toMatchObject({
    status: 507,
    retry: false,
    message: "Cannot take the file: the gateway's disk is full",
  });
  const missing = await catchError(async () => writeFileSync(join(directory.path, "a/b"), "x"));
  expect(explainWriteError(missing)).toMatchObject({ status: 500, retry: false, code: null });
});
