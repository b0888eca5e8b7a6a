import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import OpenAI from "openai";
import type { FineTuningJob } from "openai/resources/fine-tuning/jobs/jobs";
import { followEvents, isOver, readStep } from "./events.ts";
import { bold, createScreen, dim, formatTable, wrapText } from "./screen.ts";
import { startServer } from "./server.ts";

// The main job from end to end: a server, a dataset, a job, its events and what it leaves.

// The way to a server on this machine leads through no proxy.
for (const name of ["http_proxy", "HTTP_PROXY"]) delete process.env[name];

const mainFile = join(import.meta.dir, "../../src/main.ts");
const started = performance.now();
const screen = createScreen(process.stdout);
const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => interruption.abort());
}

// A directory of its own: no config.yaml is found there, and nothing of it stays.
const directory = await mkdtemp(join(tmpdir(), "tunegate-demo-"));
try {
  await runDemo(directory, interruption.signal);
} catch (error) {
  screen.endProgress();
  const reason = error instanceof Error ? error.message : String(error);
  screen.print(interruption.signal.aborted ? "\nInterrupted" : `\nCannot go on: ${reason}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
screen.print(dim(`\nThe server is stopped and its files are removed, after ${seconds} s.`));

async function runDemo(directory: string, signal: AbortSignal): Promise<void> {
  screen.print(`${bold("tunegate demo")}\n`);
  const server = await startServer({
    command: [process.execPath, mainFile, "--port", "0", "--data-dir", "data"],
    directory,
    // A key from outside would lock the demo out of its own server.
    environment: { ...process.env, TUNEGATE_MASTER_KEY: "", LITELLM_MASTER_KEY: "" },
  });
  let exitCode: number | null;
  try {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused" });
    printFact("server", server.url);
    try {
      await tune(client, signal);
    } finally {
      // A trainer outlives its gateway on purpose, so an unfinished job has to be cancelled.
      for await (const job of client.fineTuning.jobs.list()) {
        if (!isOver(job)) await client.fineTuning.jobs.cancel(job.id);
      }
    }
  } finally {
    exitCode = await server.stop();
  }
  if (exitCode !== 0) throw new Error(`the server exited with ${exitCode}`);
}

async function tune(client: OpenAI, signal: AbortSignal): Promise<void> {
  const training = await uploadFile(client, "training", signal);
  const validation = await uploadFile(client, "validation", signal);
  const { id } = await client.fineTuning.jobs.create(
    {
      model: "tiny-lm",
      training_file: training,
      validation_file: validation,
      suffix: "brook",
      seed: 7,
      method: {
        type: "supervised",
        supervised: {
          hyperparameters: { n_epochs: 10, batch_size: 2, learning_rate_multiplier: 0.25 },
        },
      },
    },
    { signal },
  );
  printFact("job", id);
  screen.print();

  for await (const event of followEvents(client, id, signal)) {
    const step = readStep(event);
    if (step !== undefined) screen.showProgress(step);
    else for (const line of wrapText(event.message, 76)) screen.print(`  ${dim(line)}`);
  }
  screen.endProgress();

  const job = await client.fineTuning.jobs.retrieve(id, { signal });
  if (job.status !== "succeeded") {
    throw new Error(`the job ended as ${job.status}: ${job.error?.message ?? "no reason given"}`);
  }
  await printJob(client, job, signal);
}

async function uploadFile(client: OpenAI, name: string, signal: AbortSignal): Promise<string> {
  const path = join(import.meta.dir, `${name}.jsonl`);
  const file = createReadStream(path);
  const { id } = await client.files.create({ file, purpose: "fine-tune" }, { signal });
  const { size } = await stat(path);
  printFact(name, id, `${basename(path)}, ${(size / 1000).toFixed(1)} kB`);
  return id;
}

async function printJob(client: OpenAI, job: FineTuningJob, signal: AbortSignal): Promise<void> {
  screen.print();
  printFact("status", job.status);
  printFact("model", job.fine_tuned_model ?? "");
  printFact("tokens", String(job.trained_tokens));

  const checkpoints = await client.fineTuning.jobs.checkpoints.list(job.id, {}, { signal });
  printTable(
    "Checkpoints",
    ["step", "train loss", "valid loss", "model"],
    checkpoints.data.map(({ step_number, metrics, fine_tuned_model_checkpoint }) => [
      String(step_number),
      formatLoss(metrics.train_loss),
      formatLoss(metrics.full_valid_loss),
      fine_tuned_model_checkpoint,
    ]),
  );

  const [result = ""] = job.result_files;
  const { filename } = await client.files.retrieve(result, { signal });
  const content = await (await client.files.content(result, { signal })).text();
  const [names = [], ...rows] = content.split("\n").map((row) => row.split(","));
  const first = rows.slice(0, 5).map((row) => row.map(roundCell));
  printTable(`${filename}, the first rows`, names, first);
}

function printFact(name: string, value: string, note = ""): void {
  screen.print(`  ${dim(name.padEnd(10))}  ${value}  ${dim(note)}`.trimEnd());
}

function printTable(title: string, names: readonly string[], rows: readonly string[][]): void {
  screen.print(`\n${bold(title)}`);
  for (const line of formatTable(names, rows)) screen.print(`  ${line}`);
}

function roundCell(cell: string): string {
  return cell.includes(".") ? Number(cell).toFixed(5) : cell;
}

function formatLoss(loss: number | undefined): string {
  return loss?.toFixed(2) ?? "";
}
