import { parseArgs } from "node:util";
import { StartError } from "../../errors.ts";

/** What `tunegate dataset` was asked for. */
export type DatasetArguments =
  | { readonly action: "help" }
  | {
      readonly action: "check";
      readonly file: string;
      readonly config: string | undefined;
      readonly backend: string | undefined;
      readonly model: string | undefined;
      readonly validation: string | undefined;
      readonly json: boolean;
    }
  | {
      readonly action: "convert";
      readonly file: string;
      /** Where the result goes; standard output if absent. */
      readonly out: string | undefined;
      readonly onUnsupported: "refuse" | "warn";
    };

/** The text of `tunegate dataset --help`. */
export const datasetUsage = `tunegate dataset: look at training files before money is spent

Usage
  tunegate dataset check FILE [options]          say all that is wrong, and what a run would cost
  tunegate dataset convert FILE --to gemini      write a file of OpenAI's format in Gemini's

Options of check
      --backend NAME         hold it against the rules of this backend or provider
      --model MODEL          count tokens and estimate costs for this model
      --validation FILE      the validation file: checked too, and compared
      --json                 print the report as JSON
  -c, --config FILE          configuration (default: ./config.yaml if it exists)

Options of convert
      --to FORMAT            gemini
  -o, --out FILE             where to write (default: standard output)
      --on-unsupported WHAT  refuse the file, or warn and leave out (default: refuse)

check exits with 1 where a file has errors.
`;

const options = {
  backend: { type: "string" },
  model: { type: "string" },
  validation: { type: "string" },
  json: { type: "boolean", default: false },
  config: { type: "string", short: "c" },
  to: { type: "string" },
  out: { type: "string", short: "o" },
  "on-unsupported": { type: "string", default: "refuse" },
  help: { type: "boolean", short: "h", default: false },
} as const;

const checkOptions = ["backend", "model", "validation", "json", "config"];
const convertOptions = ["to", "out", "on-unsupported"];

/** Reads the words after `dataset`. Throws a `StartError` that says what would work. */
export function readDatasetArguments(words: readonly string[]): DatasetArguments {
  const { values, positionals, tokens } = parseWords(words);
  const [action, file, extra] = positionals;
  if (values.help || action === undefined) return { action: "help" };
  if (action !== "check" && action !== "convert") throw misuse(`"${action}" is no action`);
  if (file === undefined) throw misuse(`${action} needs a file`);
  if (extra !== undefined) throw misuse(`there is one file too many, "${extra}"`);
  const known = action === "check" ? checkOptions : convertOptions;
  const foreign = tokens.find((token) => token.kind === "option" && !known.includes(token.name));
  if (foreign?.kind === "option") throw misuse(`${action} has no option --${foreign.name}`);
  if (action === "check") {
    const { config, backend, model, validation, json } = values;
    return { action, file, config, backend, model, validation, json };
  }
  if (values.to !== "gemini") throw misuse("convert needs --to gemini");
  const onUnsupported = values["on-unsupported"];
  if (onUnsupported !== "refuse" && onUnsupported !== "warn") {
    throw misuse("--on-unsupported is refuse or warn");
  }
  return { action, file, out: values.out, onUnsupported };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, tokens: true });
  } catch (error) {
    throw misuse(error instanceof Error ? error.message.replace(/\.?\s*To specify.*$/s, "") : "");
  }
}

function misuse(reason: string): StartError {
  return new StartError(`Cannot run "dataset": ${reason}; see tunegate dataset --help`);
}
