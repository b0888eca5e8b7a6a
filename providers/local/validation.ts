import type { DatasetReport } from "../../src/dataset/report.ts";
import { type CheckOptions, checkDataset } from "../../src/dataset.ts";
import { resolveHyperparameters } from "../../src/hyperparameters.ts";
import type { Fields } from "../../src/provider.ts";
import type { JobError, JobRecord } from "./job-record.ts";
import type { JobPaths } from "./job-store.ts";
import { datasets } from "./rules.ts";

const shownProblems = 5;
const maximumCharacters = 2000;

/** Either why the files will not do, or the numbers to train with. */
export type ValidationOutcome = { readonly error: JobError } | { readonly hyperparameters: Fields };

/** Reads the files of a job whole and judges them with OpenAI's codes and words. */
export async function validateFiles(
  record: JobRecord,
  paths: JobPaths,
  signal: AbortSignal,
): Promise<ValidationOutcome> {
  const { type, hyperparameters } = record.method;
  const options: CheckOptions = { ...datasets, method: type };
  const training = await checkDataset(Bun.file(paths.trainingFile), options, signal);
  const trainingError = judge(training, "training_file", "Training file");
  if (trainingError !== undefined) return { error: trainingError };
  if (record.validation_file !== null) {
    const file = Bun.file(paths.validationFile);
    const validation = await checkDataset(file, { ...options, use: "validation" }, signal);
    const error = judge(validation, "validation_file", "Validation file");
    if (error !== undefined) return { error };
  }
  const resolved = resolveHyperparameters(hyperparameters, training.examples);
  return { hyperparameters: { ...hyperparameters, ...resolved } };
}

function judge(
  { errors }: DatasetReport,
  param: "training_file" | "validation_file",
  name: string,
): JobError | undefined {
  const problems = errors.first.filter(({ line }) => line !== null);
  const [first] = errors.first;
  if (first === undefined) return undefined;
  // What is wrong with the file as a whole comes first, and says enough where all lines are right.
  if (problems.length === 0) return { code: first.code, message: first.message, param };
  const lines = problems
    .slice(0, shownProblems)
    .map((problem) => `Line ${problem.line}: ${problem.message}`);
  const count = errors.count - (errors.first.length - problems.length);
  const more = count - lines.length;
  if (more > 0) lines.push(`And ${more} more`);
  const message = `${name} has ${count} problem(s)\n${lines.join("\n")}`;
  return { code: "invalid_file_format", message: message.slice(0, maximumCharacters), param };
}
