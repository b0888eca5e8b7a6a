import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StartError } from "../errors.ts";
import fakeText from "./templates/fake.txt" with { type: "text" };
import providerText from "./templates/provider.txt" with { type: "text" };
import testText from "./templates/test.txt" with { type: "text" };

/** The files of a new provider, by name. */
export function renderPlugin(name: string): Readonly<Record<string, string>> {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const fill = (text: string) => text.replace(/\bacme\b/g, name).replace(/\bAcme\b/g, title);
  return {
    [`${name}.ts`]: fill(providerText),
    [`${name}.fake.ts`]: fill(fakeText),
    [`${name}.test.ts`]: fill(testText),
  };
}

/** Writes a new provider into a folder and returns the paths; a `StartError` where one exists. */
export async function writePlugin(name: string, directory: string): Promise<readonly string[]> {
  const files = Object.entries(renderPlugin(name)).map(
    ([file, text]) => [join(directory, file), text] as const,
  );
  const there = [join(directory, name), ...files.map(([path]) => path)].find((path) =>
    existsSync(path),
  );
  if (there !== undefined) {
    throw new StartError(`Cannot write provider "${name}": ${there} exists; choose another name`);
  }
  try {
    await mkdir(directory, { recursive: true });
    for (const [path, text] of files) await writeFile(path, text, { flag: "wx" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`Cannot write provider "${name}": ${reason}`, { cause });
  }
  return files.map(([path]) => path);
}
