import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { defaultProvider, providers } from "../../providers/index.ts";
import { entryKeys } from "../../src/config/backends.ts";
import { parseConfig } from "../../src/config/config.ts";
import { generalSettings } from "../../src/config/general-settings.ts";

const registry = { providers, defaultProvider };
const text = readFileSync(join(import.meta.dir, "../../config.example.yaml"), "utf8");
/** The file with every setting in it: `#timeout: 600` and `#  timeout: 600` are, `# Words.` not. */
const complete = text.replace(/^( *)#(?=- |(?: {2})?[a-z_]+:)/gm, "$1");

const Settings = v.object({
  general_settings: v.record(v.string(), v.unknown()),
  finetune_settings: v.array(v.looseObject({ custom_llm_provider: v.string() })),
});

test("config.example.yaml starts as it is, with OPENAI_API_KEY set", () => {
  const environment = { OPENAI_API_KEY: "key" };
  const config = parseConfig(text, "config.example.yaml", environment, registry);
  expect(config.backends.map(({ name }) => name)).toEqual(["openai", "local"]);
  expect(config.unused).toEqual([]);
  expect(config.usesDefaultBackend).toBe(false);
});

test("every setting that config.example.yaml shows behind a # is one that works", () => {
  const variables = [...text.matchAll(/os\.environ\/([A-Z_]+)/g)].map(([, name = ""]) => name);
  const environment = Object.fromEntries(variables.map((name) => [name, "value"]));
  const config = parseConfig(complete, "config.example.yaml", environment, registry);
  expect(config.general.master_key).toBe("value");
  expect(config.backends.length).toBeGreaterThan(1);
});

test("config.example.yaml shows every key of general_settings", () => {
  const shown = Object.keys(v.parse(Settings, parse(complete)).general_settings);
  expect(shown).toEqual(Object.keys(generalSettings.entries));
});

test.each(Object.keys(providers))("config.example.yaml shows every option of %s", (name) => {
  const entries = v.parse(Settings, parse(complete)).finetune_settings;
  const own = entries.filter(({ custom_llm_provider }) => custom_llm_provider === name);
  const shown = own.flatMap((entry) => Object.keys(entry));
  const options = Object.keys(providers[name]?.options.entries ?? {});
  expect(options).not.toBeEmpty();
  expect(shown).toEqual(expect.arrayContaining(options));
});

test.each(Object.keys(providers))("no option of %s has the name of an entry's own key", (name) => {
  const options = Object.keys(providers[name]?.options.entries ?? {});
  expect(options.filter((option) => entryKeys.includes(option))).toEqual([]);
});
