import { join } from "node:path";
import * as v from "valibot";
import packageFile from "../../package.json";

/** The top directory of the sources. */
export const root: string = join(import.meta.dir, "../..");

/** This release's version, as in package.json. */
export const version: string = packageFile.version;

/** The words of the build script behind `bun`: `build --compile … src/main.ts …`. */
export function readBuildWords(script: string = packageFile.scripts.build): readonly string[] {
  const found = /(?:^|&& )bun (build --compile [\w./=@ -]+)$/.exec(script)?.[1];
  if (found !== undefined) return found.split(/ +/);
  throw new Error(
    `Cannot read the build script "${script}": it must end in "bun build --compile …", without quotes or variables`,
  );
}

/** What bun.lock says of one package. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** Of the package's tarball, such as `sha512-…` in base64. */
  readonly integrity: string;
}

const lockSchema = v.looseObject({
  packages: v.record(v.string(), v.array(v.unknown())),
});

/** Reads bun.lock: by the name of a package, or `outer/inner` where `outer` has its own version. */
export async function readLock(): Promise<ReadonlyMap<string, LockedPackage>> {
  const text = await Bun.file(join(root, "bun.lock")).text();
  const { packages } = v.parse(lockSchema, Bun.JSONC.parse(text));
  const locked = new Map<string, LockedPackage>();
  for (const [key, [id, , , integrity]] of Object.entries(packages)) {
    const [, name, version] = /^(.+)@([^@]+)$/.exec(String(id)) ?? [];
    if (name === undefined || version === undefined || typeof integrity !== "string") {
      throw new Error(`Cannot read bun.lock: "${key}" has no version or no integrity`);
    }
    locked.set(key, { name, version, integrity });
  }
  return locked;
}

/** Looks a package up; throws where bun.lock does not have it. */
export function findLocked(lock: ReadonlyMap<string, LockedPackage>, key: string): LockedPackage {
  const found = lock.get(key);
  if (found === undefined)
    throw new Error(`Cannot find the package "${key}": it is not in bun.lock`);
  return found;
}
