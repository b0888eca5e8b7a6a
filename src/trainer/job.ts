import { isAbsolute } from "node:path";
import * as v from "valibot";
import { StartError } from "../errors.ts";

const absolutePath = v.pipe(v.string(), v.check(isAbsolute, "must be an absolute path"));
const positiveInteger = v.pipe(v.number(), v.integer(), v.minValue(1));

/** The job description: the first half of the protocol between a backend and its trainer. */
const jobSchema = v.object({
  version: v.literal(1),
  job_id: v.string(),
  model: v.string(),
  seed: v.pipe(v.number(), v.integer(), v.minValue(0)),
  method: v.looseObject({ type: v.string() }),
  hyperparameters: v.object({
    n_epochs: positiveInteger,
    batch_size: positiveInteger,
    learning_rate_multiplier: v.pipe(v.number(), v.finite(), v.gtValue(0)),
  }),
  suffix: v.nullable(v.string()),
  training_file: absolutePath,
  validation_file: v.nullable(absolutePath),
  output_directory: absolutePath,
  metadata: v.nullable(v.record(v.string(), v.unknown())),
});

/** What a trainer is asked for; paths are absolute. */
export type Job = v.InferOutput<typeof jobSchema>;

/** Reads the job description at `path`, the value of the environment variable `TUNEGATE_JOB`. */
export async function readJob(path: string | undefined): Promise<Job> {
  if (path === undefined || path === "") {
    throw new StartError(
      'Cannot train: the environment variable "TUNEGATE_JOB" is not set, the path of a job description would work',
    );
  }
  const parsed = v.safeParse(jobSchema, await readJson(path));
  if (parsed.success) return parsed.output;
  const mistakes = parsed.issues.map((issue) => {
    const field = v.getDotPath(issue);
    return field === null ? issue.message : `${field}: ${issue.message}`;
  });
  throw new StartError(`Cannot read the job description "${path}": ${mistakes.join("; ")}`);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Bun.file(path).text());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`Cannot read the job description "${path}": ${reason}`, { cause: error });
  }
}
