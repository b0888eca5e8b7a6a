import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { run } from "./commands.ts";
import { readBuildWords, root } from "./project.ts";
import { fetchRuntime } from "./runtime.ts";
import { signExecutable } from "./sign.ts";
import type { Target } from "./targets.ts";

/** An executable that was built. */
export interface Executable {
  readonly target: Target;
  readonly path: string;
  /** In hexadecimal. */
  readonly sha256: string;
  /** The packages that it has code of, sorted; named as bun.lock names them. */
  readonly packages: readonly string[];
}

const metafileSchema = v.looseObject({
  outputs: v.record(
    v.string(),
    v.looseObject({
      inputs: v.record(v.string(), v.looseObject({ bytesInOutput: v.number() })),
    }),
  ),
});

/** Builds the executable for a system as the build script does, from the Bun that is in bun.lock. */
export async function buildExecutable(target: Target, path: string): Promise<Executable> {
  await mkdir(dirname(path), { recursive: true });
  const scratch = await mkdtemp(join(dirname(path), "build-"));
  try {
    const runtime = await fetchRuntime(target, scratch);
    const outfile = join(scratch, "out", target.os === "win32" ? "tunegate.exe" : "tunegate");
    const metafile = join(scratch, "metafile.json");
    const words = [
      ...readBuildWords(),
      `--target=bun-${target.name}`,
      `--compile-executable-path=${runtime}`,
      `--outfile=${outfile}`,
      `--metafile=${metafile}`,
    ];
    await run([process.execPath, ...words], root);
    const packages = readPackages(await Bun.file(metafile).json());
    if (target.name === "darwin-x64") await signFile(outfile);
    await rename(outfile, path);
    return { target, path, sha256: await digestFile(path), packages };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function signFile(path: string): Promise<void> {
  const file = Buffer.from(await Bun.file(path).arrayBuffer());
  await writeFile(path, signExecutable(file, "tunegate"));
}

/** The packages that a bundler's metafile shows code of, sorted; a nested one is `outer/inner`. */
export function readPackages(metafile: unknown): readonly string[] {
  const names = new Set<string>();
  for (const { inputs } of Object.values(v.parse(metafileSchema, metafile).outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const nested = Array.from(
        path.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g),
        ([, name]) => name,
      );
      if (nested.length > 0 && bytesInOutput > 0) names.add(nested.join("/"));
    }
  }
  return [...names].sort();
}

/** The SHA-256 of a file, in hexadecimal. */
export async function digestFile(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}
