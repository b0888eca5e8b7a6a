import { existsSync } from "node:fs";
import { join } from "node:path";
import packageFile from "../../../package.json";
import { findFreePort, runProgram, startProcess } from "../processes.ts";
import { upstreamKey } from "../upstream/answers.ts";
import { type Place, runTarget, type Target, upstreamRoutes } from "./target.ts";

const root = join(import.meta.dir, "../../..");
const masterKey = "mk-tunegate-0123456789";

/** Our executable, with a key, the ledger and two backends: the upstream and the local one. */
export function createTunegate(executable: string): Target {
  return {
    name: "tunegate",
    routes: [...upstreamRoutes, "start", "size"],
    install: () => build(executable),
    start: (place) =>
      start(executable, place, [
        `custom_llm_provider: openai, api_base: "${place.upstream}/v1"`,
        "custom_llm_provider: local",
      ]),
  };
}

/** The same with a ledger that is already there and two backends that have half the jobs each. */
export function createFullTunegate(executable: string): Target {
  return {
    name: "tunegate",
    routes: ["job", "list jobs"],
    install: () => build(executable),
    start: (place) =>
      start(
        executable,
        place,
        ["even", "odd"].map(
          (name) =>
            `custom_llm_provider: openai, name: ${name}, api_base: "${place.upstream}/${name}/v1"`,
        ),
      ),
  };
}

/** The same with the upstream behind a plugin: the relay of providers/README.md. */
export function createPluginTunegate(executable: string): Target {
  return {
    name: "tunegate, plugin",
    routes: ["job"],
    install: () => build(executable),
    async start(place) {
      const readme = await Bun.file(join(root, "providers/README.md")).text();
      const source = /```typescript\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
      await Bun.write(join(place.directory, "providers/relay.ts"), source);
      return await start(executable, place, [
        `custom_llm_provider: relay, url: "${place.upstream}", backend: any, api_key: ${upstreamKey}`,
      ]);
    },
  };
}

async function build(executable: string): Promise<string> {
  if (!existsSync(executable)) {
    const command = ["bun", "run", "build", "--outfile", executable];
    await runProgram({ command, directory: root });
  }
  return packageFile.version;
}

async function start(executable: string, place: Place, backends: readonly string[]) {
  const port = findFreePort();
  const config = join(place.directory, "config.yaml");
  const entries = backends.map((entry) => {
    const key = entry.includes("openai") ? `, api_key: ${upstreamKey}` : "";
    return `  - { ${entry}${key} }\n`;
  });
  await Bun.write(
    config,
    // The others do not look at datasets either; what that takes is a row of its own.
    `general_settings: { master_key: ${masterKey}, validate_files: off }\nfinetune_settings:\n${entries.join("")}`,
  );
  const started = startProcess({
    name: "tunegate",
    command: [executable, "--config", config, "--port", String(port), "--data-dir", "data"],
    directory: place.directory,
    cpu: place.layout.proxy,
  });
  const headers = { authorization: `Bearer ${masterKey}` };
  // The file comes before the fields, so that only a header can name the backend in time.
  const uploadHeaders = { "custom-llm-provider": "openai" };
  return { ...runTarget(`http://127.0.0.1:${port}`, headers, started), uploadHeaders, executable };
}
