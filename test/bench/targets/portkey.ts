import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { findFreePort, runProgram, startProcess } from "../processes.ts";
import { upstreamKey } from "../upstream/answers.ts";
import { type Ground, runTarget, type Target, upstreamRoutes } from "./target.ts";

const version = "1.15.2";

/** Portkey's gateway, run by Node as its README says. */
export const portkey: Target = {
  name: "Portkey",
  routes: [...upstreamRoutes, "start"],
  async install(place) {
    if (Bun.which("node") === null) throw new Error("the program node is not installed");
    if (existsSync(programOf(place))) return version;
    const directory = directoryOf(place);
    await mkdir(directory, { recursive: true });
    try {
      const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", directory];
      const command = ["npm", "install", ...options, `@portkey-ai/gateway@${version}`];
      await runProgram({ command, directory });
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return version;
  },
  async start(place) {
    const port = findFreePort();
    const started = startProcess({
      name: "portkey",
      command: ["node", programOf(place), "--headless", `--port=${port}`],
      directory: place.directory,
      environment: { NODE_ENV: "production" },
      cpu: place.layout.proxy,
    });
    const headers = {
      authorization: `Bearer ${upstreamKey}`,
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `${place.upstream}/v1`,
    };
    return runTarget(`http://127.0.0.1:${port}`, headers, started);
  },
};

function directoryOf({ cache }: Ground): string {
  return join(cache, `portkey-${version}`);
}

function programOf(place: Ground): string {
  return join(directoryOf(place), "node_modules/@portkey-ai/gateway/build/start-server.js");
}
