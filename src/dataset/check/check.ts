import { isOnlyByteOrderMark, parseLine, quoteStart, type RawLine } from "../lines.ts";
import type { DatasetReport } from "../report.ts";
import { isObject } from "../values.ts";
import { type Fields, type ImageLimits, Tally } from "./context.ts";
import { ContentHash, SeenExamples } from "./duplicates.ts";
import { FileFormat, type FormatRules } from "./file-format.ts";
import { ExampleReport, FindingList } from "./findings.ts";
import { warnOfSecrets } from "./secret-places.ts";
import { visitLines } from "./visit-lines.ts";

/**
 * What is expected of a file, nothing where a field is absent. A provider's `DatasetRules` are such
 * options.
 */
export interface CheckOptions extends FormatRules, ImageLimits {
  /** The fewest examples of a training file; 1 where it is absent. */
  readonly minExamples?: number | undefined;
  readonly maxFileBytes?: number | undefined;
  /** One example is enough for validation; `training` where it is absent. */
  readonly use?: "training" | "validation" | undefined;
  /** Called with the number of bytes read so far, at least every 256 KiB. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A conversation without images that is longer is no ordinary one. */
const longLineBytes = 1024 * 1024;
const jsonlRule =
  "Expected file to have JSONL format, where every line is a valid JSON dictionary.";

/**
 * Checks all lines of a dataset in one pass, holding one line at a time besides 75 MB at most for
 * finding repetitions; other work of the process goes on every 10 ms. The report has no tokens.
 * Rejects with the signal's reason, or with the error of reading.
 */
export async function checkDataset(
  content: Blob,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<DatasetReport> {
  const check = new FileCheck(options);
  let bytes = 0;
  const onBytes = (total: number) => {
    bytes = total;
    options.onProgress?.(total);
  };
  await visitLines(content, signal, onBytes, (raw) => check.addLine(raw));
  return check.finish(bytes);
}

/** The check of one file, line by line. */
class FileCheck {
  readonly #options: CheckOptions;
  readonly #errors = new FindingList();
  readonly #warnings = new FindingList();
  readonly #report = new ExampleReport(this.#errors, this.#warnings);
  readonly #tally = new Tally();
  readonly #format: FileFormat;
  readonly #hash = new ContentHash();
  readonly #seen = new SeenExamples();
  #examples = 0;
  #duplicates = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
    const context = { report: this.#report, tally: this.#tally, limits: options };
    this.#format = new FileFormat(options, context, this.#errors);
  }

  addLine(raw: RawLine): void {
    const { line } = raw;
    if (isOnlyByteOrderMark(raw)) {
      const message = "A line holds nothing but a byte order mark, which may only start a file";
      this.#warnings.add({ line, path: "", code: "byte_order_mark", message });
      return;
    }
    this.#examples += 1;
    const parsed = parseLine(raw);
    if ("broken" in parsed) {
      const message = `${jsonlRule} ${parsed.broken}.`;
      this.#errors.add({ line, path: "", code: "invalid_file_format", message });
    } else if (isObject(parsed.value)) {
      this.#report.start(line, this.#examples);
      this.#checkExample(parsed.value, parsed.text, line);
    } else {
      const found = `Line ${line} is not a dictionary ${quoteStart(parsed.text)}`;
      this.#errors.add({ line, path: "", code: "data_type", message: `${jsonlRule} ${found}.` });
    }
  }

  finish(bytes: number): DatasetReport {
    this.#checkFile(bytes);
    const format = this.#format.finish(this.#warnings);
    return {
      format,
      bytes,
      examples: this.#examples,
      errors: this.#errors.toFindings(),
      warnings: this.#warnings.toFindings(),
      messages: this.#tally.messages,
      images: this.#tally.images,
      tool_examples: this.#tally.toolExamples,
      duplicates: this.#duplicates,
      tokens: null,
    };
  }

  #checkExample(example: Fields, text: string, line: number): void {
    if (!this.#hash.compute(example)) {
      this.#report.error("invalid_file_format", "is nested more than 200 deep");
      return;
    }
    const firstLine = this.#seen.add(this.#hash, line);
    if (firstLine !== 0) {
      this.#duplicates += 1;
      this.#report.warn("duplicate_example", `repeats the example of line ${firstLine}`);
    }
    const imagesBefore = this.#tally.images;
    this.#format.check(example, line, this.#examples);
    if (text.length > longLineBytes && this.#tally.images === imagesBefore) {
      const size = (text.length / longLineBytes).toFixed(1);
      this.#report.warn("long_line", `is ${size} million characters long without an image`);
    }
    warnOfSecrets(text, example, this.#report);
  }

  /** Finds what is wrong with the file as a whole. */
  #checkFile(bytes: number): void {
    const { use = "training", minExamples = 1, maxFileBytes } = this.#options;
    const label = use === "training" ? "Training file" : "Validation file";
    const fewest = use === "training" ? minExamples : 1;
    const place = { line: null, path: "" };
    if (maxFileBytes !== undefined && bytes > maxFileBytes) {
      const message = `${label} has ${bytes} bytes, but may have at most ${maxFileBytes} bytes`;
      this.#errors.add({ ...place, code: "file_too_large", message });
    }
    if (this.#examples < fewest) {
      const minimum = `${fewest} ${fewest === 1 ? "example" : "examples"}`;
      const message = `${label} has ${this.#examples} example(s), but must have at least ${minimum}`;
      this.#errors.add({ ...place, code: "invalid_n_examples", message });
    }
    if (this.#seen.isCut) {
      const message = `Repetitions were looked for among the first ${this.#seen.count} different examples only`;
      this.#warnings.add({ ...place, code: "duplicates_not_counted", message });
    }
  }
}
