import type { Config } from "../../config/config.ts";
import { datasetUsage, readDatasetArguments } from "./arguments.ts";
import { checkFiles, type OnProgress } from "./check.ts";
import { convertFile } from "./convert.ts";
import { renderFindings } from "./render.ts";

/** What `tunegate dataset` needs of the program around it. */
export interface DatasetConsole {
  /** Reads the configuration of this name, or the usual one. */
  readonly readConfig: (name: string | undefined) => Promise<Config>;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Writes to standard output as it is. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly showProgress: OnProgress;
  readonly endProgress: () => void;
  readonly signal: AbortSignal;
}

/** Runs `tunegate dataset` with the words after it; false where a file has errors. */
export async function runDataset(words: readonly string[], io: DatasetConsole): Promise<boolean> {
  const options = readDatasetArguments(words);
  if (options.action === "help") {
    io.print(datasetUsage);
    return true;
  }
  if (options.action === "convert") {
    const { examples, warnings, warningCount } = await convertFile(options, io.write, io.signal);
    for (const { line, message } of warnings) io.printError(`line ${line}: ${message}`);
    const lost = warningCount === 0 ? "" : `, ${warningCount} warnings`;
    if (options.out !== undefined) io.print(`${options.out}: ${examples} examples${lost}`);
    return true;
  }
  const config = await io.readConfig(options.config);
  const { showProgress, signal } = io;
  const findings = await checkFiles(options, config, config.providers, showProgress, signal);
  io.endProgress();
  const { file, validation, json } = options;
  io.print(json ? JSON.stringify(findings, null, 2) : renderFindings(file, validation, findings));
  return findings.training.errors.count === 0 && (findings.validation?.errors.count ?? 0) === 0;
}
