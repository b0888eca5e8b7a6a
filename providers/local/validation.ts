import { checkDataset, type DatasetCheck } from "../../src/dataset.ts";
import { resolveHyperparameters } from "../../src/hyperparameters.ts";
import type { Fields } from "../../src/provider.ts";
import type { JobError, JobRecord } from "./job-record.ts";
import type { JobPaths } from "./job-store.ts";

/** OpenAI's minimum of a training file. */
const minimumExamples = 10;
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
  const training = await checkDataset(Bun.file(paths.trainingFile), type, signal);
  const trainingError = judge(training, "training_file", "Training file", minimumExamples);
  if (trainingError !== undefined) return { error: trainingError };
  if (record.validation_file !== null) {
    const validation = await checkDataset(Bun.file(paths.validationFile), type, signal);
    const error = judge(validation, "validation_file", "Validation file", 1);
    if (error !== undefined) return { error };
  }
  const resolved = resolveHyperparameters(hyperparameters, training.examples);
  return { hyperparameters: { ...hyperparameters, ...resolved } };
}

function judge(
  check: DatasetCheck,
  param: "training_file" | "validation_file",
  name: string,
  minimum: number,
): JobError | undefined {
  const [first] = check.problems;
  if (first !== undefined) {
    const lines = check.problems
      .slice(0, shownProblems)
      .map((problem) => `Line ${problem.line}: ${problem.message}`);
    const more = check.problemCount - lines.length;
    if (more > 0) lines.push(`And ${more} more`);
    const message = `${name} has ${check.problemCount} problem(s)\n${lines.join("\n")}`;
    return { code: first.code, message: message.slice(0, maximumCharacters), param };
  }
  if (check.examples < minimum) {
    const message = `${name} has ${check.examples} example(s), but must have at least ${minimum} ${minimum === 1 ? "example" : "examples"}`;
    return { code: "invalid_n_examples", message, param };
  }
  return undefined;
}
