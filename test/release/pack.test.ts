import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../.ci/release/commands.ts";
import { packTypes } from "../../.ci/release/pack.ts";
import { findHostTarget, targets } from "../../.ci/release/targets.ts";
import packageFile from "../../package.json";
import { makeDirectory } from "../support/directory.ts";

// A project of someone else, with the package "tunegate" as npm unpacks it.
const project = makeDirectory();
const modules = join(project.path, "node_modules");
const installed = join(modules, "tunegate");
const root = join(import.meta.dir, "../..");

beforeAll(async () => {
  const tarball = await packTypes(project.path);
  mkdirSync(installed, { recursive: true });
  await run(["tar", "-xzf", tarball, "--strip-components=1", "-C", installed], project.path);
  symlinkSync(join(root, "node_modules/valibot"), join(modules, "valibot"));
}, 60_000);
afterAll(() => project.remove());

async function compile(name: string, source: string): Promise<string> {
  await Bun.write(join(project.path, `${name}.ts`), source);
  const compilerOptions = {
    target: "ESNext",
    module: "Preserve",
    moduleResolution: "bundler",
    lib: ["ESNext", "DOM"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
  };
  const settings = JSON.stringify({ compilerOptions, files: [`${name}.ts`] });
  await Bun.write(join(project.path, `${name}.json`), settings);
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const words = [process.execPath, compiler, "--project", `${name}.json`];
  const child = Bun.spawn(words, { cwd: project.path, stdout: "pipe" });
  return await child.stdout.text();
}

const provider = `
  import { connectUpstream, defineProvider, FileObject, JobObject, apiBase } from "tunegate";
  import * as v from "valibot";

  export default defineProvider({
    options: v.strictObject({ api_base: apiBase }),
    create(options) {
      const file = { id: "file-1", bytes: 1, created_at: 1, filename: "a", purpose: "fine-tune" };
      const job = { id: "ftjob-1", created_at: 1, model: options.api_base, status: "queued" };
      return {
        uploadFile: async (upload) => ({ ...file, filename: upload.filename }),
        createJob: async (request) => v.parse(JobObject, { ...job, model: request.model }),
        cancelJob: async (id) => v.parse(JobObject, { ...job, id }),
        async *listJobs() {},
      };
    },
  });
  export const helpers = [connectUpstream, FileObject];
`;

describe("the package tunegate", () => {
  test("lets tsc check a provider outside this repository", async () => {
    expect(await compile("right", provider)).toBe("");
  }, 60_000);

  test("lets tsc find what is wrong with one", async () => {
    const wrong = provider
      .replace(/createJob: .*/, "createJob: async () => 42,")
      .replace("options.api_base,", "options.api_bass,");
    const complaints = await compile("wrong", wrong);
    expect(complaints).toContain("'api_bass' does not exist");
    expect(complaints).toContain("'Promise<number>' is not assignable");
  }, 60_000);

  test("has the helpers that a provider uses, to be run without the gateway", async () => {
    await Bun.write(join(project.path, "provider.ts"), provider);
    await Bun.write(
      join(project.path, "use.ts"),
      `import provider from "./provider.ts";
       const backend = provider.create({ api_base: "https://example.com" }, {} as never);
       console.log(JSON.stringify(await backend.uploadFile({ filename: "b.jsonl" } as never, {} as never)));`,
    );
    const output = await run([process.execPath, "use.ts"], project.path);
    expect(JSON.parse(output)).toMatchObject({ id: "file-1", filename: "b.jsonl" });
  });

  test("holds types, helpers and the launcher, and asks for an executable of the same version", async () => {
    const file = await Bun.file(join(installed, "package.json")).json();
    expect(file).toMatchObject({
      name: "tunegate",
      version: packageFile.version,
      dependencies: { valibot: packageFile.dependencies.valibot },
      optionalDependencies: Object.fromEntries(
        targets.map(({ name }) => [`@tunegate/${name}`, packageFile.version]),
      ),
    });
    const names = [...new Bun.Glob("**/*").scanSync({ cwd: installed })];
    const others = names.filter((name) => !name.startsWith("types/")).sort();
    expect(others).toEqual(["LICENSE", "README.md", "index.js", "launcher.js", "package.json"]);
    expect(names).toContain("types/src/provider.d.ts");
    expect(names.join()).not.toContain("gateway");
  });
});

describe("the launcher of the package tunegate", () => {
  const launch = (...words: string[]) =>
    Bun.spawn(["node", join(installed, "launcher.js"), ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });

  test("says which package is missing where there is no executable", async () => {
    const child = launch("--version");
    expect(await child.stderr.text()).toStartWith(
      `Cannot run tunegate: the package @tunegate/${findHostTarget().name} is not installed`,
    );
    expect(await child.exited).toBe(1);
  });

  test("passes words, output, exit code and signals on", async () => {
    const directory = join(modules, "@tunegate", findHostTarget().name);
    await Bun.write(join(directory, "package.json"), "{}");
    // What the executable does is not the point here: this one shows what it was given.
    await Bun.write(
      join(directory, "tunegate"),
      `#!/bin/sh
       [ "$1" = wait ] && trap 'echo stopping; exit 3' TERM
       echo "$@"
       [ "$1" = end ] && exit 7
       while true; do sleep 0.1; done
      `,
    );
    chmodSync(join(directory, "tunegate"), 0o755);
    const ended = launch("end", "a b");
    expect(await ended.stdout.text()).toBe("end a b\n");
    expect(await ended.exited).toBe(7);
    const stopped = launch("wait");
    const reader = stopped.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("wait\n");
    stopped.kill("SIGTERM");
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("stopping\n");
    expect(await stopped.exited).toBe(3);
    const killed = launch("die");
    await killed.stdout.getReader().read();
    killed.kill("SIGTERM");
    await killed.exited;
    expect(killed.signalCode).toBe("SIGTERM");
  });
});
