import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findFreePort, runProgram, startProcess } from "../processes.ts";
import { upstreamKey } from "../upstream/answers.ts";
import { type Ground, runTarget, type Target } from "./target.ts";

const version = "1.104.0";
const masterKey = "sk-litellm-0123456789";

/** LiteLLM's proxy; files only, because its fine-tuning routes need a licence. */
export const litellm: Target = {
  name: "LiteLLM",
  routes: ["file", "upload", "download", "start"],
  async install(place) {
    const directory = directoryOf(place);
    if (existsSync(join(directory, "installed"))) return version;
    await rm(directory, { recursive: true, force: true });
    try {
      for (const command of [
        ["python3", "-m", "venv", directory],
        [join(directory, "bin/pip"), "install", "--quiet", `litellm[proxy]==${version}`],
      ]) {
        await runProgram({ command, directory: place.cache });
      }
      await Bun.write(join(directory, "installed"), "");
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return version;
  },
  async start(place) {
    const port = findFreePort();
    const config = join(place.directory, "config.yaml");
    const base = `${place.upstream}/v1`;
    await Bun.write(
      config,
      `files_settings:
  - custom_llm_provider: openai
    api_base: ${base}
    api_key: ${upstreamKey}
general_settings:
  master_key: ${masterKey}
`,
    );
    const program = join(directoryOf(place), "bin/litellm");
    const options = ["--host", "127.0.0.1", "--port", String(port), "--telemetry", "False"];
    const started = startProcess({
      name: "litellm",
      command: [program, "--config", config, ...options],
      directory: place.directory,
      environment: {
        // It reads files_settings when a file is created, and these for all else.
        OPENAI_API_KEY: upstreamKey,
        OPENAI_BASE_URL: base,
        // Its price list would come from the Internet.
        LITELLM_LOCAL_MODEL_COST_MAP: "True",
        LITELLM_LOG: "WARNING",
      },
      cpu: place.layout.proxy,
    });
    const headers = { authorization: `Bearer ${masterKey}` };
    return runTarget(`http://127.0.0.1:${port}`, headers, started);
  },
};

function directoryOf({ cache }: Ground): string {
  return join(cache, `litellm-${version}`);
}
