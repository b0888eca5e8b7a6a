import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeVersion } from "../src/executable.ts";
import { startFakeOpenAI } from "./fakes/openai.ts";
import { makeDirectory } from "./support/directory.ts";

let directory: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  directory = makeDirectory();
});
afterEach(() => directory.remove());

const main = join(import.meta.dir, "../src/main.ts");

function spawn(words: readonly string[], environment: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, main, ...words], {
    cwd: directory.path,
    env: { PATH: process.env.PATH ?? "", ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(words: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(words, environment);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { stdout, stderr, code: await child.exited };
}

/** Starts a server and returns it with the address that it prints. */
async function start(words: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(["--port", "0", ...words], environment);
  let banner = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    banner += decoder.decode(chunk, { stream: true });
    if (banner.includes("Node ")) break;
  }
  const url = /listens on (\S+)/.exec(banner)?.[1];
  if (url === undefined) throw new Error(`no address: ${banner}${await child.stderr.text()}`);
  return { child, banner, url };
}

describe("tunegate", () => {
  test("--version and --help print and exit with 0", async () => {
    expect(await run(["--version"])).toEqual({
      stdout: `${describeVersion()}\n`,
      stderr: "",
      code: 0,
    });
    const help = await run(["--help"]);
    expect(help.code).toBe(0);
    for (const word of ["serve", "check", "--config", "--host", "--port", "--data-dir"]) {
      expect(help.stdout).toContain(word);
    }
  });

  test("refuses a command line that it does not know, with what would work", async () => {
    for (const [words, message] of [
      [
        ["fly"],
        'Cannot run "fly": the commands are serve, check, providers, plugin, dataset, health and train; see --help',
      ],
      [["serve", "twice"], 'Cannot take "twice"'],
      [["--prot", "1"], "Unknown option '--prot'"],
      [["--port", "70000"], 'Cannot listen on port "70000": it must be a number from 0 to 65535'],
      [["--port", "http"], 'Cannot listen on port "http"'],
      [["--log-level", "loud"], "the levels are debug, info, warn, error"],
      [["--data-dir", ""], 'Cannot keep data in ""'],
      [["--config", "none.yaml"], "none.yaml"],
      [["--host", "0.0.0.0"], "Cannot listen on 0.0.0.0: without a key"],
    ] as const) {
      const { stderr, stdout, code } = await run([...words]);
      expect(code).toBe(1);
      expect(stdout).toBe("");
      expect(stderr).toContain(message);
      expect(stderr).not.toContain("    at ");
    }
  });

  test("serves without any configuration, says how to call it, and stops on SIGTERM with 0", async () => {
    const { child, banner, url } = await start([]);
    expect(banner).toContain("backends: local");
    expect(banner).toContain(`curl ${url}/v1/models`);
    expect(banner).toContain(`base_url="${url}/v1"`);
    expect(banner).toContain(`baseURL: "${url}/v1"`);
    expect((await fetch(`${url}/health/readiness`)).status).toBe(200);
    const data = join(directory.path, ".tunegate");
    expect(statSync(data).mode & 0o777).toBe(0o700);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("stops on SIGINT with 0", async () => {
    const { child } = await start([]);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
  });

  test("takes ./config.yaml if it is there, and keys from the environment", async () => {
    await Bun.write(
      join(directory.path, "config.yaml"),
      "finetune_settings: [{ custom_llm_provider: local, name: mine }]\nmodel_list: []\n",
    );
    const { child, banner, url } = await start(["--host", "0.0.0.0"], {
      LITELLM_MASTER_KEY: "mk-1",
    });
    expect(banner).toContain("backends: mine (local)");
    const local = `http://127.0.0.1:${new URL(url).port}/v1/files`;
    expect((await fetch(local)).status).toBe(401);
    expect((await fetch(local, { headers: { authorization: "Bearer mk-1" } })).status).toBe(200);
    child.kill();
    expect(await child.stderr.text()).toContain("Not used from config.yaml: model_list");
    expect(await child.exited).toBe(0);
  });

  test("refuses a taken port and a data directory that is in use", async () => {
    const { child, url } = await start(["--data-dir", "one"]);
    const { port } = new URL(url);
    const taken = await run(["--port", port, "--data-dir", "two"]);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toBe(
      `Cannot listen on 127.0.0.1:${port}: the port is taken; stop what uses it or choose another with --port\n`,
    );
    const shared = await run(["--port", "0", "--data-dir", "one"]);
    expect(shared.code).toBe(1);
    expect(shared.stderr).toContain("another tunegate is using it");
    child.kill("SIGKILL");
    await child.exited;
    const again = await start(["--data-dir", "one"]);
    again.child.kill();
    expect(await again.child.exited).toBe(0);
  });

  test("removes what a crash has left of uploads, and nothing that is not its own", async () => {
    const spool = join(directory.path, "data", "spool");
    await Bun.write(join(spool, "mail", "root"), "a letter");
    await Bun.write(join(spool, "thesis.txt"), "mine");
    const left = join(spool, crypto.randomUUID());
    await Bun.write(left, "half a file");
    const { child } = await start(["--data-dir", "data"]);
    child.kill();
    expect(await child.exited).toBe(0);
    expect(existsSync(left)).toBe(false);
    expect(existsSync(join(spool, "mail", "root"))).toBe(true);
    expect(existsSync(join(spool, "thesis.txt"))).toBe(true);
  });

  test("says what is wrong with a data directory that cannot be locked", async () => {
    await Bun.write(
      join(directory.path, "data", "lock.sqlite"),
      "garbage, and a lot of it ".repeat(100),
    );
    const { stderr, code } = await run(["--port", "0", "--data-dir", "data"]);
    expect(code).toBe(1);
    expect(stderr).toContain("Cannot use the data directory");
    expect(stderr).not.toContain("another tunegate");
  });

  test("check --online tries each backend, and fails where one does", async () => {
    const fake = await startFakeOpenAI();
    try {
      await Bun.write(
        join(directory.path, "config.yaml"),
        `finetune_settings:
  - { custom_llm_provider: openai, api_key: ${fake.apiKey}, api_base: "${fake.url}" }
  - { custom_llm_provider: openai, name: wrong-key, api_key: sk-wrong, api_base: "${fake.url}" }
  - { custom_llm_provider: openai, name: down, api_key: x, api_base: "http://127.0.0.1:1" }
  - { custom_llm_provider: local }
`,
      );
      const { stdout, code } = await run(["check", "--online"]);
      expect(code).toBe(1);
      const lines = stdout.trimEnd().split("\n");
      expect(lines[0]).toBe("config.yaml is valid; backends: openai, wrong-key, down, local");
      expect(lines[1]).toMatch(/^openai {5}ok {6}answers, and takes the credential \(\d+ ms\)$/);
      expect(lines[2]).toStartWith(
        'wrong-key  failed  Cannot use backend "wrong-key": the service does not accept its credential',
      );
      expect(lines[3]).toBe('down       failed  Cannot reach backend "down": connection refused');
      expect(lines[4]).toBe("local      –       there is nothing to try");
      expect(fake.requests.map(({ method }) => method)).toEqual(["GET", "GET"]);
      expect(readdirSync(directory.path)).toEqual(["config.yaml"]);
    } finally {
      await fake.stop();
    }
  });

  test("check refuses settings that do not go together", async () => {
    await Bun.write(
      join(directory.path, "config.yaml"),
      "finetune_settings: [{ custom_llm_provider: azure, api_base: https://a.example, client_secret: s }]",
    );
    const { stdout, stderr, code } = await run(["check"]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toContain('Cannot set up backend "azure": ');
  });

  test("check names the backends, or every mistake, without serving", async () => {
    await Bun.write(
      join(directory.path, "good.yaml"),
      "finetune_settings: [{ custom_llm_provider: local }]\n",
    );
    const good = await run(["check", "--config", "good.yaml"]);
    expect(good).toEqual({ stdout: "good.yaml is valid; backends: local\n", stderr: "", code: 0 });
    await Bun.write(
      join(directory.path, "bad.yaml"),
      "finetune_setings: []\ngeneral_settings: { master_kee: x }\n",
    );
    const bad = await run(["check", "-c", "bad.yaml"]);
    expect(bad.code).toBe(1);
    expect(bad.stderr.trim().split("\n")).toHaveLength(2);
    expect(bad.stderr).toContain("bad.yaml:1:1 finetune_setings");
    expect(bad.stderr).toContain('did you mean "master_key"');
    expect(existsSync(join(directory.path, ".tunegate"))).toBe(false);
  });

  test("train fails with a sentence where it was not started by a backend", async () => {
    const { stderr, code } = await run(["train"]);
    expect(code).toBe(1);
    expect(stderr).toContain("TUNEGATE_JOB");
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
