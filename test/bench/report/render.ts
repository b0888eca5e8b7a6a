import type { Aim } from "../aims.ts";
import { metrics } from "../metrics.ts";
import { formatNumber, formatSummary, type Line, type LineCell, type Report } from "./report.ts";

const ratios = [
  ["÷ direct", "toDirect"],
  ["÷ nginx", "toNginx"],
] as const;

/** The report as a Markdown file. */
export function renderMarkdown(report: Report): string {
  return `# tunegate beside its peers

${renderShort(report)}

## All figures

Where a proxy had less than nine tenths of its CPU under 16 or 64 connections, the client and the
upstream were the limit: it could have done more.

${renderTable(report.lines, report.targets)}
${renderReasons(report.lines)}
## Aims

${renderAims(report.aims)}
`;
}

/** The part that README.md shows. */
export function renderShort(report: Report): string {
  const lines = report.lines.filter(({ headline }) => headline);
  return `${renderTable(lines, report.targets)}

${describe(report)}`;
}

/** The report for a terminal: the same tables, their columns aligned. */
export function renderText(report: Report): string {
  return [
    alignTable(makeRows(report.lines, report.targets)),
    renderReasons(report.lines),
    alignTable(report.aims.map(describeAim)),
    "",
    describe(report).replaceAll("`", ""),
  ].join("\n");
}

function describe({ date, machine, system, versions, layout, rounds }: Report): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const memory = Math.round(machine.memoryBytes / 2 ** 30);
  return `Measured on ${date.slice(0, 10)} with \`bun run bench\`: ${programs.join(", ")}; ${machine.cpu}, ${machine.cores} cores, ${memory} GiB, ${system}, Linux ${machine.kernel}, load before ${machine.load.toFixed(2)}. ${layout} Medians of ${rounds === 1 ? "1 round" : `${rounds} rounds`}, with the largest distance from them; ratios are tunegate's.`;
}

function renderTable(lines: readonly Line[], names: readonly string[]): string {
  const [head = [], ...rows] = makeRows(lines, names);
  const rule = head.map((_, index) => (index < 2 ? "---" : "---:"));
  return [head, rule, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function makeRows(lines: readonly Line[], names: readonly string[]): string[][] {
  const head = ["", "", ...names, ...ratios.map(([title]) => title)];
  const rows = lines.map((line, index) => {
    const own = line.cells.tunegate;
    return [
      lines[index - 1]?.row === line.row ? "" : line.title,
      metrics[line.metric].title,
      ...names.map((name) => renderCell(line, line.cells[name])),
      ...ratios.map(([, key]) => renderRatio(own, key)),
    ];
  });
  return [head, ...rows];
}

function renderCell({ metric }: Line, cell: LineCell | undefined): string {
  if (cell === undefined) return "–";
  return "status" in cell ? cell.status : formatSummary(cell, metric);
}

function renderRatio(cell: LineCell | undefined, key: "toDirect" | "toNginx"): string {
  const ratio = cell === undefined || "status" in cell ? undefined : cell[key];
  return ratio === undefined ? "" : `${formatNumber(ratio)}`;
}

/** Why cells say "failed" or "missing", each reason once. */
function renderReasons(lines: readonly Line[]): string {
  const rows = new Map<string, Set<string>>();
  for (const { title, cells } of lines) {
    for (const [target, cell] of Object.entries(cells)) {
      if (!("status" in cell)) continue;
      const what = `${target} ${cell.status}: ${cell.reason}`;
      rows.set(what, (rows.get(what) ?? new Set()).add(title));
    }
  }
  const texts = [...rows].map(([what, titles]) => `- ${[...titles].join("; ")} — ${what}\n`);
  return texts.length === 0 ? "" : `\n${texts.join("")}`;
}

function renderAims(aims: readonly Aim[]): string {
  const rows = [
    ["aim", "limit", "measured", ""],
    ["---", "---:", "---:", "---"],
  ];
  return [...rows, ...aims.map(describeAim)].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function describeAim({ text, sense, limit, value, reached }: Aim): string[] {
  if (value === undefined) return [text, `${sense} ${limit}`, "not measured", ""];
  return [text, `${sense} ${limit}`, formatNumber(value), reached ? "reached" : "missed"];
}

function alignTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  return rows
    .map((row) =>
      row
        .map((cell, index) => {
          const width = widths[index] ?? 0;
          return index < 2 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
