import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes a directory of its own for one test; `remove` takes it away. */
export function makeDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tunegate-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
