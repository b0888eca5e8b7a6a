import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeBackends, createBackends, type NamedBackend } from "../backends.ts";
import { operations, summarizeBackend } from "../capabilities.ts";
import type { Config } from "../config/config.ts";
import { ownCommand } from "../executable.ts";
import type { Log } from "../log.ts";
import type { Provider } from "../provider.ts";

/** What `tunegate providers` prints: the backends of a configuration and what each can do. */
export async function describeProviders(config: Config, log: Log): Promise<string> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "tunegate-providers-"));
  try {
    const backends = createBackends(config.backends, {
      providers: config.providers,
      preferred: config.general.default_provider,
      dataDirectory,
      command: ownCommand,
      secrets: config.secrets,
      log,
    });
    try {
      return renderBackends(backends.all, config.providers);
    } finally {
      await closeBackends(backends);
    }
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

function renderBackends(
  backends: readonly NamedBackend[],
  providers: Readonly<Record<string, Provider>>,
): string {
  const summaries = backends.map((backend) =>
    summarizeBackend(backend, providers[backend.provider] ?? {}),
  );
  const names = backends.map(({ name, provider }) =>
    name === provider ? name : `${name} (${provider})`,
  );
  const rows = operations.map(([label]) => [
    label,
    ...summaries.map((summary) => (summary.operations.includes(label) ? "yes" : "–")),
  ]);
  const used = new Set(backends.map(({ provider }) => provider));
  const limits = [...used].flatMap((name) => describeLimits(name, providers[name]));
  const methods = summaries.map((summary) => `${summary.id}: has ${summary.methods.join(", ")}`);
  const table = renderColumns([["operation", ...names], ...rows]);
  return [table, "", ...methods, "", ...limits].join("\n").trim();
}

/** One line of what is known of a provider's datasets, and one of its prices. */
function describeLimits(name: string, provider: Provider | undefined): readonly string[] {
  const { datasets, prices = [] } = provider ?? {};
  const lines: string[] = [];
  if (datasets !== undefined) {
    const { formats, minExamples, maxFileBytes } = datasets;
    const least = minExamples === undefined ? "" : `, at least ${minExamples} examples`;
    const most =
      maxFileBytes === undefined ? "" : `, at most ${Math.floor(maxFileBytes / 2 ** 20)} MiB`;
    lines.push(`${name}: takes ${formats.join(", ")}${least}${most}`);
  }
  const figures = prices.map((price) => price.usd_per_million_tokens);
  if (figures.length > 0) {
    const models = new Set(prices.map(({ model }) => model)).size;
    const range = `$${Math.min(...figures)} to $${Math.max(...figures)} a million tokens`;
    lines.push(`${name}: prices of ${models} models are known, ${range}`);
  }
  return lines;
}

/** Lines whose columns are as wide as their widest cell. */
function renderColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
