import { expect, test } from "bun:test";
import { join } from "node:path";
import { runPlugin } from "../../src/commands/plugin.ts";
import { renderPlugin } from "../../src/plugins/scaffold.ts";
import { makeDirectory } from "../support/directory.ts";
import { writeFiles } from "./support.ts";

const readme = await Bun.file(join(import.meta.dir, "../../providers/README.md")).text();
const blocks = Array.from(readme.matchAll(/```ts\n([\s\S]*?)```/g), ([, text = ""]) => text.trim());

function withoutBlankLines(text: string): string {
  return text.replace(/^\s+/gm, "").trim();
}

test("the provider of providers/README.md keeps the contract", async () => {
  const directory = makeDirectory();
  try {
    const files = { ...renderPlugin("acme"), "acme.ts": blocks.join("\n\n") };
    await writeFiles(directory.path, files);
    const lines: string[] = [];
    const good = await runPlugin(["test", join(directory.path, "acme.ts")], {
      print: (text) => lines.push(text),
      taken: [],
      readConfig: () => Promise.reject(new Error("no configuration is read")),
    });
    expect(lines.join("\n")).toEndWith(" 0 failed");
    expect(good).toBe(true);
  } finally {
    directory.remove();
  }
}, 60_000);

test("it is the one that `tunegate plugin new` writes", () => {
  const written = renderPlugin("acme")["acme.ts"] ?? "";
  expect(withoutBlankLines(blocks.join("\n"))).toBe(withoutBlankLines(written));
});

test("providers/README.md names every file, section and import that is there", () => {
  for (const [, link = ""] of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
    expect({
      link,
      exists: Bun.file(join(import.meta.dir, "../../providers", link)).size > 0,
    }).toEqual({ link, exists: true });
  }
  for (const [, anchor = ""] of readme.matchAll(/\]\(#([^)]+)\)/g)) {
    const headings = Array.from(readme.matchAll(/^## (.+)$/gm), ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\w ]/g, "")
        .replaceAll(" ", "-"),
    );
    expect(headings).toContain(anchor);
  }
});
