import type { ReleaseContents } from "./sbom.ts";

const rule = "=".repeat(80);

/** The licence texts of everything that a release's executables hold, as one text. */
export function createNotices({ version, packages, bun, lock }: ReleaseContents): string {
  const parts = [...packages.values()].map((one) =>
    section(`${one.name} ${one.version} (${one.license})`, one.notices.join("\n\n")),
  );
  return [
    `tunegate ${version} holds code of the projects below, each under its own licence.\n`,
    section(`Bun ${lock.get("bun")?.version}`, bun.text),
    ...parts,
  ].join("\n");
}

function section(title: string, text: string): string {
  return `${rule}\n${title}\n${rule}\n\n${text}\n`;
}
