import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { ApiError } from "../../src/errors.ts";
import { findDefaultDirectory } from "../../src/plugins/files.ts";
import type { Runtime } from "../../src/provider.ts";
import { makeDirectory } from "../support/directory.ts";
import { load, makePlugin, readFailure, writeFiles } from "./support.ts";

let directory: ReturnType<typeof makeDirectory>;
let folder = "";
beforeEach(() => {
  directory = makeDirectory();
  folder = join(directory.path, "providers");
});
afterEach(() => directory.remove());

const write = (files: Readonly<Record<string, string>>) => writeFiles(folder, files);
const signal = new AbortController().signal;

function makeRuntime(): Runtime {
  return {
    name: "mine",
    directory: join(directory.path, "data"),
    serves: { files: true, jobs: true },
    command: [],
    secrets: [],
    log: () => undefined,
  };
}

describe("loadPlugins()", () => {
  test("takes NAME.ts, NAME.js and NAME/index.ts, and passes over their neighbours", async () => {
    await write({
      "acme.ts": makePlugin(),
      "plain.js": makePlugin().replaceAll(": string", ""),
      "folder/index.ts": makePlugin(),
      "acme.fake.ts": "throw new Error('a fake')",
      "acme.test.ts": "throw new Error('a test')",
      "types.d.ts": "export {};",
      "_shared.ts": "throw new Error('shared')",
      ".hidden.ts": "throw new Error('hidden')",
      "notes.md": "notes",
      "data/rows.json": "[]",
      "node_modules/index.ts": "throw new Error('packages')",
    });
    expect(Object.keys(await load(folder))).toEqual(["acme", "folder", "plain"]);
  });

  test("follows links to files and folders", async () => {
    await writeFiles(directory.path, {
      "elsewhere/one.ts": makePlugin(),
      "elsewhere/two/index.ts": makePlugin(),
      "providers/three.ts": makePlugin(),
    });
    await symlink(join(directory.path, "elsewhere/one.ts"), join(folder, "one.ts"));
    await symlink(join(directory.path, "elsewhere/two"), join(folder, "two"));
    expect(Object.keys(await load(folder))).toEqual(["one", "three", "two"]);
  });

  test("gives plugins the gateway's own tunegate and valibot, and what lies beside them", async () => {
    await write({
      "acme.ts": `import { ApiError, defineProvider } from "tunegate";
import * as v from "valibot";
import { basename } from "node:path";
import { Database } from "bun:sqlite";
import { word } from "./_word.ts";
import pack from "a-package";
const fail = async () => { throw new ApiError(418, [word, pack, basename("/a/b"), typeof Database, typeof v.string].join(" ")); };
async function* list() {}
export default defineProvider({
  options: v.strictObject({}),
  create: () => ({ uploadFile: fail, createJob: fail, cancelJob: fail, listJobs: list }),
});`,
      "_word.ts": "export const word: string = 'neighbour';",
      "node_modules/a-package/package.json": '{"name":"a-package","main":"main.js"}',
      "node_modules/a-package/main.js": "module.exports = 'package';",
      // Another valibot beside the plugin must not come before the gateway's.
      "node_modules/valibot/package.json": '{"name":"valibot","main":"main.js"}',
      "node_modules/valibot/main.js": "throw new Error('another valibot');",
    });
    const { acme } = await load(folder);
    const backend = acme?.create({}, makeRuntime());
    const error = await backend?.cancelJob("x", signal).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(String(error)).toContain("neighbour package b function function");
    expect(v.safeParse(v.unknown(), acme?.options).success).toBe(true);
  });

  test("keeps this, absent methods and cursors of a backend that is an instance of a class", async () => {
    await write({
      "acme.ts": `import * as v from "valibot";
class Service {
  #jobs = new Map();
  cursors = ["jobs"];
  async uploadFile() { throw new Error("not here"); }
  async createJob({ model, training_file }) {
    const job = { id: "job-" + this.#jobs.size, created_at: 5, status: "queued", model, training_file };
    this.#jobs.set(job.id, job);
    return job;
  }
  async cancelJob(id) { return this.#jobs.get(id); }
  async *listJobs() { yield* this.#jobs.values(); }
}
export default { options: v.strictObject({}), create: () => new Service() };`,
    });
    const backend = (await load(folder)).acme?.create({}, makeRuntime());
    const job = await backend?.createJob({ model: "m", training_file: "f" }, signal);
    expect(job).toMatchObject({ id: "job-0", model: "m" });
    const jobs = backend?.listJobs({ limit: 1 }, signal) ?? [];
    expect(await Array.fromAsync<unknown>(jobs)).toHaveLength(1);
    expect(backend?.cursors).toEqual(["jobs"]);
    expect(backend?.getJob).toBeUndefined();
    expect("pauseJob" in (backend ?? {})).toBe(false);
  });

  const broken: Readonly<Record<string, readonly [source: string, ...expected: string[]]>> = {
    "a syntax error": ["const a = 1;\nconst b = = 2;", "acme.ts:2:11: Unexpected ="],
    "an error at import": [
      'function open() {\n  throw new TypeError("no port");\n}\nopen();',
      "acme.ts:2:",
      "it threw TypeError: no port",
    ],
    "a text that is thrown at import": ['throw "no luck";', "acme.ts: it threw", "no luck"],
    "a missing neighbour": [
      'import "node:fs";\nimport x from "./nothere.ts";\nexport default x;',
      "acme.ts:2: Cannot find module './nothere.ts'",
    ],
    "a missing package": [
      '\n\nimport x from "not-installed";\nexport default x;',
      "acme.ts:3: Cannot find package 'not-installed'",
    ],
    "a name that tunegate does not export": [
      'import { nothing } from "tunegate";\nexport default nothing;',
      'acme.ts:1: "tunegate" exports no "nothing"',
    ],
    "no default export": ["export const a = 1;", "acme.ts: it has no default export"],
    "a default export that is no object": [
      "const a = 1;\nexport default 7;",
      "acme.ts:2: it must default-export an object",
    ],
    "no create": [
      'import * as v from "valibot";\nexport default { options: v.strictObject({}) };',
      "it has no create(options, runtime)",
    ],
    "options that are no strict object": [
      'import * as v from "valibot";\nexport default {\n  options: v.object({}),\n  create: () => ({}),\n};',
      "acme.ts:3: it must have options that are a v.strictObject",
    ],
    "an option with the name of an entry's own key": [
      makePlugin("", "\n  name: v.string()"),
      'it cannot have an option "name"',
    ],
    "wrong dataset rules": [
      'import * as v from "valibot";\nexport default { options: v.strictObject({}), datasets: { formats: ["chat"], minExamples: "ten", models: [] }, create: () => ({}) };',
      "it has datasets.minExamples wrong",
    ],
    "wrong prices": [
      'import * as v from "valibot";\nexport default { options: v.strictObject({}), prices: [{ model: "m", usd_per_million_tokens: NaN, source: "s", date: "d" }], create: () => ({}) };',
      "it has prices.0.usd_per_million_tokens wrong",
    ],
  };

  test.each(Object.keys(broken))("refuses %s, with file, line and reason", async (what) => {
    const [source = "", ...expected] = broken[what] ?? [];
    await write({ "acme.ts": source });
    const message = await readFailure(folder);
    expect(message).toStartWith('StartError: Cannot load provider "acme": ');
    for (const part of [folder, ...expected]) expect(message).toContain(part);
  });

  test("names all plugins that cannot be used at once", async () => {
    await write({ "acme.ts": "let a = = 1;", "fine.ts": makePlugin(), "other.ts": "export {};" });
    const message = await readFailure(folder);
    expect(message).toContain('provider "acme"');
    expect(message).toContain('provider "other"');
    expect(message).not.toContain("fine.ts");
  });

  test("reads a plugin and its neighbours anew when they have changed", async () => {
    for (const [source, part] of [
      [makePlugin(), "export const methods = 1;"],
      ["let a = = 1;", ""],
      [
        `import { note } from "./_part.ts";\n${makePlugin("async getJob() { throw note; },")}`,
        "export const note = 1;",
      ],
      [
        `import { other } from "./_part.ts";\n${makePlugin("async getFile() { throw other; },")}`,
        "export const other = 1;",
      ],
    ] as const) {
      await write({ "acme.ts": source, "_part.ts": part });
      const { acme } = await load(folder).catch(() => ({ acme: undefined }));
      const backend = acme?.create({}, makeRuntime());
      expect(backend?.getJob !== undefined).toBe(source.includes("getJob"));
      expect(backend?.getFile !== undefined).toBe(source.includes("getFile"));
    }
  });

  test("loads from folders with any name", async () => {
    folder = join(directory.path, "a b#c%20d é");
    await write({ "acme.ts": `import "./_part.ts";\n${makePlugin()}`, "_part.ts": "" });
    expect(Object.keys(await load(folder))).toEqual(["acme"]);
    await write({ "odd.ts": 'function open() {\n  throw new Error("x");\n}\nopen();' });
    expect(await readFailure(folder)).toContain(`${join(folder, "odd.ts")}:2:`);
  });

  test("names the neighbour in which a mistake is", async () => {
    await write({ "acme.ts": 'import "./_part.ts";', "_part.ts": "\nlet let = 1;" });
    expect(await readFailure(folder)).toContain(`${join(folder, "_part.ts")}:2:`);
  });

  test("refuses names that are built in, taken or unusable", async () => {
    for (const [files, expected] of [
      [["openai.ts"], '"openai" is built in; give the file another name'],
      [["Local/index.ts"], '"local" is built in'],
      [["acme.ts", "acme.js"], "remove one of them"],
      [["acme.ts", "ACME/index.ts"], "remove one of them"],
      [["models.ts"], "a provider cannot be named"],
      [["index.ts"], "a provider cannot be named"],
      [["v1.js"], "a provider cannot be named"],
      [["my provider.ts"], "a provider's name has 1 to 64 letters"],
      [["$x.ts"], "a provider's name has 1 to 64 letters"],
      [["a.b/index.ts"], "a provider's name has 1 to 64 letters"],
    ] as const) {
      await write(Object.fromEntries(files.map((name) => [name, makePlugin()])));
      expect(await readFailure(folder)).toContain(expected);
      directory.remove();
      directory = makeDirectory();
      folder = join(directory.path, "providers");
    }
  });

  test("refuses a folder that is not there, or is a file", async () => {
    expect(await readFailure(folder)).toContain("there is no folder");
    await writeFiles(directory.path, { file: "" });
    expect(await readFailure(join(directory.path, "file"))).toContain("it is no folder");
  });
});

describe("create() of a plugin", () => {
  const broken: Readonly<Record<string, readonly [body: string, expected: string]>> = {
    "that throws": ['throw new Error("no disk");', "create() threw Error: no disk"],
    "that is asynchronous": ["return Promise.resolve({});", "returned a promise from create()"],
    "that makes nothing": ["return undefined;", "it returned no backend from create()"],
    "without a required method": [
      "return { uploadFile() {}, createJob() {}, listJobs() {} };",
      "it made a backend without cancelJob(), which is required",
    ],
    "with a method that is none": [
      "return { uploadFile() {}, createJob() {}, cancelJob() {}, listJobs() {}, getJob: 7 };",
      "it made a backend whose getJob is no function",
    ],
    "with half of the uploads in parts": [
      "return { uploadFile() {}, createJob() {}, cancelJob() {}, listJobs() {}, createUpload() {} };",
      "it made a backend with createUpload() and without addUploadPart()",
    ],
    "with a cursor of a list that it lacks": [
      'return { uploadFile() {}, createJob() {}, cancelJob() {}, listJobs() {}, cursors: ["files"] };',
      'it names "files" in cursors',
    ],
  };

  test.each(Object.keys(broken))("%s is refused with file and line", async (what) => {
    const [body = "", expected = ""] = broken[what] ?? [];
    const source = `import * as v from "valibot";
export default {
  options: v.strictObject({}),
  create() { ${body} },
};`;
    await write({ "acme.ts": source });
    const { acme } = await load(folder);
    expect(() => acme?.create({}, makeRuntime())).toThrow(expected);
    expect(() => acme?.create({}, makeRuntime())).toThrow(join(folder, "acme.ts"));
  });
});

describe("findDefaultDirectory()", () => {
  test("finds the folder beside the configuration, but not the source of tunegate", async () => {
    await write({ "acme.ts": makePlugin() });
    expect(findDefaultDirectory(join(directory.path, "config.yaml"))).toBe(folder);
    expect(findDefaultDirectory(undefined)).toBeUndefined();
    expect(findDefaultDirectory(join(folder, "config.yaml"))).toBeUndefined();
    expect(findDefaultDirectory(join(import.meta.dir, "../../config.yaml"))).toBeUndefined();
  });
});
