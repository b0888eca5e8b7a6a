import { describe, expect, test } from "bun:test";
import { join, relative } from "node:path";
import * as v from "valibot";
import { providers } from "../providers/index.ts";

const root = join(import.meta.dir, "..");

async function readSources(pattern: string): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for await (const path of new Bun.Glob(pattern).scan({ cwd: root })) {
    sources.set(path, await Bun.file(join(root, path)).text());
  }
  expect(sources.size).toBeGreaterThan(0);
  return sources;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

function importsOf(text: string): readonly string[] {
  return Array.from(
    text.matchAll(/from "([^"]+)"|import\("([^"]+)"\)/g),
    ([, a, b]) => a ?? b ?? "",
  );
}

describe("the code", () => {
  test("of src/ names no provider, and only main.ts imports providers/", async () => {
    for (const [path, whole] of await readSources("src/**/*.ts")) {
      // The start banner shows how to import the SDK.
      const text = whole.replace('import OpenAI from "openai"', "");
      for (const name of Object.keys(providers)) {
        expect({ path, named: withoutComments(text).includes(`"${name}"`) ? name : "" }).toEqual({
          path,
          named: "",
        });
      }
      const imported = importsOf(text).filter((one) => one.includes("providers/"));
      expect({ path, imported }).toEqual({
        path,
        imported: path === "src/main.ts" ? ["../providers/index.ts"] : [],
      });
    }
  });

  test("of providers/ imports the contract and its helpers only, and no other provider", async () => {
    const helpers = ["provider", "errors", "dataset", "hyperparameters", "job-request"].map(
      (name) => `src/${name}.ts`,
    );
    for (const [path, text] of await readSources("providers/**/*.ts")) {
      if (path === "providers/index.ts") continue;
      const own = path.split("/").length > 2 ? `${path.split("/").slice(0, 2).join("/")}/` : path;
      for (const name of importsOf(text).filter((one) => one.startsWith("."))) {
        const target = relative(root, join(root, path, "..", name));
        const allowed =
          target.startsWith(own) ||
          helpers.includes(target) ||
          /^src\/(upstream|dataset)\//.test(target);
        expect({ path, target, allowed }).toEqual({ path, target, allowed: true });
      }
    }
  });

  test("writes to the console in log.ts alone and exits in main.ts alone", async () => {
    for (const [path, text] of await readSources("{src,providers}/**/*.ts")) {
      const code = withoutComments(text);
      expect({ path, writes: /\bconsole\.|process\.std(out|err)\.write/.test(code) }).toEqual({
        path,
        writes: path === "src/log.ts",
      });
      if (path !== "src/main.ts")
        expect({ path, exits: /process\.exit\b/.test(code) }).toEqual({ path, exits: false });
    }
  });

  test("describes every option of every provider", () => {
    for (const [name, { options }] of Object.entries(providers)) {
      for (const [option, schema] of Object.entries(options.entries)) {
        expect({ name, option, described: v.getDescription(schema) !== undefined }).toEqual({
          name,
          option,
          described: true,
        });
      }
    }
  });
});
