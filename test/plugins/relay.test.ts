import { expect, test } from "bun:test";
import { join } from "node:path";
import { providers } from "../../providers/index.ts";
import { makeDirectory } from "../support/directory.ts";
import { startTestGateway } from "../support/gateway.ts";
import { load, writeFiles } from "./support.ts";

const readme = await Bun.file(join(import.meta.dir, "../../providers/README.md")).text();
const [, source = ""] = /```typescript\n([\s\S]*?)```/.exec(readme) ?? [];

test("the relay of providers/README.md has a job run on another tunegate", async () => {
  const directory = makeDirectory();
  await writeFiles(directory.path, { "relay.ts": source });
  const far = await startTestGateway({
    providers,
    config:
      "finetune_settings: [{ custom_llm_provider: local }]\ngeneral_settings: { master_key: mk-far }\n",
    apiKey: "mk-far",
  });
  const near = await startTestGateway({
    providers: await load(directory.path),
    config: `finetune_settings:
  - { custom_llm_provider: relay, url: "${far.url}", api_key: mk-far, backend: local }
`,
  });
  try {
    const { files, fineTuning } = near.client;
    const line = JSON.stringify({
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
      ],
    });
    const content = `${line}\n`.repeat(12);
    const file = await files.create({ file: new File([content], "a.jsonl"), purpose: "fine-tune" });
    expect(await (await files.content(file.id)).text()).toBe(content);
    const job = await fineTuning.jobs.create({ model: "tiny-lm", training_file: file.id });
    let last = job;
    while (!["succeeded", "failed"].includes(last.status)) {
      await Bun.sleep(20);
      last = await fineTuning.jobs.retrieve(job.id);
    }
    expect(last.status).toBe("succeeded");
    expect((await far.client.fineTuning.jobs.retrieve(job.id)).id).toBe(job.id);
    const messages: string[] = [];
    for await (const { message } of fineTuning.jobs.listEvents(job.id)) messages.push(message);
    expect(messages.length).toBeGreaterThan(3);
    const ids: string[] = [];
    for await (const { id } of fineTuning.jobs.list()) ids.push(id);
    expect(ids).toEqual([job.id]);
    expect(await files.delete(file.id)).toMatchObject({ deleted: true });
  } finally {
    await near.stop();
    await far.stop();
    directory.remove();
  }
}, 30_000);
