import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { train } from "../../src/trainer/train.ts";

const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const loss = v.pipe(v.number(), v.minValue(0));
const metricsEntries = {
  step: v.pipe(v.number(), v.integer(), v.minValue(1)),
  train_loss: loss,
  train_mean_token_accuracy: share,
  valid_loss: v.optional(loss),
  valid_mean_token_accuracy: v.optional(share),
  full_valid_loss: v.optional(loss),
  full_valid_mean_token_accuracy: v.optional(share),
};

/** The trainer's protocol, read as strictly as can be. */
const eventSchema = v.variant("type", [
  v.strictObject({
    type: v.literal("metrics"),
    total_steps: v.pipe(v.number(), v.integer()),
    ...metricsEntries,
  }),
  v.strictObject({
    type: v.literal("message"),
    level: v.picklist(["info", "warn"]),
    message: v.string(),
  }),
  v.strictObject({
    type: v.literal("checkpoint"),
    step: v.number(),
    path: v.string(),
    metrics: v.strictObject(metricsEntries),
  }),
  v.strictObject({ type: v.literal("result"), trained_tokens: v.number(), model: v.string() }),
]);

type Event = v.InferOutput<typeof eventSchema>;

/** What one run of the trainer is given; values that are absent are sensible. */
export interface RunRequest {
  readonly directory: string;
  /** One line each: text as it is, all else as JSON. */
  readonly training: readonly unknown[];
  readonly validation?: readonly unknown[];
  readonly hyperparameters?: Readonly<Record<string, unknown>>;
  /** Replaces fields of the job description. */
  readonly job?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
  /** Told of every line when it is written. */
  readonly onLine?: (line: string) => void;
}

/** Runs `use` with a directory of its own, which is removed afterwards. */
export async function withDirectory<Result>(
  use: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), "tunegate-trainer-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Writes the files and the job description of `request`, runs the trainer, reads its lines. */
export async function runTrainer(request: RunRequest) {
  const lines: string[] = [];
  const job = await writeJob(request);
  await train(
    { TUNEGATE_JOB: job },
    (line) => {
      lines.push(line);
      request.onLine?.(line);
    },
    request.signal ?? new AbortController().signal,
  );
  const events = lines.map((line) => v.parse(eventSchema, JSON.parse(line)));
  return {
    lines,
    events,
    metrics: selectEvents(events, "metrics"),
    messages: selectEvents(events, "message"),
    checkpoints: selectEvents(events, "checkpoint"),
    results: selectEvents(events, "result"),
  };
}

/** `runTrainer` in a directory that is removed afterwards. */
export function runAlone(request: Omit<RunRequest, "directory">) {
  return withDirectory((directory) => runTrainer({ ...request, directory }));
}

/** Writes the files of a job; answers with the path of its description. */
export async function writeJob(request: RunRequest): Promise<string> {
  const { directory, training, validation, hyperparameters } = request;
  const job = join(directory, "job.json");
  const trainingFile = join(directory, "training.jsonl");
  const validationFile = join(directory, "validation.jsonl");
  await Bun.write(trainingFile, writeLines(training));
  if (validation !== undefined) await Bun.write(validationFile, writeLines(validation));
  const description = {
    version: 1,
    job_id: "ftjob-test",
    model: "tiny-lm",
    seed: 1,
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: "auto" } } },
    hyperparameters: {
      n_epochs: 1,
      batch_size: 1,
      learning_rate_multiplier: 1,
      ...hyperparameters,
    },
    suffix: null,
    training_file: trainingFile,
    validation_file: validation === undefined ? null : validationFile,
    output_directory: join(directory, "output"),
    metadata: null,
    ...request.job,
  };
  await Bun.write(job, JSON.stringify(description));
  return job;
}

/** A chat example of one question and its answer. */
export function chat(question: string, answer: string) {
  return {
    messages: [
      { role: "user", content: question },
      { role: "assistant", content: answer },
    ],
  };
}

/** Ten questions that differ in their last bytes, which is what tiny-lm sees of them. */
export const capitals = [
  ["Peru", "Lima"],
  ["Norway", "Oslo"],
  ["Japan", "Tokyo 東京"],
  ["Kenya", "Nairobi"],
  ["Cuba", "Havana"],
  ["Italy", "Rome 🏛️"],
  ["Egypt", "Cairo"],
  ["Ghana", "Accra"],
  ["Qatar", "Doha"],
  ["Nepal", "Kathmandu"],
].map(([country, capital]) => chat(`Capital of ${country}?`, `It is ${capital}.`));

function writeLines(examples: readonly unknown[]): string {
  return examples
    .map((example) => `${typeof example === "string" ? example : JSON.stringify(example)}\n`)
    .join("");
}

function selectEvents<Type extends Event["type"]>(events: readonly Event[], type: Type) {
  return events.filter((event): event is Extract<Event, { type: Type }> => event.type === type);
}
