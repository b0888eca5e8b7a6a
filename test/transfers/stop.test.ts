import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { providers } from "../../providers/index.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { makeDirectory } from "../support/directory.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { makeContent } from "./content.ts";
import { makeForm, makeHead, openConnection, requestLines, waitFor } from "./support.ts";

// A gateway that is stopped in the middle of an upload.

let directory: ReturnType<typeof makeDirectory>;
let fake: FakeOpenAI;
beforeEach(async () => {
  directory = makeDirectory();
  fake = await startFakeOpenAI();
});
afterEach(async () => {
  await fake.stop();
  directory.remove();
});

const { type, body } = makeForm(makeContent(4 * 1024 * 1024));

async function startGateway(shutdownSeconds: number): Promise<TestGateway> {
  return await startTestGateway({
    providers,
    dataDirectory: directory.path,
    config: `finetune_settings:
  - { custom_llm_provider: openai, api_key: ${fake.apiKey}, api_base: "${fake.url}" }
general_settings: { shutdown_timeout_seconds: ${shutdownSeconds} }
`,
  });
}

describe("stop()", () => {
  test("waits for a file whose client has gone, so that the file is known afterwards", async () => {
    const gateway = await startGateway(30);
    fake.inject({ delay: 300 });
    const connection = openConnection(gateway.url);
    connection.write(makeHead("/v1/files", type, body.length));
    connection.write(body);
    await waitFor(() => fake.requests.length === 1);
    connection.leave();
    await connection.received;
    await gateway.stop();
    expect(requestLines(gateway, "/v1/files")).toMatchObject([{ status: 200 }]);
    const ledger = new Database(join(directory.path, "ledger.sqlite"));
    const known = ledger.query("SELECT id FROM objects").all();
    ledger.close();
    expect(known).toEqual([...fake.state.files.keys()].map((id) => ({ id })));
    expect(known).toHaveLength(1);
  });

  test("leaves nothing on disk of an upload that it cuts off", async () => {
    const gateway = await startGateway(0);
    const connection = openConnection(gateway.url);
    // Chunked, for what says its length is passed on and not kept.
    connection.write(makeHead("/v1/files", type));
    connection.write(`${body.length.toString(16)}\r\n`);
    connection.write(body.subarray(0, body.length / 2));
    const spool = join(directory.path, "spool");
    await waitFor(() => readdirSync(directory.path).includes("spool"));
    await waitFor(() => readdirSync(spool).length === 1);
    await gateway.stop();
    expect(readdirSync(spool)).toEqual([]);
    await connection.received;
    expect(fake.requests).toEqual([]);
  });
});
