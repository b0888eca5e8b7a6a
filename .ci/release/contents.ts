import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { findLocked, type LockedPackage, root } from "./project.ts";

/** A package that an executable has code of. */
export interface IncludedPackage extends LockedPackage {
  /** As SPDX writes it, such as `MIT`. */
  readonly license: string;
  readonly description: string | undefined;
  /** The files in which it states its licence, whole. */
  readonly notices: readonly string[];
}

/** What Bun says of itself and of what is linked into it. */
export interface BunLicense {
  readonly text: string;
  /** The libraries in it, whose versions Bun does not state. */
  readonly libraries: readonly { readonly name: string; readonly license: string }[];
}

const packageSchema = v.looseObject({
  name: v.string(),
  version: v.string(),
  license: v.string(),
  description: v.optional(v.string()),
});

/** Reads an installed package by its name in bun.lock; throws where it does not state its licence. */
export async function readPackage(
  key: string,
  lock: ReadonlyMap<string, LockedPackage>,
): Promise<IncludedPackage> {
  const locked = findLocked(lock, key);
  const directory = join(root, "node_modules", locatePackage(key));
  const file = v.parse(packageSchema, await Bun.file(join(directory, "package.json")).json());
  if (file.version !== locked.version) {
    throw new Error(
      `Cannot describe "${key}": ${file.version} is installed, bun.lock has ${locked.version}; run bun install`,
    );
  }
  const names = (await readdir(directory)).filter((name) =>
    /^(?:licen[cs]e|copying|notice)/i.test(name),
  );
  if (names.length === 0) throw new Error(`Cannot describe "${key}": it has no licence file`);
  const notices = await Promise.all(
    names.sort().map(async (name) => (await Bun.file(join(directory, name)).text()).trim()),
  );
  return { ...locked, license: file.license, description: file.description, notices };
}

function locatePackage(key: string): string {
  return Array.from(key.matchAll(/(?:@[^/]+\/)?[^/]+/g), ([name]) => name).join("/node_modules/");
}

/** Reads the licence page of Bun's documentation, which its types bring in the same version. */
export async function readBunLicense(
  lock: ReadonlyMap<string, LockedPackage>,
): Promise<BunLicense> {
  if (findLocked(lock, "bun").version !== findLocked(lock, "bun-types").version) {
    throw new Error("Cannot describe Bun: bun and bun-types have different versions in bun.lock");
  }
  const path = join(root, "node_modules/bun-types/docs/project/license.mdx");
  const page = await Bun.file(path).text();
  const text = page.replace(/^---\n[\s\S]*?\n---\n/, "").trim();
  const rows = text.matchAll(/^\|([^|]+)\|([^|]+)\|$/gm);
  const libraries = Array.from(rows, ([, name = "", license = ""]) => ({
    name: readCell(name),
    license: readCell(license),
  })).filter(({ name }) => !/^(?:-+|Library|Package)$/.test(name));
  if (libraries.length === 0 || !text.includes("JavaScriptCore")) {
    throw new Error(`Cannot describe Bun: "${path}" lists no libraries any more`);
  }
  return {
    text,
    libraries: [{ name: "JavaScriptCore (WebKit)", license: "LGPL-2.0-or-later" }, ...libraries],
  };
}

function readCell(cell: string): string {
  return cell
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("`", "")
    .trim();
}
