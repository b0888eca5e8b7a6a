import type { DatasetReport, TokenReport } from "../dataset/report.ts";
import { resolveHyperparameters } from "../hyperparameters.ts";
import type { DatasetRules, Fields, JobRequest } from "../provider.ts";
import { type Cost, costOf, methodOf } from "./cost.ts";
import { findModelRules } from "./models.ts";
import { findPrice, type PricedBackend, type Pricing } from "./prices.ts";

/** What can be said of a job before it is created. */
export interface JobEstimate {
  /** As requested, `"auto"` where nothing is; `n_epochs` a number as soon as the examples are known. */
  readonly hyperparameters: Fields;
  /** What would be trained on, each epoch counted; null where that is not known. */
  readonly billable_tokens: number | null;
  readonly estimated_cost: Cost | null;
  /** A sentence that says why there is no cost; null where there is one. */
  readonly reason: string | null;
  /** Sentences that say what the figures take for granted. */
  readonly assumptions: readonly string[];
}

/**
 * Estimates a job from the report of its training file: the tokens of each example, up to the
 * model's limit, times the epochs, times the price. Where one of these is not known, neither is the
 * cost. Validation counts nothing: Azure's page on costs names the training file alone.
 */
export function estimateJob(
  request: JobRequest,
  report: DatasetReport | undefined,
  pricing: Pricing,
  backend: PricedBackend,
): JobEstimate {
  const rules = pricing.providers[backend.provider]?.datasets;
  const assumptions: string[] = [];
  const hyperparameters = resolveEpochs(readHyperparameters(request), report, assumptions);
  const { n_epochs } = hyperparameters;
  const billable = countBillable(request, report, rules, assumptions);
  const price = findPrice(pricing, backend, request.model, methodOf(request));
  const known = isCount(n_epochs) && typeof billable === "number";
  const tokens = known ? billable * n_epochs : null;
  const figures = {
    hyperparameters,
    billable_tokens: tokens,
    assumptions: tokens === null ? [] : assumptions,
  };
  if (price !== undefined && tokens !== null) {
    return { ...figures, estimated_cost: costOf(tokens, price), reason: null };
  }
  const reason = price === undefined ? lackOfPrice(request.model) : lackOfTokens(billable);
  return { ...figures, estimated_cost: null, reason };
}

function lackOfPrice(model: string): string {
  return `No price of training ${quote(model)} is known; set one under "prices" in the configuration`;
}

function lackOfTokens(billable: number | string): string {
  if (typeof billable === "string") return billable;
  return 'The number of epochs is not known; set "n_epochs"';
}

/** Shows an id or name in a message, which a client may have made as long as its request. */
export function quote(name: string): string {
  return `"${name.slice(0, 200).toWellFormed()}"`;
}

/** A whole number above 0 that is exact. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** The hyperparameters of a request; those in `method` count before those beside it. */
function readHyperparameters(request: JobRequest): Fields {
  const own = toFields(request.method?.[methodOf(request)]);
  const automatic = { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" };
  return { ...automatic, ...request.hyperparameters, ...toFields(own.hyperparameters) };
}

function toFields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function resolveEpochs(
  hyperparameters: Fields,
  report: DatasetReport | undefined,
  assumptions: string[],
): Fields {
  const { n_epochs: asked } = hyperparameters;
  if ((asked !== "auto" && asked !== null) || report === undefined || report.examples === 0) {
    return hyperparameters;
  }
  const { n_epochs } = resolveHyperparameters({}, report.examples);
  assumptions.push(
    `"n_epochs" is taken as ${n_epochs}, the choice of OpenAI's cookbook for ${report.examples} examples; the service may choose otherwise`,
  );
  return { ...hyperparameters, n_epochs };
}

/** The billable tokens of one epoch, or a sentence that says why they are not known. */
function countBillable(
  request: JobRequest,
  report: DatasetReport | undefined,
  rules: DatasetRules | undefined,
  assumptions: string[],
): number | string {
  const tokens = report?.tokens;
  if (report === undefined || tokens === undefined || tokens === null) {
    return `The tokens of the file ${quote(request.training_file)} are not known to the gateway`;
  }
  if (tokens.status === "counting") return "The tokens of the file are still being counted";
  if (tokens.status === "failed") return "The tokens of the file could not be counted";
  const model = findModelRules(rules, request.model);
  const pairs = report.format?.endsWith("preference") ?? false;
  const billable = limitTokens(tokens, model?.maxExampleTokens ?? null, pairs, assumptions);
  if (billable === undefined) return "The tokens of the file could not be counted";
  if (pairs) {
    assumptions.push(
      "The prompt of a pair of answers counts with each of them, as Google's price list says",
    );
  }
  if (model === undefined || model.estimated === true) {
    assumptions.push(`Tokens are counted with ${tokens.tokenizer}; the model may count otherwise`);
  } else if (tokens.tokenizer !== model.tokenizer) {
    assumptions.push(
      `Tokens are counted with ${tokens.tokenizer}; the model counts with ${model.tokenizer}`,
    );
  }
  if (report.images > 0) assumptions.push("The tokens of images are not counted");
  return billable;
}

/** A report lists the ten longest examples. */
const listedExamples = 10;

/**
 * What is trained on where an example may have `own` tokens. The report's limit may be another one:
 * it is made before the model is named.
 */
function limitTokens(
  { billable, limit, total, max, over_limit, longest = [] }: TokenReport,
  own: number | null,
  pairs: boolean,
  assumptions: string[],
): number | undefined {
  if (limit === own || billable === undefined) return billable;
  const isWhole = limit === null || over_limit === 0;
  if (pairs && !isWhole) {
    assumptions.push(`Examples are counted up to ${limit} tokens, which is not the model's limit`);
    return billable;
  }
  const whole = isWhole ? billable : total;
  if (whole === undefined || own === null || (max !== undefined && max <= own)) return whole;
  const longer = longest.filter(({ tokens }) => tokens > own);
  if (!pairs && longer.length > 0 && longer.length < listedExamples) {
    return longer.reduce((sum, { tokens }) => sum - (tokens - own), whole);
  }
  assumptions.push(`Examples of more than ${own} tokens, the model's limit, are counted whole`);
  return whole;
}
