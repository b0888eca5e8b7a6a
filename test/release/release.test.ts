import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { buildExecutable, digestFile } from "../../.ci/release/build.ts";
import { readLock } from "../../.ci/release/project.ts";
import { makeRelease } from "../../.ci/release/release.ts";
import { findHostTarget, nameExecutable } from "../../.ci/release/targets.ts";
import packageFile from "../../package.json";
import { makeDirectory } from "../support/directory.ts";
import { Bom } from "./cyclonedx.ts";

// One release for this system serves all tests: a build takes some seconds.
const directory = makeDirectory();
const target = findHostTarget();
const { version } = packageFile;
const executable = nameExecutable(version, target);

beforeAll(() => makeRelease(directory.path, [target], () => undefined), 120_000);
afterAll(() => directory.remove());

const read = (name: string) => Bun.file(join(directory.path, name)).text();
const readBom = async () => v.parse(Bom, JSON.parse(await read(`tunegate-${version}.cdx.json`)));

describe("a release for this system", () => {
  test("holds the executable, its papers, their digests and nothing else", async () => {
    const names = readdirSync(directory.path).sort();
    expect(names).toEqual(
      [
        "LICENSE",
        "SHA256SUMS",
        "THIRD-PARTY-NOTICES.txt",
        executable,
        `tunegate-${version}.cdx.json`,
        "tunegate.service",
      ].sort(),
    );
    const lines = (await read("SHA256SUMS")).trimEnd().split("\n");
    expect(lines.map((line) => line.slice(66))).toEqual(
      names.filter((name) => name !== "SHA256SUMS"),
    );
    for (const line of lines) {
      expect(line.slice(0, 66)).toBe(`${await digestFile(join(directory.path, line.slice(66)))}  `);
    }
  });

  test("has an executable that tells version, commit and Bun, and needs nothing beside it", async () => {
    const child = Bun.spawn([join(directory.path, executable), "--version"], {
      cwd: directory.path,
      env: {},
      stdout: "pipe",
    });
    expect(await child.stdout.text()).toMatch(
      new RegExp(
        `^tunegate ${version} \\(commit ([0-9a-f]{12}(-dirty)?|unknown), Bun ${Bun.version}\\)\\n$`,
      ),
    );
    expect(await child.exited).toBe(0);
  });

  test("is the same, byte for byte, wherever it is built", async () => {
    const again = await buildExecutable(target, join(directory.path, "again", "other-name"));
    expect(again.sha256).toBe(await digestFile(join(directory.path, executable)));
    expect(readdirSync(join(directory.path, "again"))).toEqual(["other-name"]);
  }, 120_000);

  test("has a bill of materials in CycloneDX, whose references all lead somewhere", async () => {
    const bom = await readBom();
    const { component } = bom.metadata;
    expect(component).toMatchObject({ name: "tunegate", version });
    const refs = [component, ...bom.components].map((one) => one["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    for (const { ref, dependsOn } of bom.dependencies) {
      for (const one of [ref, ...dependsOn]) expect(refs).toContain(one);
    }
    const dependencies = bom.dependencies.find(({ ref }) => ref === executable)?.dependsOn;
    expect(dependencies).toContain(`pkg:npm/${target.runtime.replace("@", "%40")}@${Bun.version}`);
    expect(dependencies).toContain(`pkg:npm/valibot@${packageFile.dependencies.valibot}`);
    expect(dependencies?.join()).not.toContain("biome");
  });

  test("has the digests of bun.lock in it, and that of the executable", async () => {
    const { components } = await readBom();
    const lock = [...(await readLock()).values()];
    for (const { name, hashes, purl } of components) {
      const [hash] = hashes ?? [];
      if (purl === undefined) {
        expect(hash?.content).toBe(await digestFile(join(directory.path, name)));
      } else {
        const integrity = `sha512-${Buffer.from(hash?.content ?? "", "hex").toString("base64")}`;
        expect(lock).toContainEqual(expect.objectContaining({ name, integrity }));
      }
    }
  });

  test("has the licence of everything in it, in full", async () => {
    const notices = await read("THIRD-PARTY-NOTICES.txt");
    const { components } = await readBom();
    for (const { name, version, type } of components) {
      if (type === "library") expect(notices).toContain(`\n${name} ${version} (`);
    }
    expect(notices).toContain(`\nBun ${Bun.version}\n`);
    expect(notices).toContain("JavaScriptCore");
    expect(notices).toContain("Permission is hereby granted");
    expect(notices).toContain("Apache License");
  });
});
