import * as v from "valibot";
import type { Backend, FileUpload, Provider, Runtime } from "../../src/provider.ts";

/** A backend of which the test uses what it knows to be there. */
export type WholeBackend = Required<Omit<Backend, "close">>;

/** Makes the backend `main` of a provider; its directory does not exist. */
export function connectBackend(
  provider: Provider,
  options: Readonly<Record<string, unknown>>,
): WholeBackend {
  const runtime: Runtime = {
    name: "main",
    directory: "/nonexistent/tunegate",
    serves: { files: true, jobs: true },
    command: [],
    secrets: [],
    log: () => {},
  };
  return requireMethods(provider.create(v.parse(provider.options, options), runtime));
}

/** A missing method throws when it is called, and says which it is. */
function requireMethods(backend: Backend): WholeBackend {
  return backend as WholeBackend;
}

/** A fine-tuning file that is to be uploaded. */
export function makeUpload(content: Blob, fields: Partial<FileUpload> = {}): FileUpload {
  const usual = { filename: "train.jsonl", purpose: "fine-tune", sha256: "", extra: [] };
  return { content, ...usual, ...fields };
}

/** The last of some items, of which there must be one. */
export function last<Item>(items: readonly Item[]): Item {
  const item = items.at(-1);
  if (item === undefined) throw new Error("There is nothing yet");
  return item;
}
