import { mkdirSync, mkdtempSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { makeDatasetRows, measureDatasets } from "./datasets/measure.ts";
import { makeGroups, selectRows } from "./groups.ts";
import { describeMachine, nameSystem } from "./machine.ts";
import { type Options, readOptions, usage } from "./options.ts";
import { chooseLayout, endAll, startGuard } from "./processes.ts";
import { renderText } from "./report/render.ts";
import { makeLines } from "./report/report.ts";
import { checkReadme, writeReadme, writeReport } from "./report/write.ts";
import { createResults } from "./results.ts";
import { type Bench, type Group, runGroup } from "./run.ts";

// All of `bun run bench`: see --help. It needs Linux, because memory and CPU time are read from
// outside, in /proc.

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => void endAll().then(() => process.exit(130)));
}
try {
  await run(Bun.argv.slice(2));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
await endAll();
process.exit();

async function run(words: readonly string[]): Promise<void> {
  const options = readOptions(words);
  if (options === "help") return void process.stdout.write(usage);
  if (process.platform !== "linux") throw new Error("Cannot measure here: it takes Linux's /proc");
  if (options.readme) await checkReadme();
  const machine = describeMachine();
  const place = openPlace(options);
  const groups = makeGroups(place, options);
  const datasetRows = selectRows(makeDatasetRows(options.quick), options.only);
  const rows = [...groups.flatMap((group) => group.rows), ...datasetRows];
  if (rows.length === 0) throw new Error(`Cannot measure "${options.only}": no row is named so`);
  const bench: Bench = {
    place,
    results: createResults(),
    effort: options.quick
      ? { warmUpSeconds: 0.2, seconds: 0.5 }
      : { warmUpSeconds: 0.5, seconds: 1.5 },
    rounds: options.rounds,
    report(progress) {
      const seconds = Math.round(performance.now() / 1000);
      process.stderr.write(`${String(seconds).padStart(4)} s  ${progress}\n`);
    },
  };
  const versions = await installTargets(groups, bench);
  for (const group of groups) await runGroup(group, bench);
  await measureDatasets(datasetRows, bench);
  const targets = new Set(groups.flatMap((group) => group.targets.map(({ name }) => name)));
  if (datasetRows.length > 0) targets.add("direct").add("tunegate");
  const report = {
    date: new Date().toISOString(),
    machine,
    system: nameSystem(),
    versions,
    layout:
      place.layout.proxy === undefined
        ? "Every process on any CPU."
        : "For small requests the proxy alone on one CPU, the client and the upstream on the other; for the rest every process on any CPU.",
    rounds: options.rounds,
    targets: [...targets],
    ...makeLines(rows, [...targets], bench.results),
  };
  process.stdout.write(`${renderText(report)}\n`);
  await writeReport(report, resolve(options.out));
  if (options.readme) await writeReadme(report);
}

/** Makes the directories, one of which goes when this program ends. */
function openPlace({ pinned }: Options): Bench["place"] {
  const directory = mkdtempSync(join(tmpdir(), "tunegate-bench-"));
  startGuard(directory);
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const cache = join(caches, "tunegate-bench");
  mkdirSync(cache, { recursive: true });
  return { directory, cache, layout: chooseLayout(pinned) };
}

/** Gets every target ready and returns their versions; one that fails is missing in all rows. */
async function installTargets(
  groups: readonly Group[],
  { place, results, report }: Bench,
): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = {};
  for (const { targets, rows } of groups) {
    for (const target of targets) {
      const wanted = rows.filter(({ route }) => target.routes.includes(route));
      if (wanted.length === 0) continue;
      report(`install ${target.name}`);
      try {
        const version = await target.install(place);
        if (version !== "") versions[target.name.replace(/,.*/, "")] = version;
      } catch (error) {
        for (const { id } of wanted) results.fail(id, target.name, "missing", explain(error));
      }
    }
  }
  return { ...versions, Bun: Bun.version };
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
