import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { sep } from "node:path";
import * as valibot from "valibot";
import * as api from "./api.ts";

let provided = false;

/**
 * Lets files that are imported from now on import "tunegate" and "valibot" as the gateway has them,
 * wherever they lie and whether or not this is the compiled executable.
 */
export function provideModules(): void {
  if (provided) return;
  provided = true;
  Bun.plugin({
    name: "tunegate",
    setup(build) {
      build.module("tunegate", () => ({ exports: { ...api }, loader: "object" }));
      build.module("valibot", () => ({ exports: { ...valibot }, loader: "object" }));
    },
  });
}

/** Lets the files of folders be read anew when they are imported next, packages in them excepted. */
export function forgetModules(directories: readonly string[]): void {
  // Bun's cache of modules, those of `import` too.
  const { cache } = createRequire(import.meta.url);
  const starts = [...new Set(directories)].map((directory) => realpathSync(directory) + sep);
  for (const path of Object.keys(cache)) {
    if (path.includes(`${sep}node_modules${sep}`)) continue;
    if (starts.some((start) => path.startsWith(start))) delete cache[path];
  }
}
