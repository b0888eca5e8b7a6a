import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startServer } from "../demo/server.ts";
import { makeDirectory } from "../support/directory.ts";
import { makePlugin, writeFiles } from "./support.ts";

const root = join(import.meta.dir, "../..");
const built = makeDirectory();
const executable = join(built.path, "bin/tunegate");

beforeAll(async () => {
  await mkdir(join(built.path, "bin"));
  // As `bun run build` does, without what makes it small and quick.
  const entries = ["src/main.ts", "src/digest/worker.ts", "src/threads/worker.ts"];
  const switches = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  const words = ["build", "--compile", ...switches, "--outfile", executable, ...entries];
  const child = Bun.spawn([process.execPath, ...words], {
    cwd: root,
    stdout: "ignore",
    stderr: "pipe",
  });
  const errors = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(errors);
}, 60_000);
afterAll(() => built.remove());

let directory: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  directory = makeDirectory();
});
afterEach(() => directory.remove());

const entry = "finetune_settings: [{ custom_llm_provider: acme }]\n";

describe.each([
  ["from source", [process.execPath, join(root, "src/main.ts")]],
  ["compiled", [executable]],
] as const)("tunegate %s", (_how, command) => {
  async function run(...words: string[]) {
    const child = Bun.spawn([...command, ...words], {
      cwd: directory.path,
      env: { PATH: "/nowhere" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { output, errors, code: await child.exited };
  }

  test("loads ./providers beside the configuration, the configured folder, or --providers", async () => {
    const plugin = makePlugin();
    await writeFiles(directory.path, {
      "beside/config.yaml": entry,
      "beside/providers/acme.ts": plugin,
      "configured/config.yaml": `general_settings: { providers_dir: ../mine }\n${entry}`,
      "mine/acme/index.ts": plugin,
      "plain/config.yaml": entry,
    });
    for (const words of [
      ["--config", "beside/config.yaml"],
      ["--config", "configured/config.yaml"],
      ["--config", "plain/config.yaml", "--providers", "mine"],
    ]) {
      const { output, errors, code } = await run("check", ...words);
      expect({ errors, code }).toEqual({ errors: "", code: 0 });
      expect(output).toContain("is valid; backends: acme");
    }
    const { errors, code } = await run("check", "--config", "plain/config.yaml");
    expect(code).toBe(1);
    expect(errors).toContain("custom_llm_provider");
  });

  test("check says what is wrong with a plugin, or with its options, without a stack", async () => {
    await writeFiles(directory.path, {
      "config.yaml": entry,
      "providers/acme.ts": makePlugin("", "key: v.string()"),
    });
    const missing = await run("check");
    expect(missing).toMatchObject({ code: 1, output: "" });
    expect(missing.errors).toMatch(/config\.yaml:1:\d+ finetune_settings\[0\].*key/);
    await writeFiles(directory.path, { "providers/acme.ts": "const a = 1;\nlet b = = 2;\n" });
    for (const words of [["check"], ["serve", "--port", "0"], ["providers"]]) {
      const { errors, code } = await run(...words);
      expect(code).toBe(1);
      expect(errors).toMatch(/^Cannot load provider "acme": .*acme\.ts:2:\d+: Unexpected =\n$/);
    }
    const busy = `setInterval(() => undefined, 1000);\n${makePlugin()}`;
    await writeFiles(directory.path, { "providers/acme.ts": busy });
    expect((await run("check")).code).toBe(0);
    const without = makePlugin().replace("async cancelJob", "async cancel");
    await writeFiles(directory.path, { "providers/acme.ts": without });
    const { errors, code } = await run("check");
    expect(code).toBe(1);
    expect(errors).toMatch(/acme\.ts:\d+: it made a backend without cancelJob\(\)/);
  });

  test("providers lists the backends and what each can do", async () => {
    await writeFiles(directory.path, {
      "config.yaml": `${entry.replace("]", ", { custom_llm_provider: local, name: here }]")}`,
      "providers/acme.ts": makePlugin("async getJob(id) { return job(id); },"),
    });
    const { output, errors, code } = await run("providers");
    expect({ errors, code }).toEqual({ errors: "", code: 0 });
    expect(output).toMatch(/^operation +acme +here \(local\)$/m);
    expect(output).toMatch(/^create, retrieve, list, cancel jobs +yes +yes$/m);
    expect(output).toMatch(/^pause a job +– +yes$/m);
    expect(output).toContain("acme: has uploadFile, createJob, getJob, listJobs, cancelJob\n");
  });

  test("writes a plugin, checks it and serves it", async () => {
    expect((await run("plugin", "new", "acme")).code).toBe(0);
    const { output, code } = await run("plugin", "test", "providers/acme.ts");
    expect(output).toContain(" 0 failed");
    expect(code).toBe(0);
    const words = [process.execPath, "test", "./providers/acme.test.ts"];
    const environment = { PATH: "/nowhere", TUNEGATE: command.join(" ") };
    const tested = Bun.spawn(words, { cwd: directory.path, env: environment, stderr: "pipe" });
    expect(await tested.stderr.text()).toContain(" 1 pass");
    await writeFiles(directory.path, {
      "config.yaml": entry.replace("acme }", "acme, api_key: k, api_base: http://127.0.0.1:1/v1 }"),
    });
    const server = await startServer({
      command: [...command, "--port", "0"],
      directory: directory.path,
      environment: { PATH: "/nowhere" },
    });
    try {
      const answer = await fetch(`${server.url}/v1/providers`);
      expect(await answer.json()).toMatchObject({ data: [{ id: "acme", provider: "acme" }] });
      const { status } = await fetch(`${server.url}/v1/fine_tuning/jobs`);
      expect(status).toBe(502);
    } finally {
      expect(await server.stop()).toBe(0);
    }
  }, 60_000);
});
