import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { defaultProvider, providers } from "../../providers/index.ts";
import { usage } from "../../src/commands/arguments.ts";
import { parseConfig } from "../../src/config/config.ts";
import { routes } from "../../src/routes.ts";
import { renderCapabilities, renderGeneralSettings, renderOptions } from "./tables.ts";

const readme = await Bun.file(join(import.meta.dir, "../../README.md")).text();

// To write a table anew: run `UPDATE_README=1 bun test test/readme`.
async function expectTable(name: string, table: string): Promise<void> {
  const pattern = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- end -->)`);
  expect(pattern.test(readme)).toBe(true);
  if (process.env.UPDATE_README === "1") {
    const path = join(import.meta.dir, "../../README.md");
    const text = await Bun.file(path).text();
    await Bun.write(
      path,
      text.replace(pattern, (_all, open, close) => `${open}${table}\n${close}`),
    );
    return;
  }
  expect(pattern.exec(readme)?.[0]).toBe(`<!-- ${name} -->\n${table}\n<!-- end -->`);
}

describe("README.md", () => {
  test("shows what each provider can do", async () => {
    await expectTable("capabilities", renderCapabilities());
  });

  test("shows every option of every provider", async () => {
    for (const name of Object.keys(providers))
      await expectTable(`options ${name}`, renderOptions(name));
  });

  test("shows every general setting", async () => {
    await expectTable("general settings", renderGeneralSettings());
  });

  test("shows the command line as --help does", () => {
    expect(readme).toContain(usage.slice(usage.indexOf("Usage")).trim());
  });

  test("names every path", () => {
    for (const [, pattern] of routes) {
      expect(readme).toContain(`/${pattern.replace(/:(\w+)/g, "{$1}")}`);
    }
  });

  test("shows configurations that load", () => {
    const environment = {
      OPENAI_API_KEY: "sk-1",
      AZURE_API_KEY: "k",
      OPENAI_API_KEY_RESEARCH: "sk-2",
      TUNEGATE_MASTER_KEY: "mk",
      GOOGLE_APPLICATION_CREDENTIALS: "/etc/key.json",
    };
    const blocks = Array.from(readme.matchAll(/```yaml\n([\s\S]*?)```/g), ([, text]) => text ?? "");
    expect(blocks.length).toBeGreaterThan(1);
    for (const block of blocks) {
      const config = parseConfig(block, "config.yaml", environment, { providers, defaultProvider });
      expect(config.backends.length).toBeGreaterThan(0);
    }
  });
});
