import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { StartError } from "../../src/errors.ts";
import { registry } from "./registry.ts";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tunegate-config-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function writeConfig(content: string | Uint8Array): Promise<string> {
  const file = join(folder, "config.yaml");
  await writeFile(file, content);
  return file;
}

/** The message of the StartError that loadConfig() throws. */
async function readFailure(file: string): Promise<string> {
  try {
    await loadConfig(file, {}, registry);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  return "";
}

const smallest = "finetune_settings: [{ custom_llm_provider: local }]\n";

test("loadConfig() reads a file and keeps its name", async () => {
  const file = await writeConfig(smallest);
  const config = await loadConfig(file, {}, registry);
  expect(config.fileName).toBe(file);
  expect(config.backends).toHaveLength(1);
});

test("loadConfig() names mistakes by the file as it was given", async () => {
  const file = relative(process.cwd(), await writeConfig("files_setting: []\n"));
  expect(await readFailure(file)).toBe(
    `${file}:1:1 files_setting: unknown key; did you mean "files_settings"?`,
  );
});

test("loadConfig() takes a byte order mark and CRLF", async () => {
  const file = await writeConfig(`\uFEFF${smallest.replace("\n", "\r\n")}`);
  expect((await loadConfig(file, {}, registry)).backends).toHaveLength(1);
  expect(await readFailure(await writeConfig("\uFEFFx: 1"))).toStartWith(`${file}:1:1 x: unknown`);
});

test("loadConfig() says where it looked for a missing file", async () => {
  const file = relative(process.cwd(), join(folder, "missing.yaml"));
  expect(await readFailure(file)).toBe(
    `Cannot read config file "${file}": there is no file ${join(folder, "missing.yaml")}`,
  );
});

test("loadConfig() refuses a directory", async () => {
  expect(await readFailure(folder)).toBe(
    `Cannot read config file "${folder}": ${folder} is a directory, name a file in it`,
  );
});

test("loadConfig() gives the system's reason for any other failure", async () => {
  const file = join(await writeConfig(smallest), "below-a-file.yaml");
  expect(await readFailure(file)).toContain(`Cannot read config file "${file}": ENOTDIR`);
});

test("loadConfig() takes 1 MiB and refuses one byte more, an endless device too", async () => {
  const full = smallest.padEnd(1024 * 1024, "#");
  const file = await writeConfig(full);
  expect((await loadConfig(file, {}, registry)).backends).toHaveLength(1);
  const message = "it is larger than 1 MiB";
  expect(await readFailure(await writeConfig(`${full}#`))).toEndWith(message);
  expect(await readFailure("/dev/zero")).toEndWith(message);
});

test("loadConfig() refuses what is not UTF-8", async () => {
  const file = await writeConfig(new Uint8Array([0xff, 0xfe, 0x61, 0x00]));
  expect(await readFailure(file)).toBe(`Cannot read config file "${file}": it is not UTF-8 text`);
});

test("loadConfig() refuses an empty file", async () => {
  expect(await readFailure(await writeConfig(""))).toContain("config.yaml:1:1: is empty");
});
