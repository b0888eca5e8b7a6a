import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * The commit that these sources are at, "-dirty" behind it where they were changed since, or
 * "unknown" outside a clone. Called as a macro, so that an executable keeps what it was built from.
 */
export function readCommit(): string {
  const root = join(import.meta.dir, "..");
  const git = Bun.which("git");
  if (git === null || !existsSync(join(root, ".git"))) return "unknown";
  const words = [git, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"];
  const { success, stdout } = Bun.spawnSync(words, { cwd: root, stderr: "ignore" });
  return success ? stdout.toString().trim() : "unknown";
}
