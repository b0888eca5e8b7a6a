import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import packageFile from "../../package.json";
import { startServer } from "../demo/server.ts";
import { type Checks, runToEnd } from "./checks.ts";

/** The executable in a directory where nothing else is. */
export interface Binary {
  readonly path: string;
  /** An empty directory to work in. */
  readonly directory: string;
  /** No program can be found with it. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Checks what the executable does by itself, without a config and without any other program. */
export async function checkBinary(
  checks: Checks,
  { path, directory, environment }: Binary,
  signal: AbortSignal,
): Promise<void> {
  const run = (...words: string[]) =>
    runToEnd({ command: [path, ...words], directory, environment }, signal);

  await checks.run("binary: --version and --help", async () => {
    const shown = (await run("--version")).output.trim();
    assert.ok(shown.startsWith(`tunegate ${packageFile.version} (commit `), shown);
    assert.match((await run("--help")).output, /tunegate check/);
  });

  await checks.run("binary: check tells a good config from a bad one", async () => {
    assert.equal((await run("check")).code, 0);
    const file = join(directory, "bad.yaml");
    await Bun.write(file, "finetune_settings:\n  - custom_llm_provider: lokal\n");
    const { code, errors } = await run("check", "--config", file);
    assert.equal(code, 1);
    assert.match(errors, /bad\.yaml:2:\d+ .*"local"/);
  });

  await checks.run("binary: without a key it listens on this machine only", async () => {
    const { code, errors } = await run("--host", "0.0.0.0", "--port", "0");
    assert.equal(code, 1);
    assert.match(errors, /^Cannot listen on 0\.0\.0\.0/);
  });

  await checks.run("binary: without a config it serves, and stops on SIGTERM", async () => {
    const home = join(directory, "first");
    await mkdir(home);
    const server = await startServer({
      command: [path, "serve", "--port", "0"],
      directory: home,
      environment,
    });
    try {
      const models = await (await fetch(`${server.url}/v1/models`)).text();
      assert.match(models, /"tiny-lm"/);
      assert.match(await server.readOutput(), /backends: local\n/);
      const { code, errors } = await run("--port", new URL(server.url).port, "--data-dir", "other");
      assert.equal(code, 1);
      assert.match(errors, /^Cannot listen on 127\.0\.0\.1:\d+: the port is taken/);
    } finally {
      assert.equal(await server.stop(), 0);
    }
    assert.ok(existsSync(join(home, ".tunegate")));
  });
}

/** Whether the file at `path` is a Linux executable for 64-bit ARM (ELF, machine 183). */
export async function isArmExecutable(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(20), 0, 20, 0);
    return buffer.subarray(1, 4).toString() === "ELF" && buffer.readUInt16LE(18) === 183;
  } finally {
    await file.close();
  }
}

/** The processes that run the executable at `path`, however they were started. */
export async function findProcesses(path: string): Promise<number[]> {
  if (!existsSync("/proc/self/exe")) {
    const { output } = await runToEnd(
      { command: ["ps", "-A", "-o", "pid=,command="] },
      new AbortController().signal,
    );
    return output.split("\n").flatMap((line) => (line.includes(path) ? [parseInt(line, 10)] : []));
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const links = await Promise.allSettled(pids.map((pid) => readlink(`/proc/${pid}/exe`)));
  return links.flatMap((link, index) =>
    link.status === "fulfilled" && link.value === path ? [Number(pids[index])] : [],
  );
}
