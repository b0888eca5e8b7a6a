import type { DatasetReport, Finding, Findings } from "../../dataset/report.ts";
import type { CostLine, DatasetFindings } from "./check.ts";

/** The findings for a person at a terminal. */
export function renderFindings(
  file: string,
  validationFile: string | undefined,
  { training, validation, overlap, costs }: DatasetFindings,
): string {
  const lines = renderReport(file, training);
  if (validation !== undefined && validationFile !== undefined) {
    lines.push("", ...renderReport(validationFile, validation));
  }
  if (overlap !== undefined) {
    const [first] = overlap.first;
    const where = first === undefined ? "" : `; the first is its line ${first.line}`;
    lines.push("", `${formatCount(overlap.count)} of these examples are in both files${where}`);
  }
  if (costs.length > 0) lines.push("", ...renderCosts(costs));
  // Some of it is quoted from the files: a terminal is not told what to do.
  return lines.map((line) => line.replace(/[\p{Cc}\p{Bidi_Control}]/gu, escapeControl)).join("\n");
}

function escapeControl(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function renderReport(file: string, report: DatasetReport): string[] {
  const { format, examples, bytes, messages, images, tool_examples, duplicates } = report;
  const kind = format === null ? "" : `${format.replaceAll("_", " ")} format, `;
  const roles = Object.entries(messages).map(([role, count]) => `${formatCount(count)} ${role}`);
  const others = [
    [images, "images"],
    [tool_examples, "examples with tools"],
    [duplicates, "repetitions"],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${formatCount(Number(count))} ${what}`]));
  return [
    `${file}: ${kind}${formatCount(examples)} examples, ${formatBytes(bytes)}`,
    ...row("messages", roles),
    ...row("also", others),
    ...row("tokens", describeTokens(report)),
    ...renderProblems("errors", report.errors),
    ...renderProblems("warnings", report.warnings),
  ];
}

function row(title: string, parts: readonly string[]): string[] {
  return parts.length === 0 ? [] : [`  ${title.padEnd(10)}${parts.join(", ")}`];
}

function describeTokens({ tokens }: DatasetReport): readonly string[] {
  if (tokens === null || tokens.total === undefined) return [];
  const { total, mean = 0, max = 0, longest = [], over_limit = 0, limit, tokenizer } = tokens;
  const [first] = longest;
  return [
    `${formatCount(total)} in all`,
    `${formatCount(Math.round(mean))} an example`,
    `${formatCount(max)} at most${first === undefined ? "" : ` (line ${first.line})`}`,
    ...(over_limit > 0
      ? [`${over_limit} examples over the limit of ${formatCount(limit ?? 0)}`]
      : []),
    `counted with ${tokenizer}${tokens.estimated ? ", an estimate" : ""}`,
  ];
}

const shownProblems = 20;

function renderProblems(title: string, { count, first }: Findings): string[] {
  if (count === 0) return row(title, ["none"]);
  const shown = first.slice(0, shownProblems).map(renderProblem);
  const more = count > shown.length ? [`    and ${formatCount(count - shown.length)} more`] : [];
  return [...row(title, [formatCount(count)]), ...shown, ...more];
}

function renderProblem({ line, message, code }: Finding): string {
  return `    ${(line === null ? "file" : `line ${line}`).padEnd(10)}${message} (${code})`;
}

function renderCosts(costs: readonly CostLine[]): string[] {
  const rows = costs.map(({ backend, model, hyperparameters, billable_tokens, ...line }) => [
    backend,
    model,
    String(hyperparameters.n_epochs),
    billable_tokens === null ? "–" : formatCount(billable_tokens),
    line.estimated_cost === null ? (line.reason ?? "–") : `$${line.estimated_cost.usd.toFixed(2)}`,
  ]);
  const table = [["backend", "model", "epochs", "tokens", "estimated cost"], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((cells) => cells[column]?.length ?? 0)),
  );
  const notes = new Set(costs.flatMap(({ assumptions }) => assumptions));
  return [
    ...table.map((cells) =>
      `  ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd(),
    ),
    ...[...notes].map((note) => `  - ${note}`),
  ];
}

function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${["bytes", "kB", "MB", "GB"][power]}`;
}
