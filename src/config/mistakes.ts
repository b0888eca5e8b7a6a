import type { LineCounter } from "yaml";
import { StartError } from "../errors.ts";

/** Where a value stands in the settings, outermost key first. */
export type Path = readonly (string | number)[];

/** Collects what is wrong with one file, so that the operator reads all of it at once. */
export class Mistakes {
  readonly #fileName: string;
  readonly #lines: LineCounter;
  readonly #found: { readonly offset: number; readonly text: string }[] = [];

  constructor(fileName: string, lines: LineCounter) {
    this.#fileName = fileName;
    this.#lines = lines;
  }

  /** Notes a mistake at `offset`, counted in UTF-16 units; `message` may hold no value. */
  add(path: Path, offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    const place = `${this.#fileName}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
    const subject = path.length === 0 ? "" : ` ${formatPath(path)}`;
    this.#found.push({ offset, text: `${place}${subject}: ${message}` });
  }

  /** Notes a mistake that stands outside of the file. */
  addElsewhere(text: string): void {
    this.#found.push({ offset: Number.MAX_SAFE_INTEGER, text });
  }

  /** Throws one StartError with all mistakes in the order of the file, one a line. */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    const inOrder = this.#found.toSorted((a, b) => a.offset - b.offset);
    throw new StartError(inOrder.map(({ text }) => text).join("\n"));
  }
}

/** Spells a path as `finetune_settings[1].api_base`. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      if (!/^[\w-]{1,64}$/.test(step)) return `[${JSON.stringify(step.slice(0, 64))}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join("");
}
