import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultProvider, providers } from "../../providers/index.ts";
import { runPlugin } from "../../src/commands/plugin.ts";
import { loadConfig } from "../../src/config/config.ts";
import { StartError } from "../../src/errors.ts";
import { makeDirectory } from "../support/directory.ts";
import { catchError } from "../support/gateway.ts";
import { makePlugin, writeFiles } from "./support.ts";

let directory: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  directory = makeDirectory();
});
afterEach(() => directory.remove());

async function run(...words: string[]): Promise<{ good: boolean; output: string }> {
  const lines: string[] = [];
  const good = await runPlugin(words, {
    print: (text) => lines.push(text),
    taken: Object.keys(providers),
    readConfig: (file, plugins) =>
      loadConfig(file, {}, { providers, defaultProvider }, async () => plugins),
  });
  return { good, output: lines.join("\n") };
}

async function readFailure(...words: string[]): Promise<string> {
  const error = await catchError(() => run(...words));
  expect(error).toBeInstanceOf(StartError);
  return error instanceof Error ? error.message : "";
}

/** Writes a new provider and changes its text. */
async function writeChanged(name: string, from: string, to: string): Promise<string> {
  await run("new", name, "--dir", directory.path);
  const path = join(directory.path, `${name}.ts`);
  const text = await readFile(path, "utf8");
  expect(text).toContain(from);
  await writeFile(path, text.replace(from, to));
  return path;
}

describe("tunegate plugin new", () => {
  test("writes a provider, its fake and its test, which pass", async () => {
    const { output } = await run("new", "my-cloud", "--dir", join(directory.path, "a/b"));
    expect((await readdir(join(directory.path, "a/b"))).sort()).toEqual([
      "my-cloud.fake.ts",
      "my-cloud.test.ts",
      "my-cloud.ts",
    ]);
    expect(output).toContain("custom_llm_provider: my-cloud");
    const report = await run("test", join(directory.path, "a/b/my-cloud.ts"));
    expect(report.output).toEndWith(" checks passed, 0 failed");
    expect(report.good).toBe(true);
    expect(report.output).toMatch(/fine_tuning\.jobs\.create +works/);
    expect(report.output).toMatch(/fine_tuning\.jobs\.pause +–/);
    expect(report.output).toMatch(/retrieve, list files +yes/);
  }, 60_000);

  test("overwrites nothing", async () => {
    await writeFiles(directory.path, { "acme.fake.ts": "mine" });
    expect(await readFailure("new", "acme", "--dir", directory.path)).toContain(
      "acme.fake.ts exists",
    );
    expect(await readdir(directory.path)).toEqual(["acme.fake.ts"]);
    await writeFiles(directory.path, { "other/index.ts": "mine" });
    expect(await readFailure("new", "other", "--dir", directory.path)).toContain("exists");
  });

  test("refuses names that cannot be used, and words that it does not know", async () => {
    for (const [words, expected] of [
      [["new"], "Cannot write a provider: name it"],
      [["new", "../acme", "--dir", "x"], "a provider's name has 1 to 64 letters"],
      [["new", "models", "--dir", directory.path], "a provider cannot be named"],
      [["new", "acme"], "Cannot write into ./providers"],
      [["new", "OpenAI", "--dir", "x"], "it is built in"],
      [["new", "acme", "twice"], 'Cannot take "twice"'],
      [["new", "acme", "--config", "x"], "Cannot take --config"],
      [["test"], "Cannot check a provider: name its file"],
      [["test", "acme.ts", "--dir", "x"], "Cannot take --dir"],
      [["fly"], 'Cannot run "plugin fly"'],
      [["new", "--far"], "Cannot read the command line"],
    ] as const) {
      expect(await readFailure(...words)).toContain(expected);
    }
    expect((await run("--help")).output).toContain("tunegate plugin new NAME");
    expect((await run()).output).toContain("Usage");
  });
});

describe("tunegate plugin test", () => {
  test("says what is wrong, in which SDK call, and what the contract says of it", async () => {
    const path = await writeChanged(
      "acme",
      "created_at: created, purpose",
      "created_at: created * 1000, purpose",
    );
    const { good, output } = await run("test", path);
    expect(good).toBe(false);
    expect(output).toMatch(/files\.create +has mistakes/);
    expect(output).toMatch(/fine_tuning\.jobs\.create +works/);
    expect(output).toContain("not Unix seconds");
    expect(output).toContain("The contract says: `id` and `created_at` of an object are the same");
  }, 60_000);

  test("finds a method that hides the service's errors", async () => {
    const path = await writeChanged(
      "acme",
      'await service.remove(["datasets", id], signal);',
      'await service.remove(["datasets", id], signal).catch(() => undefined);',
    );
    const { good, output } = await run("test", path);
    expect(good).toBe(false);
    expect(output).toMatch(/files\.delete +has mistakes/);
    expect(output).toContain("An id that the service does not have is a 404");
  }, 60_000);

  test("takes a folder with its fake, and a backend that is an instance of a class", async () => {
    await run("new", "acme", "--dir", join(directory.path, "written"));
    const read = (name: string) => readFile(join(directory.path, "written", name), "utf8");
    await writeFiles(join(directory.path, "acme"), {
      "index.ts": await read("acme.ts"),
      "fake.ts": await read("acme.fake.ts"),
    });
    for (const path of ["acme", "acme/index.ts"]) {
      expect((await run("test", join(directory.path, path))).output).toEndWith("0 failed");
    }
  }, 60_000);

  test("with a configuration asks the service itself, and only reads", async () => {
    await writeFiles(directory.path, {
      "acme.ts": makePlugin(
        'async getJob(id) { if (options.key !== "k-1") throw 1; throw jobNotFound(id); },',
        "key: v.string()",
      ).replace("async createJob() {", "async createJob() { throw new Error('created');"),
      "config.yaml": "finetune_settings: [{ custom_llm_provider: acme, key: k-1 }]\n",
      "wrong.yaml": "finetune_settings: [{ custom_llm_provider: acme, kei: k-1 }]\n",
      "other.yaml": "finetune_settings: [{ custom_llm_provider: local }]\n",
    });
    const path = join(directory.path, "acme.ts");
    const at = (name: string) => join(directory.path, name);
    const { good, output } = await run("test", path, "--config", at("config.yaml"));
    expect(output).toEndWith("2 checks passed, 0 failed");
    expect(good).toBe(true);
    expect(await readFailure("test", path, "--config", at("wrong.yaml"))).toContain('"key"');
    expect(await readFailure("test", path, "--config", at("other.yaml"))).toContain(
      "no entry of it",
    );
  });

  test("refuses a provider that does not load, has no fake or does not fit its fake", async () => {
    const none = join(directory.path, "none.ts");
    expect(await readFailure("test", none)).toContain("name a file NAME.ts");
    await writeFiles(directory.path, { "acme.ts": makePlugin() });
    const path = join(directory.path, "acme.ts");
    expect(await readFailure("test", path)).toContain("there is no acme.fake.ts beside it");
    for (const [source, expected] of [
      ["export const a = 1;", "exports no startService(directory)"],
      ["export const a = = 1;", "acme.fake.ts:1:"],
    ] as const) {
      await writeFiles(directory.path, { "acme.fake.ts": source });
      const copy = makeDirectory();
      await writeFiles(copy.path, { "acme.ts": makePlugin(), "acme.fake.ts": source });
      expect(await readFailure("test", join(copy.path, "acme.ts"))).toContain(expected);
      copy.remove();
    }
    for (const [name, source, expected] of [
      [
        "throws",
        "export async function startService() { throw new Error('no port'); }",
        "its fake does not start: Error: no port",
      ],
      [
        "options",
        "export const startService = async () => ({ options: { odd: 1 }, stop: async () => {} });",
        "it does not take the options of its fake: odd",
      ],
    ] as const) {
      await writeFiles(directory.path, {
        [`${name}.ts`]: makePlugin(),
        [`${name}.fake.ts`]: source,
      });
      expect(await readFailure("test", join(directory.path, `${name}.ts`))).toContain(expected);
    }
  });
});
