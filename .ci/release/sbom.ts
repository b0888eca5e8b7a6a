import { basename } from "node:path";
import type { Executable } from "./build.ts";
import type { BunLicense, IncludedPackage } from "./contents.ts";
import type { LockedPackage } from "./project.ts";
import { findLocked } from "./project.ts";

/** What a release is made of. */
export interface ReleaseContents {
  readonly version: string;
  readonly commit: string;
  readonly executables: readonly Executable[];
  /** By the name in bun.lock. */
  readonly packages: ReadonlyMap<string, IncludedPackage>;
  readonly bun: BunLicense;
  readonly lock: ReadonlyMap<string, LockedPackage>;
}

/**
 * The bill of materials of a release: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). Each
 * executable depends on the Bun that it holds and on the packages that it has code of. Without a
 * time and a serial number, so that the same sources make the same file.
 */
export function createSbom(contents: ReleaseContents): object {
  const { version, commit, executables, packages } = contents;
  const product = refer("tunegate", version);
  const bun = findLocked(contents.lock, "bun");
  const runtimes = new Map(
    executables.map(({ target }) => [target.runtime, findLocked(contents.lock, target.runtime)]),
  );
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": product,
        name: "tunegate",
        version,
        licenses: describeLicense("MIT"),
        purl: product,
        properties: [{ name: "tunegate:commit", value: commit }],
      },
    },
    components: [
      ...executables.map(describeExecutable),
      {
        ...describePackage("framework", bun),
        licenses: describeLicense("MIT"),
        components: contents.bun.libraries.map(({ name, license }) => ({
          type: "library",
          name,
          licenses: [{ license: { name: license } }],
        })),
      },
      ...[...runtimes.values()].map((runtime) => ({
        ...describePackage("platform", runtime),
        licenses: describeLicense("MIT"),
      })),
      ...[...packages.values()].map((one) => ({
        ...describePackage("library", one),
        ...(one.description === undefined ? {} : { description: one.description }),
        licenses: describeLicense(one.license),
      })),
    ],
    dependencies: [
      { ref: product, dependsOn: executables.map(({ path }) => basename(path)) },
      ...executables.map(({ path, target, packages: keys }) => ({
        ref: basename(path),
        dependsOn: [target.runtime, ...keys].map((key) => {
          const { name, version } = findLocked(contents.lock, key);
          return refer(name, version);
        }),
      })),
      ...[...runtimes.values()].map(({ name, version }) => ({
        ref: refer(name, version),
        dependsOn: [refer(bun.name, bun.version)],
      })),
    ],
  };

  function describeExecutable({ path, sha256 }: Executable) {
    return {
      type: "application",
      "bom-ref": basename(path),
      name: basename(path),
      version,
      hashes: [{ alg: "SHA-256", content: sha256 }],
      licenses: describeLicense("MIT"),
    };
  }
}

function describePackage(type: string, { name, version, integrity }: LockedPackage) {
  const purl = refer(name, version);
  return { type, "bom-ref": purl, name, version, hashes: [readIntegrity(integrity)], purl };
}

/** A package URL (https://github.com/package-url/purl-spec), which serves as reference as well. */
function refer(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function readIntegrity(integrity: string) {
  const [algorithm, digest = ""] = integrity.split(/-(.*)/s);
  if (algorithm !== "sha512") throw new Error(`Cannot read the integrity "${integrity}"`);
  return { alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") };
}

function describeLicense(license: string) {
  return / |\(/.test(license) ? [{ expression: license }] : [{ license: { id: license } }];
}
