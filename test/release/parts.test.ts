import { describe, expect, test } from "bun:test";
import { readPackages } from "../../.ci/release/build.ts";
import { readBunLicense, readPackage } from "../../.ci/release/contents.ts";
import { readBuildWords, readLock } from "../../.ci/release/project.ts";
import {
  findHostTarget,
  nameExecutable,
  selectTargets,
  targets,
} from "../../.ci/release/targets.ts";

describe("a release", () => {
  test("has an executable for each of seven systems, named by version and system", () => {
    expect(targets.map((target) => nameExecutable("1.2.3", target))).toEqual([
      "tunegate-1.2.3-linux-x64",
      "tunegate-1.2.3-linux-arm64",
      "tunegate-1.2.3-linux-x64-musl",
      "tunegate-1.2.3-linux-arm64-musl",
      "tunegate-1.2.3-darwin-x64",
      "tunegate-1.2.3-darwin-arm64",
      "tunegate-1.2.3-windows-x64.exe",
    ]);
  });

  test("is built for the targets that are named, else for the usual ones", () => {
    const [first] = targets;
    expect(selectTargets([], targets)).toBe(targets);
    expect(selectTargets(["linux-x64"], targets)).toEqual(first === undefined ? [] : [first]);
    expect(() => selectTargets(["linux-x64", "plan9"], targets)).toThrow(
      'Cannot build for "plan9": the targets are linux-x64, linux-arm64, linux-x64-musl',
    );
  });

  test("has its Bun in bun.lock for every target", async () => {
    const lock = await readLock();
    for (const { runtime } of targets) {
      expect(lock.get(runtime)).toMatchObject({ name: runtime, version: Bun.version });
    }
  });

  test("is built with the words of the build script", () => {
    const words = readBuildWords();
    expect(words.slice(0, 2)).toEqual(["build", "--compile"]);
    expect(words).toContain("src/main.ts");
    expect(readBuildWords("a && bun build --compile --x y.ts")).toEqual([
      "build",
      "--compile",
      "--x",
      "y.ts",
    ]);
    for (const script of [
      "tsc",
      "bun build src/main.ts",
      'bun build --compile --define "A=1" y.ts',
      "bun build --compile $ENTRY",
      "bun build --compile y.ts && strip y",
    ]) {
      expect(() => readBuildWords(script)).toThrow("Cannot read the build script");
    }
  });

  test("counts the packages whose code is in the executable, and no others", () => {
    const inputs = {
      "src/main.ts": { bytesInOutput: 10 },
      "node_modules/used/a.js": { bytesInOutput: 5 },
      "node_modules/used/b.js": { bytesInOutput: 0 },
      "node_modules/@scope/one/a.js": { bytesInOutput: 1 },
      "node_modules/@scope/one/node_modules/inner/a.js": { bytesInOutput: 1 },
      "../elsewhere/node_modules/shaken/a.js": { bytesInOutput: 0 },
    };
    expect(readPackages({ outputs: { a: { inputs }, b: { inputs: {} } } })).toEqual([
      "@scope/one",
      "@scope/one/inner",
      "used",
    ]);
    expect(() => readPackages({ outputs: { a: {} } })).toThrow();
    expect(() => readPackages("nonsense")).toThrow();
  });

  test("takes licences from the packages themselves, and refuses one that is not locked", async () => {
    const lock = await readLock();
    const found = await readPackage("valibot", lock);
    expect(found).toMatchObject({ name: "valibot", license: "MIT" });
    expect(found.notices.join()).toContain("Permission is hereby granted");
    await expect(readPackage("left-pad", lock)).rejects.toThrow(
      'Cannot find the package "left-pad": it is not in bun.lock',
    );
    const other = { name: "valibot", version: "0.0.1", integrity: "sha512-" };
    await expect(readPackage("valibot", new Map([["valibot", other]]))).rejects.toThrow(
      "is installed, bun.lock has 0.0.1; run bun install",
    );
    // It has no licence file.
    await expect(readPackage("bun", lock)).rejects.toThrow(
      'Cannot describe "bun": it has no licence file',
    );
  });

  test("lists the libraries that are linked into Bun", async () => {
    const { text, libraries } = await readBunLicense(await readLock());
    expect(text).toStartWith("Bun itself is MIT-licensed");
    expect(libraries.length).toBeGreaterThan(20);
    for (const [name, license] of [
      ["JavaScriptCore (WebKit)", "LGPL-2.0-or-later"],
      ["mimalloc", "MIT"],
      ["tinycc", "LGPL v2.1"],
    ] as const) {
      expect(libraries).toContainEqual({ name, license });
    }
    expect(findHostTarget().runtime).toStartWith("@oven/bun-");
  });
});
