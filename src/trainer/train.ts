import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StartError } from "../errors.ts";
import { type Example, maximumTrainedTokens } from "./conversation.ts";
import type { Metrics, TrainerEvent } from "./events.ts";
import { readExamples } from "./examples.ts";
import { type Job, readJob } from "./job.ts";
import { createLearner, type Learner, scoreExamples, tinyShape, trainBatch } from "./learner.ts";
import { createRandom, shuffle } from "./random.ts";
import { saveNetwork } from "./weights.ts";

/** What one run of training works with. */
interface Run {
  readonly job: Job;
  readonly training: readonly Example[];
  readonly validation: readonly Example[];
  readonly learner: Learner;
  readonly random: () => number;
  readonly emit: (event: TrainerEvent) => void;
  readonly signal: AbortSignal;
}

const keptCheckpoints = 3;

/**
 * The embedded trainer: trains the model `tiny-lm` as the job description that
 * `environment.TUNEGATE_JOB` names asks for, and gives each `TrainerEvent` to `write` as one line of
 * JSON without its line feed. A token of tiny-lm is a byte of an assistant message, or its end.
 * Throws `StartError` for what the operator can mend; the weights are complete once it resolves.
 */
export async function train(
  environment: Readonly<Record<string, string | undefined>>,
  write: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    await runJob(await readJob(environment.TUNEGATE_JOB), write, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new StartError("Cannot finish the training: it was told to stop", { cause: error });
  }
}

async function runJob(job: Job, write: (line: string) => void, signal: AbortSignal): Promise<void> {
  if (job.model !== "tiny-lm") {
    throw new StartError(
      `Cannot train the model "${job.model}": the embedded trainer knows "tiny-lm" only`,
    );
  }
  if (job.method.type !== "supervised") {
    throw new StartError(
      `Cannot train with the method "${job.method.type}": tiny-lm learns with "supervised" only`,
    );
  }
  const { context } = tinyShape;
  const training = await readExamples(job.training_file, "training file", context, signal);
  const validation =
    job.validation_file === null
      ? []
      : await readExamples(job.validation_file, "validation file", context, signal);
  await mkdir(job.output_directory, { recursive: true });
  const random = createRandom(job.seed);
  const learner = createLearner(tinyShape, job.hyperparameters.learning_rate_multiplier, random);
  const emit = (event: TrainerEvent) => write(JSON.stringify(event));
  const run: Run = { job, training, validation, learner, random, emit, signal };
  announce(run);
  await trainEpochs(run);
  const model = join(job.output_directory, "model.safetensors");
  await saveNetwork(model, learner.network);
  const trainedTokens = countTokens(training) * job.hyperparameters.n_epochs;
  emit({ type: "result", trained_tokens: trainedTokens, model });
}

function announce({ training, validation, learner, emit }: Run): void {
  const say = (level: "info" | "warn", message: string) =>
    emit({ type: "message", level, message });
  const parameters = learner.network.parameters.all.length;
  say(
    "info",
    `Training tiny-lm, ${parameters} parameters, on ${countTokens(training)} tokens in ${training.length} examples`,
  );
  for (const [label, examples] of [
    ["training", training],
    ["validation", validation],
  ] as const) {
    const cut = examples.filter((example) => example.isCut).length;
    if (cut > 0) {
      say(
        "warn",
        `${cut} of ${examples.length} ${label} examples are longer than ${maximumTrainedTokens} tokens: the rest of them is left out`,
      );
    }
    const fields = new Set(examples.flatMap((example) => example.ignoredFields));
    if (fields.size > 0) {
      const names = [...fields].slice(0, 10).map((name) => `"${name.slice(0, 40).toWellFormed()}"`);
      say(
        "warn",
        `tiny-lm does not learn from these fields of ${label} messages: ${names.join(", ")}`,
      );
    }
  }
}

async function trainEpochs(run: Run): Promise<void> {
  const { job, learner, emit, signal } = run;
  const { n_epochs: epochs, batch_size: batchSize } = job.hyperparameters;
  const examples = [...run.training];
  const stepsAnEpoch = Math.ceil(examples.length / batchSize);
  const totalSteps = stepsAnEpoch * epochs;
  const checkpoints: string[] = [];
  for (let step = 1; step <= totalSteps; step += 1) {
    const first = ((step - 1) % stepsAnEpoch) * batchSize;
    if (first === 0) shuffle(examples, run.random);
    const score = await trainBatch(learner, examples.slice(first, first + batchSize), signal);
    if (!Number.isFinite(score.loss)) throw divergence(step);
    const endsEpoch = step % stepsAnEpoch === 0;
    const metrics: Metrics = {
      step,
      train_loss: score.loss / score.count,
      train_mean_token_accuracy: score.correct / score.count,
      ...(await validate(run, step, endsEpoch)),
    };
    emit({ type: "metrics", total_steps: totalSteps, ...metrics });
    if (endsEpoch) await saveCheckpoint(run, metrics, checkpoints);
  }
}

/** The validation metrics of a step: of as many examples as a batch has, in turn, or of all too. */
async function validate(
  { job, validation, learner, signal }: Run,
  step: number,
  endsEpoch: boolean,
): Promise<Partial<Metrics>> {
  if (validation.length === 0) return {};
  const count = Math.min(job.hyperparameters.batch_size, validation.length);
  const first = ((step - 1) * count) % validation.length;
  const wrapped = Math.max(0, first + count - validation.length);
  const some = [...validation.slice(first, first + count), ...validation.slice(0, wrapped)];
  const score = await scoreExamples(learner, some, signal);
  const metrics = {
    valid_loss: score.loss / score.count,
    valid_mean_token_accuracy: score.correct / score.count,
  };
  if (!endsEpoch) return metrics;
  const full = await scoreExamples(learner, validation, signal);
  return {
    ...metrics,
    full_valid_loss: full.loss / full.count,
    full_valid_mean_token_accuracy: full.correct / full.count,
  };
}

async function saveCheckpoint(run: Run, metrics: Metrics, saved: string[]): Promise<void> {
  const { step } = metrics;
  const { network } = run.learner;
  if (!network.parameters.all.every(Number.isFinite)) throw divergence(step);
  const path = join(run.job.output_directory, `checkpoint-${step}.safetensors`);
  await saveNetwork(path, network);
  run.emit({ type: "checkpoint", step, path, metrics });
  saved.push(path);
  const outdated = saved.length > keptCheckpoints ? saved.shift() : undefined;
  if (outdated !== undefined) await rm(outdated);
}

function divergence(step: number): StartError {
  return new StartError(
    `Cannot go on training at step ${step}: the numbers have grown beyond all bounds, a smaller "learning_rate_multiplier" would work`,
  );
}

function countTokens(examples: readonly Example[]): number {
  return examples.reduce((sum, example) => sum + example.trainedTokens, 0);
}
