import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { renderMarkdown, renderShort } from "./render.ts";
import type { Report } from "./report.ts";

const readme = join(import.meta.dir, "../../../README.md");
const table = /(<!-- bench -->\n)[\s\S]*?(<!-- end -->)/;

/** Writes results.json and results.md into `directory`, which is made if missing. */
export async function writeReport(report: Report, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Bun.write(join(directory, "results.json"), `${JSON.stringify(report, null, 2)}\n`);
  await Bun.write(join(directory, "results.md"), renderMarkdown(report));
}

/** Throws unless README.md has a place for the short table. */
export async function checkReadme(): Promise<void> {
  if (table.test(await Bun.file(readme).text())) return;
  throw new Error(
    "Cannot write to README.md: it has no <!-- bench --> that an <!-- end --> follows",
  );
}

/** Writes the short table into README.md. */
export async function writeReadme(report: Report): Promise<void> {
  const text = await Bun.file(readme).text();
  const short = renderShort(report);
  await Bun.write(
    readme,
    text.replace(table, (_all, open, close) => `${open}${short}\n${close}`),
  );
}
