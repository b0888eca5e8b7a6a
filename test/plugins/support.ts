import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadPlugins } from "../../src/plugins/load.ts";
import type { Provider } from "../../src/provider.ts";
import { catchError } from "../support/gateway.ts";

/** Writes files into a folder, by name; folders in between are made. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
}

/** Loads the plugins of a folder. */
export async function load(directory: string): Promise<Readonly<Record<string, Provider>>> {
  return await loadPlugins({ directory, taken: ["openai", "local"], timeoutSeconds: 5 });
}

/** The message that loading a folder fails with. */
export async function readFailure(directory: string): Promise<string> {
  const error = await catchError(() => load(directory));
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** The source of a plugin whose backends have the required methods and `members`. */
export function makePlugin(members = "", options = ""): string {
  return `import { defineProvider, jobNotFound } from "tunegate";
import * as v from "valibot";

const file = (id: string) =>
  ({ id, bytes: 3, created_at: 1_700_000_000, filename: "a.jsonl", purpose: "fine-tune" });
const job = (id: string) =>
  ({ id, created_at: 1_700_000_000, model: "m", status: "queued", training_file: "file-1" });

export default defineProvider({
  options: v.strictObject({ ${options} }),
  create(options, runtime) {
    return {
      async uploadFile() { return file("file-1"); },
      async createJob() { return job("ftjob-1"); },
      async cancelJob(id) { return { ...job(id), status: "cancelled" }; },
      async *listJobs() { yield job("ftjob-1"); },
      ${members}
    };
  },
});
`;
}
