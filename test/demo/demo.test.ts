import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { checkDataset } from "../../src/dataset.ts";
import { makeDirectory } from "../support/directory.ts";

// The demo trains for real; on a busy machine it may take its time.
const timeout = 120_000;

let directory: ReturnType<typeof makeDirectory> | undefined;
afterEach(() => {
  directory?.remove();
  directory = undefined;
});

function startDemo(environment: Readonly<Record<string, string>> = {}) {
  directory = makeDirectory();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "demo.ts")], {
    env: { ...process.env, TMPDIR: directory.path, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  return { child, temporary: directory.path };
}

/** The processes whose environment names `path`; none where /proc tells nothing. */
async function findUsers(path: string): Promise<string[]> {
  if (!existsSync("/proc/self/environ")) return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const texts = await Promise.all(
    pids.map((pid) =>
      Bun.file(`/proc/${pid}/environ`)
        .text()
        .catch(() => ""),
    ),
  );
  return pids.filter((_, index) => texts[index]?.includes(`TMPDIR=${path}\0`));
}

test(
  "the demo trains, shows the job and its results, and leaves nothing",
  async () => {
    const { child, temporary } = startDemo({ TUNEGATE_MASTER_KEY: "mk-of-someone-else" });
    const output = await child.stdout.text();
    expect(await child.exited).toBe(0);
    expect(output).toMatch(/ step +\d+\/240 {3}training loss \d\.\d\d {3}validation loss \d/);
    expect(output).toMatch(/status +succeeded\n +model +ft:tiny-lm:local:brook:\w{8}\n/);
    const checkpoints = [...output.matchAll(/:ckpt-step-(\d+)\n/g)].map(([, step]) => step);
    expect(checkpoints).toEqual(["240", "216", "192"]);
    expect(output).toMatch(/ step {2}train_loss {2}train_accuracy .*\n +1 +\d\.\d{5} /);
    expect(output).not.toContain("\u001b");
    expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(readdirSync(temporary)).toEqual([]);
    expect(await findUsers(temporary)).toEqual([]);
  },
  timeout,
);

test(
  "the demo leaves nothing when it is interrupted in the midst of the training",
  async () => {
    const { child, temporary } = startDemo();
    let output = "";
    for await (const chunk of child.stdout) {
      output += Buffer.from(chunk).toString();
      if (output.includes("Checkpoint created")) child.kill("SIGINT");
    }
    expect(await child.exited).toBe(1);
    expect(output).toContain("\nInterrupted\n");
    expect(readdirSync(temporary)).toEqual([]);
    expect(await findUsers(temporary)).toEqual([]);
  },
  timeout,
);

test("the demo's dataset has enough examples, all of them valid and none twice", async () => {
  const seen = new Set<string>();
  for (const [name, count] of [
    ["training", 48],
    ["validation", 12],
  ] as const) {
    const file = Bun.file(join(import.meta.dir, `${name}.jsonl`));
    const check = await checkDataset(file, { method: "supervised" }, AbortSignal.timeout(timeout));
    expect(check.examples).toBe(count);
    expect([check.errors.first, check.warnings.first]).toEqual([[], []]);
    for (const line of (await file.text()).trim().split("\n")) seen.add(line);
  }
  expect(seen.size).toBe(60);
});
