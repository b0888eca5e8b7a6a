import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerProcess, startServer } from "../demo/server.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { type Binary, checkBinary, findProcesses, isArmExecutable } from "./binary.ts";
import { type Checks, createChecks, runToEnd } from "./checks.ts";
import { type Clouds, startClouds } from "./clouds.ts";
import { checkCurl } from "./curl.ts";
import { checkArrivals, type Transfers, writeTransfers } from "./transfers.ts";

// The second half of .ci/run: lint, build, and OpenAI's own SDKs against the executable. Takes the
// JUnit report and the exit code of the tests that ran before, and ends with the sum of all.

const [report = "", exitCode = ""] = process.argv.slice(2);
const root = join(import.meta.dir, "../..");
const datasets = join(root, "test/demo");
const masterKey = "sk-gateway-1234567890";
const clients = ["python sync", "python async", "node"];

const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => interruption.abort(new Error(`stopped by ${name}`)));
}
const { signal } = interruption;
// The way to a server on this machine leads through no proxy.
for (const name of ["http_proxy", "HTTP_PROXY"]) delete process.env[name];

const checks = createChecks(signal, console.log);
const directory = await realpath(await mkdtemp(join(tmpdir(), "tunegate-sdk-")));
const executable = join(directory, "bin", "tunegate");
try {
  checks.add(...(await countTests(report, exitCode)));
  await checkBuild(checks);
  const binary = await installBinary();
  await checkBinary(checks, binary, signal);
  await checkClients(checks, binary);
  await checks.run("no process is left", async () => {
    assert.deepEqual(await findProcesses(executable), []);
  });
} catch (error) {
  checks.add(0, 1);
  console.log(`not ok ${error instanceof Error ? error.stack : String(error)}`);
} finally {
  for (const pid of await findProcesses(executable)) process.kill(pid, "SIGKILL");
  await rm(directory, { recursive: true, force: true });
}
console.log(`${checks.passed} passed, ${checks.failed} failed`);
process.exitCode = checks.failed > 0 || checks.passed === 0 ? 1 : 0;

/** How many of Bun's own tests passed and failed; one that was skipped has not passed. */
async function countTests(path: string, exitCode: string): Promise<[number, number]> {
  const summary = /<testsuites [^>]*>/.exec(await Bun.file(path).text())?.[0] ?? "";
  const [tests = 0, failures = 0, skipped = 0] = ["tests", "failures", "skipped"].map((name) =>
    Number(new RegExp(` ${name}="(\\d+)"`).exec(summary)?.[1] ?? 0),
  );
  const failed = failures + skipped;
  if (skipped > 0) console.log(`not ok ${skipped} of Bun's tests were skipped`);
  if (tests > 0 && (exitCode === "0" || failed > 0)) return [tests - failed, failed];
  // A file that cannot be loaded shows in the exit code only.
  console.log(`not ok bun test ended with ${exitCode} after ${tests} tests`);
  return [tests, 1];
}

async function checkBuild(checks: Checks): Promise<void> {
  const succeed = async (...command: string[]) => {
    const { code, output, errors } = await runToEnd({ command, directory: root }, signal);
    assert.equal(code, 0, `${output}\n${errors}`);
  };
  await checks.run("bun run lint", () => succeed("bun", "run", "lint"));
  await checks.run("bun run build", () => succeed("bun", "run", "build"));
  await checks.run("bun run build for another machine", async () => {
    const outfile = join(directory, "tunegate-arm64");
    await succeed("bun", "run", "build", "--target", "bun-linux-arm64", "--outfile", outfile);
    assert.ok(await isArmExecutable(outfile));
  });
}

/** Copies the executable to where nothing but it can be found. */
async function installBinary(): Promise<Binary> {
  const work = join(directory, "work");
  for (const path of [join(directory, "bin"), join(directory, "empty"), work]) await mkdir(path);
  await copyFile(join(root, "dist/tunegate"), executable);
  const environment = { PATH: join(directory, "empty"), HOME: directory, TMPDIR: directory };
  return { path: executable, directory: work, environment };
}

async function checkClients(checks: Checks, binary: Binary): Promise<void> {
  const python = await installPython();
  const transfers = await writeTransfers(join(directory, "transfers"));
  const fake = await startFakeOpenAI({
    organization: "org-fake",
    project: "proj_fake",
    keptBytes: 1024 * 1024,
  });
  const clouds = await startClouds();
  try {
    for (const client of clients) seedAccount(fake, client);
    const server = await startGateway(binary, fake, clouds);
    const vertexJob = seedProject(clouds);
    await driveGateway(checks, { url: server.url, python, fake, transfers, vertexJob });
    await checks.run("no upload is left on the gateway's disk", async () => {
      assert.deepEqual(await readdir(join(binary.directory, ".tunegate/spool")), []);
    });
    await checks.run("nothing reached OpenAI that it should not see", () => {
      assert.deepEqual(fake.violations, []);
      assert.ok(fake.requests.length > 100);
    });
    await checks.run("the gateway stops on SIGTERM", async () => {
      assert.equal(await server.stop(), 0, await server.readLog());
    });
    await checks.run("no key is in the log", async () => {
      const log = `${await server.readOutput()}${await server.readLog()}`;
      const keys = [masterKey, fake.apiKey, ...clouds.listSecrets()];
      for (const key of keys) assert.ok(!log.includes(key));
    });
  } finally {
    await Promise.all([fake.stop(), clouds.stop()]);
  }
}

interface Drive {
  readonly url: string;
  readonly python: string;
  readonly fake: FakeOpenAI;
  readonly transfers: Transfers;
  /** The id of a job that has succeeded on Vertex AI. */
  readonly vertexJob: string;
}

async function driveGateway(checks: Checks, drive: Drive): Promise<void> {
  const { url, python, fake, transfers, vertexJob } = drive;
  const environment = {
    ...process.env,
    GATEWAY_URL: url,
    GATEWAY_KEY: masterKey,
    DATASETS: datasets,
    TRANSFERS: transfers.directory,
    VERTEX_JOB: vertexJob,
    PYTHONDONTWRITEBYTECODE: "1",
  };
  const arrive = (client: string, times: number) =>
    checks.run(`${client}: what was uploaded at once has arrived byte for byte`, () =>
      checkArrivals(fake, transfers, times),
    );
  const suite = join(import.meta.dir, "python/suite.py");
  await checks.runProgram("python", { command: [python, suite, "sync", "async"], environment });
  await arrive("python", 6);
  for (const program of ["node.mjs", "node-clouds.mjs", "node-transfers.mjs"]) {
    const command = ["node", join(import.meta.dir, program)];
    await checks.runProgram("node", { command, environment });
  }
  await arrive("node", 3);
  const file = join(datasets, "training.jsonl");
  await checkCurl(checks, { url, key: masterKey, file, transfers }, signal);
  await arrive("curl", 1);
}

async function installPython(): Promise<string> {
  const environment = join(directory, "python");
  const python = join(environment, "bin/python");
  const requirements = join(import.meta.dir, "requirements.txt");
  for (const command of [
    ["python3", "-m", "venv", environment],
    [python, "-m", "pip", "install", "--quiet", "--requirement", requirements],
  ]) {
    const { code, errors } = await runToEnd({ command }, signal);
    assert.equal(code, 0, `Cannot install the Python SDK: ${errors}`);
  }
  return python;
}

/** Jobs in each state that a client's checks need, to be found by their metadata. */
function seedAccount(fake: FakeOpenAI, client: string): void {
  const now = Math.floor(Date.now() / 1000);
  for (const [index, stage] of (["queued", "running", "succeeded"] as const).entries()) {
    const job = fake.addJob(now - 60 - index, {
      metadata: { client, stage },
      organization_id: "org-fake",
    });
    if (stage === "succeeded") fake.advanceJob(job.id, "running");
    fake.advanceJob(job.id, stage);
  }
}

/** A job that has succeeded, with metrics; returns its id. */
function seedProject({ google }: Clouds): string {
  const createTime = new Date(Date.now() - 60_000).toISOString();
  const id = `ftjob-${google.vertex.addJob({ createTime }).number}`;
  google.finishJob(id);
  return id;
}

async function startGateway(
  binary: Binary,
  fake: FakeOpenAI,
  clouds: Clouds,
): Promise<ServerProcess> {
  await Bun.write(
    join(binary.directory, "config.yaml"),
    `finetune_settings:
  - custom_llm_provider: openai
    api_key: os.environ/OPENAI_API_KEY
    api_base: ${fake.url}
    organization: org-fake
    project: proj_fake
  - custom_llm_provider: local
${clouds.entries}files_settings:
${clouds.entries}general_settings:
  master_key: os.environ/GATEWAY_KEY
`,
  );
  return await startServer({
    command: [binary.path, "--port", "0"],
    directory: binary.directory,
    environment: {
      ...binary.environment,
      ...clouds.environment,
      OPENAI_API_KEY: fake.apiKey,
      GATEWAY_KEY: masterKey,
    },
  });
}
