import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { readCommit } from "../../src/commit.ts";
import { buildExecutable, digestFile, type Executable } from "./build.ts";
import { readBunLicense, readPackage } from "./contents.ts";
import { createNotices } from "./notices.ts";
import { readLock, root, version } from "./project.ts";
import { createSbom, type ReleaseContents } from "./sbom.ts";
import { nameExecutable, selectTargets, type Target, targets } from "./targets.ts";

/**
 * Makes a release in an empty `directory`: an executable for each target, the unit for systemd, the
 * bill of materials, the licence notices and SHA256SUMS, which names all other files.
 */
export async function makeRelease(
  directory: string,
  wanted: readonly Target[],
  report: (line: string) => void,
): Promise<void> {
  const executables: Executable[] = [];
  for (const target of wanted) {
    const path = join(directory, nameExecutable(version, target));
    executables.push(await buildExecutable(target, path));
    report(basename(path));
  }
  const contents = await describeContents(executables);
  const sbom = `${JSON.stringify(createSbom(contents), null, 2)}\n`;
  await Bun.write(join(directory, `tunegate-${version}.cdx.json`), sbom);
  await Bun.write(join(directory, "THIRD-PARTY-NOTICES.txt"), createNotices(contents));
  await copyFile(join(root, "LICENSE"), join(directory, "LICENSE"));
  const unit = "tunegate.service";
  await copyFile(join(import.meta.dir, unit), join(directory, unit));
  await Bun.write(join(directory, "SHA256SUMS"), await listDigests(directory));
}

/** Looks up everything that these executables hold. */
export async function describeContents(
  executables: readonly Executable[],
): Promise<ReleaseContents> {
  const lock = await readLock();
  const keys = [...new Set(executables.flatMap(({ packages }) => packages))].sort();
  const packages = new Map(
    await Promise.all(keys.map(async (key) => [key, await readPackage(key, lock)] as const)),
  );
  const bun = await readBunLicense(lock);
  return { version, commit: readCommit(), executables, packages, bun, lock };
}

/** The lines that `sha256sum --check` reads. */
async function listDigests(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name !== "SHA256SUMS").sort();
  const lines = names.map(async (name) => `${await digestFile(join(directory, name))}  ${name}\n`);
  return (await Promise.all(lines)).join("");
}

if (import.meta.main) {
  const wanted = selectTargets(process.argv.slice(2), targets);
  const directory = join(root, "dist/release");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await makeRelease(directory, wanted, console.log);
  console.log(`${directory} is complete, at commit ${readCommit()}`);
}
