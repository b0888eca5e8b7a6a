import { styleText } from "node:util";

/** How far a job is; losses are absent until they are known. */
export interface Progress {
  readonly step: number;
  readonly totalSteps: number;
  readonly trainLoss: number;
  readonly validLoss: number | undefined;
}

/** Where the demo writes: lines, and on a terminal a progress bar below them. */
export interface Screen {
  print(line?: string): void;
  /** Without a terminal, prints a line whenever another tenth is done. */
  showProgress(progress: Progress): void;
  /** Leaves the bar where it is: what is printed next stands below it. */
  endProgress(): void;
}

/** The least that a stream must offer to be drawn on; `process.stdout` does. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const clearLine = "\r\u001b[2K";

/** Draws on `output`; without a terminal there are lines only. */
export function createScreen(output: Output): Screen {
  const isTerminal = output.isTTY === true;
  let bar = "";
  let tenth = 0;
  return {
    print(line = "") {
      output.write(bar === "" ? `${line}\n` : `${clearLine}${line}\n${bar}`);
    },
    showProgress(progress) {
      if (isTerminal) {
        bar = drawBar(progress, output.columns ?? 80);
        output.write(clearLine + bar);
        return;
      }
      const done = Math.floor((10 * progress.step) / progress.totalSteps);
      if (done > tenth) output.write(`  ${describeProgress(progress)}\n`);
      tenth = done;
    },
    endProgress() {
      if (bar !== "") output.write("\n");
      bar = "";
    },
  };
}

function describeProgress({ step, totalSteps, trainLoss, validLoss }: Progress): string {
  const total = String(totalSteps);
  const done = `step ${String(step).padStart(total.length)}/${total}`;
  const valid = validLoss === undefined ? "" : `   validation loss ${validLoss.toFixed(2)}`;
  return `${done}   training loss ${trainLoss.toFixed(2)}${valid}`;
}

function drawBar(progress: Progress, columns: number): string {
  const text = describeProgress(progress);
  // A line that fills the last column would wrap, and could not be cleared.
  const width = Math.min(20, columns - text.length - 6);
  if (width < 1) return text.slice(0, columns - 1);
  const done = Math.round((width * progress.step) / progress.totalSteps);
  const rest = dim("─".repeat(width - done));
  return `  ${"━".repeat(done)}${rest}  ${text}`;
}

/** A heading; bold on a terminal. */
export function bold(text: string): string {
  return styleText("bold", text, { stream: process.stdout });
}

/** What matters less; faint on a terminal. */
export function dim(text: string): string {
  return styleText("dim", text, { stream: process.stdout });
}

/** A text in lines of at most `width` characters, broken between words. */
export function wrapText(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines;
}

/** Rows as aligned lines under their names: numbers to the right, words to the left. */
export function formatTable(
  names: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const columns = names.map((name, index) => {
    const cells = rows.map((row) => row[index] ?? "");
    return {
      width: Math.max(name.length, ...cells.map((cell) => cell.length)),
      isNumber: cells.every((cell) => cell === "" || !Number.isNaN(Number(cell))),
    };
  });
  const format = (row: readonly string[]) =>
    columns
      .map(({ width, isNumber }, index) => {
        const cell = row[index] ?? "";
        return isNumber ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [dim(format(names)), ...rows.map(format)];
}
