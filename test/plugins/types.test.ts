import { expect, test } from "bun:test";
import { join } from "node:path";
import { renderPlugin } from "../../src/plugins/scaffold.ts";
import { makeDirectory } from "../support/directory.ts";
import { writeFiles } from "./support.ts";

const root = join(import.meta.dir, "../..");

test("a new plugin has no mistake that tsc finds", async () => {
  const directory = makeDirectory();
  try {
    const base = await Bun.file(join(root, "tsconfig.json")).json();
    const paths = {
      tunegate: [join(root, "src/plugins/api.ts")],
      valibot: [join(root, "node_modules/valibot")],
    };
    const typeRoots = [join(root, "node_modules")];
    const compilerOptions = { ...base.compilerOptions, paths, typeRoots };
    await writeFiles(directory.path, {
      ...renderPlugin("my-cloud"),
      "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts"] }),
    });
    const child = Bun.spawn(
      [join(root, "node_modules/.bin/tsc"), "--noEmit", "-p", directory.path],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const output = await child.stdout.text();
    expect({ output, code: await child.exited }).toEqual({ output: "", code: 0 });
  } finally {
    directory.remove();
  }
}, 60_000);
