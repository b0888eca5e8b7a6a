import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { run } from "./commands.ts";
import { findLocked, readLock, root } from "./project.ts";
import { findHostTarget, type Target } from "./targets.ts";

const packedSchema = v.tuple([v.looseObject({ filename: v.string() })]);

/**
 * Fetches Bun for a system from npm into `directory` and returns the executable's path; for this
 * system it is installed already. Throws where the package is not the one in bun.lock: Bun's own
 * download would not be compared with it.
 */
export async function fetchRuntime(target: Target, directory: string): Promise<string> {
  // The package "bun" moves the one of its optional dependencies that fits to this place.
  if (target === findHostTarget()) return join(root, "node_modules/bun/bin/bun.exe");
  const { version, integrity } = findLocked(await readLock(), target.runtime);
  const scratch = await mkdtemp(join(tmpdir(), "tunegate-runtime-"));
  try {
    const name = `${target.runtime}@${version}`;
    const words = ["npm", "pack", name, "--json", "--pack-destination", scratch];
    const [{ filename }] = v.parse(packedSchema, JSON.parse(await run(words, scratch)));
    const archive = join(scratch, filename);
    const digest = await digestFile(archive);
    if (`sha512-${digest}` !== integrity) {
      throw new Error(`Cannot use ${name}: its sha512 is not the one in bun.lock`);
    }
    await run(["tar", "-xzf", archive, "-C", scratch], scratch);
    const program = target.os === "win32" ? "bun.exe" : "bun";
    await mkdir(directory, { recursive: true });
    const path = join(directory, `${target.name}-${program}`);
    await rename(join(scratch, "package", "bin", program), path);
    return path;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function digestFile(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha512");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("base64");
}
