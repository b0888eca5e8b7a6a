import { type CheckOptions, checkDataset, readLines } from "../dataset.ts";
import { StartError } from "../errors.ts";
import { type Example, renderExample } from "./conversation.ts";

const expected: CheckOptions = { method: "supervised", formats: ["chat"] };

/**
 * Reads all examples of the file at `path`, which is to be in OpenAI's chat format. `label` names
 * the file in errors, such as "training file".
 */
export async function readExamples(
  path: string,
  label: string,
  context: number,
  signal: AbortSignal,
): Promise<readonly Example[]> {
  const file = Bun.file(path);
  if (!(await file.exists())) {
    throw new StartError(`Cannot read the ${label} "${path}": there is no such file`);
  }
  const report = await checkDataset(file, expected, signal);
  if (report.examples === 0)
    throw new StartError(`Cannot train on the ${label}: it has no examples`);
  const { count, first } = report.errors;
  const [problem] = first;
  if (problem !== undefined) {
    const others = count === 1 ? "" : ` (the first of ${count} problems)`;
    throw new StartError(
      `Cannot train on the ${label}: line ${problem.line}: ${problem.message}${others}`,
    );
  }
  const examples: Example[] = [];
  for await (const { line, value } of readLines(file)) {
    examples.push(renderExample(value, context, `line ${line} of the ${label}`));
  }
  return examples;
}
