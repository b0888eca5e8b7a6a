import * as v from "valibot";
import type { Fields } from "../../src/provider.ts";

// What a trainer and the gateway tell each other: one JSON file on the way in, one JSON object a
// line on the way out.

/** The name of the environment variable that holds the path of the job description. */
export const descriptionVariable = "TUNEGATE_JOB";

/** The job description, version 1; paths are absolute. */
export interface JobDescription {
  readonly version: 1;
  readonly job_id: string;
  readonly model: string;
  readonly seed: number;
  /** As requested, `"auto"` included. */
  readonly method: Fields;
  /** Without `"auto"`. */
  readonly hyperparameters: Fields;
  readonly suffix: string | null;
  readonly training_file: string;
  readonly validation_file: string | null;
  /** A directory for all that the trainer leaves. */
  readonly output_directory: string;
  readonly metadata: Fields | null;
}

const figureSchema = v.pipe(v.number("a number"), v.finite("a number"));

// Python's None, where there is no figure, is as good as none.
const optionalFigureSchema = v.pipe(
  v.optional(v.nullable(figureSchema)),
  v.transform((figure) => figure ?? undefined),
);

const figuresSchema = v.pipe(
  v.record(v.string(), v.nullable(figureSchema), "an object of numbers"),
  v.transform((figures) =>
    Object.fromEntries(
      Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== null),
    ),
  ),
);

const countSchema = v.pipe(
  v.number("an integer"),
  v.safeInteger("an integer"),
  v.minValue(0, "an integer that is not negative"),
);

const textSchema = v.string("a string");

const lineSchema = v.variant("type", [
  v.looseObject({
    type: v.literal("metrics"),
    step: countSchema,
    total_steps: countSchema,
    train_loss: figureSchema,
    train_mean_token_accuracy: figureSchema,
    valid_loss: optionalFigureSchema,
    valid_mean_token_accuracy: optionalFigureSchema,
    full_valid_loss: optionalFigureSchema,
    full_valid_mean_token_accuracy: optionalFigureSchema,
  }),
  v.looseObject({
    type: v.literal("message"),
    level: v.picklist(["info", "warn", "error"], '"info", "warn" or "error"'),
    message: textSchema,
  }),
  v.looseObject({
    type: v.literal("checkpoint"),
    step: countSchema,
    path: textSchema,
    metrics: figuresSchema,
  }),
  v.looseObject({
    type: v.literal("result"),
    trained_tokens: countSchema,
    model: textSchema,
  }),
]);

/** One line that a trainer prints. */
export type TrainerLine = v.InferOutput<typeof lineSchema>;

/** The line that tells how a step went. */
export type MetricsLine = Extract<TrainerLine, { type: "metrics" }>;

/** What a line turned out to be; `problem` continues "Cannot read …: ". */
export type ParsedLine =
  | { readonly line: TrainerLine }
  | { readonly problem: string }
  // Not of the protocol: whatever else a program prints.
  | undefined;

const types = ["metrics", "message", "checkpoint", "result"];
const typePattern = new RegExp(`^\\s*\\{.*"type"\\s*:\\s*"(?:${types.join("|")})"`);

/** Reads one line of a trainer's output. */
export function parseTrainerLine(text: string): ParsedLine {
  if (!typePattern.test(text)) return undefined;
  const value = parseJson(text);
  // Not swallowed: Python's json module, for one, writes NaN, which no JSON parser reads.
  if (value === undefined) return { problem: "it is not valid JSON" };
  const parsed = v.safeParse(lineSchema, value, { abortEarly: true });
  if (parsed.success) return { line: parsed.output };
  const issue = parsed.issues[0];
  const path = v.getDotPath(issue);
  // The words stand in an inner object, and the line itself is of no type that we know.
  if (path === null || path === "type") return undefined;
  return {
    problem:
      issue.received === "undefined"
        ? `"${path}" is missing`
        : `"${path}" must be ${issue.message}`,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
