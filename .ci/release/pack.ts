import { chmod, copyFile, mkdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import packageFile from "../../package.json";
import { buildExecutable, type Executable } from "./build.ts";
import { run } from "./commands.ts";
import { createNotices } from "./notices.ts";
import { root, version } from "./project.ts";
import { describeContents } from "./release.ts";
import { findHostTarget, selectTargets, type Target, targets } from "./targets.ts";

// Two kinds of npm packages, as esbuild has them: "tunegate" with what plugins import and a launcher,
// and one for each system with the executable, of which npm installs the one that fits.

const shared = {
  version,
  description: packageFile.description,
  license: packageFile.license,
};

/** Makes the tarball of the package "tunegate" in `directory` and returns its path. */
export async function packTypes(directory: string): Promise<string> {
  const stage = join(directory, "tunegate");
  await mkdir(stage, { recursive: true });
  await emitTypes(stage);
  await bundleHelpers(stage);
  for (const name of ["README.md", "LICENSE"]) await copyFile(join(root, name), join(stage, name));
  await copyFile(join(import.meta.dir, "launcher.js"), join(stage, "launcher.js"));
  return await pack(stage, directory, {
    name: "tunegate",
    ...shared,
    type: "module",
    bin: { tunegate: "launcher.js" },
    exports: {
      ".": { types: "./types/src/plugins/api.d.ts", default: "./index.js" },
      "./package.json": "./package.json",
    },
    files: ["types", "index.js", "launcher.js"],
    engines: { node: ">=20" },
    dependencies: { valibot: packageFile.dependencies.valibot },
    optionalDependencies: Object.fromEntries(
      targets.map((target) => [namePackage(target), version]),
    ),
  });
}

/** Makes the tarball with the executable for one system in `directory` and returns its path. */
export async function packExecutable(target: Target, directory: string): Promise<string> {
  const stage = join(directory, target.name);
  const program = target.os === "win32" ? "tunegate.exe" : "tunegate";
  const executable: Executable = await buildExecutable(target, join(stage, program));
  await chmod(executable.path, 0o755);
  const notices = createNotices(await describeContents([executable]));
  await Bun.write(join(stage, "THIRD-PARTY-NOTICES.txt"), notices);
  await copyFile(join(root, "LICENSE"), join(stage, "LICENSE"));
  return await pack(stage, directory, {
    name: namePackage(target),
    ...shared,
    bin: { tunegate: program },
    files: [program, "THIRD-PARTY-NOTICES.txt"],
    os: [target.os],
    cpu: [target.cpu],
    ...(target.libc === undefined ? {} : { libc: [target.libc] }),
    preferUnplugged: true,
  });
}

/** The npm package that has the executable for a system; the launcher looks for the same. */
function namePackage(target: Target): string {
  return `@tunegate/${target.name}`;
}

async function emitTypes(stage: string): Promise<void> {
  const settings = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      // Without it TypeScript writes, in spite of an error, and beside the sources.
      noEmitOnError: true,
      rootDir: root,
      outDir: join(stage, "types"),
      typeRoots: [join(root, "node_modules")],
    },
    include: [],
    files: [join(root, "src/plugins/api.ts")],
  };
  const path = join(stage, "tsconfig.json");
  await Bun.write(path, JSON.stringify(settings));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await run([process.execPath, compiler, "--project", path], root);
  await rm(path);
  await pruneTypes(join(stage, "types"), "src/plugins/api.d.ts");
}

/** Removes what the entry does not lead to: types of what its modules use inside. */
async function pruneTypes(directory: string, entry: string): Promise<void> {
  const reached = new Set([entry]);
  for (const path of reached) {
    const text = await Bun.file(join(directory, path)).text();
    for (const [, name = ""] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.ts"/g)) {
      reached.add(join(dirname(path), `${name}.d.ts`));
    }
  }
  for await (const path of new Bun.Glob("**/*.d.ts").scan({ cwd: directory })) {
    if (!reached.has(path)) await rm(join(directory, path));
  }
}

/** One file of what a plugin imports, for tests that run it without the gateway. */
async function bundleHelpers(stage: string): Promise<void> {
  const words = ["--target=bun", "--external=valibot", `--outfile=${join(stage, "index.js")}`];
  const entry = join(root, "src/plugins/api.ts");
  await run([process.execPath, "build", ...words, entry], root);
}

const packedSchema = v.tuple([v.looseObject({ filename: v.string() })]);

async function pack(stage: string, directory: string, settings: object): Promise<string> {
  await Bun.write(join(stage, "package.json"), `${JSON.stringify(settings, null, 2)}\n`);
  const words = ["npm", "pack", stage, "--json", "--pack-destination", directory];
  const [{ filename }] = v.parse(packedSchema, JSON.parse(await run(words, directory)));
  await rm(stage, { recursive: true });
  return join(directory, filename);
}

if (import.meta.main) {
  const wanted = selectTargets(process.argv.slice(2), [findHostTarget()]);
  const directory = join(root, "dist/pack");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  console.log(basename(await packTypes(directory)));
  for (const target of wanted) console.log(basename(await packExecutable(target, directory)));
}
