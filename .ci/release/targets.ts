import { existsSync } from "node:fs";

/** A system that an executable is built for. */
export interface Target {
  /** As in the names of files and, behind "bun-", as Bun names it. */
  readonly name: string;
  /** The package with Bun itself for this system. */
  readonly runtime: string;
  /** As npm's `os`, `cpu` and `libc` and Node's `process.platform` and `process.arch` have them. */
  readonly os: "linux" | "darwin" | "win32";
  readonly cpu: "x64" | "arm64";
  readonly libc?: "glibc" | "musl";
}

/** Every system that a release has an executable for. */
export const targets: readonly Target[] = [
  { name: "linux-x64", runtime: "@oven/bun-linux-x64", os: "linux", cpu: "x64", libc: "glibc" },
  {
    name: "linux-arm64",
    runtime: "@oven/bun-linux-aarch64",
    os: "linux",
    cpu: "arm64",
    libc: "glibc",
  },
  {
    name: "linux-x64-musl",
    runtime: "@oven/bun-linux-x64-musl",
    os: "linux",
    cpu: "x64",
    libc: "musl",
  },
  {
    name: "linux-arm64-musl",
    runtime: "@oven/bun-linux-aarch64-musl",
    os: "linux",
    cpu: "arm64",
    libc: "musl",
  },
  { name: "darwin-x64", runtime: "@oven/bun-darwin-x64", os: "darwin", cpu: "x64" },
  { name: "darwin-arm64", runtime: "@oven/bun-darwin-aarch64", os: "darwin", cpu: "arm64" },
  { name: "windows-x64", runtime: "@oven/bun-windows-x64", os: "win32", cpu: "x64" },
];

/** The file that a release has for a system: `tunegate-<version>-<os>-<cpu>[-musl][.exe]`. */
export function nameExecutable(version: string, target: Target): string {
  return `tunegate-${version}-${target.name}${target.os === "win32" ? ".exe" : ""}`;
}

/** The targets of these names, or `usual` where there are none; throws on a name that is not one. */
export function selectTargets(
  names: readonly string[],
  usual: readonly Target[],
): readonly Target[] {
  if (names.length === 0) return usual;
  return names.map((name) => {
    const found = targets.find((target) => target.name === name);
    if (found !== undefined) return found;
    const known = targets.map((target) => target.name).join(", ");
    throw new Error(`Cannot build for "${name}": the targets are ${known}`);
  });
}

/** The target that this program itself runs on. */
export function findHostTarget(): Target {
  const { platform, arch } = process;
  const isMusl = existsSync(`/lib/ld-musl-${arch === "x64" ? "x86_64" : "aarch64"}.so.1`);
  const libc = platform === "linux" ? (isMusl ? "musl" : "glibc") : undefined;
  const found = targets.find(
    (target) => target.os === platform && target.cpu === arch && target.libc === libc,
  );
  if (found === undefined) throw new Error(`Cannot build for ${platform} on ${arch}: no target`);
  return found;
}
