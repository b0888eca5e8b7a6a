import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../src/config/config.ts";
import { StartError } from "../../src/errors.ts";
import { registry } from "./registry.ts";

const folder = join(import.meta.dir, "golden");

const environment = {
  OPENAI_API_KEY: "hunter2-of-the-environment",
  SPACED: "hunter2 with spaces",
  EMPTY: "",
};

const names = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -".yaml".length));

/** What parseConfig() says of the text. */
function readMistakes(text: string): string {
  try {
    parseConfig(text, "config.yaml", environment, registry);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  return "";
}

test.each(names)("parseConfig() names every mistake of %s.yaml, and no secret", (name) => {
  const mistakes = readMistakes(readFileSync(join(folder, `${name}.yaml`), "utf8"));
  expect(`${mistakes}\n`).toBe(readFileSync(join(folder, `${name}.txt`), "utf8"));
  expect(mistakes).not.toBe("");
  expect(mistakes).not.toContain("hunter2");
});

test("every file of expected mistakes has its config", () => {
  const expected = readdirSync(folder).filter((file) => file.endsWith(".txt"));
  expect(expected.sort()).toEqual(names.map((name) => `${name}.txt`).sort());
});
