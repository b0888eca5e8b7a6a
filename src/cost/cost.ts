import type { Fields, JobFields } from "../provider.ts";
import { findPrice, type Price, type PricedBackend, type Pricing } from "./prices.ts";

/** What training costs, and how that comes about. */
export interface Cost extends Price {
  /** To a millionth of a dollar. */
  readonly usd: number;
  /** Trained tokens, each epoch counted. */
  readonly tokens: number;
}

/** The cost of training on `tokens`, in which each epoch is counted. */
export function costOf(tokens: number, price: Price): Cost {
  return { usd: Math.round(tokens * price.usd_per_million_tokens) / 1e6, tokens, ...price };
}

const finalStatuses = ["succeeded", "failed", "cancelled"];

/**
 * What a job has cost: undefined until it is over, and where its tokens or their price are not
 * known. OpenAI's API reference calls `trained_tokens` the billable ones; epochs are in them.
 */
export function findActualCost(
  pricing: Pricing,
  backend: PricedBackend,
  job: JobFields,
): Cost | undefined {
  const { trained_tokens: tokens, status } = job;
  if (!finalStatuses.includes(status)) return undefined;
  if (typeof tokens !== "number" || !Number.isFinite(tokens) || tokens < 0) return undefined;
  const price = findPrice(pricing, backend, job.model, methodOf(job));
  return price === undefined ? undefined : costOf(tokens, price);
}

/** OpenAI's name of the method of a job or of a request for one. */
export function methodOf({ method }: Fields): string {
  if (typeof method !== "object" || method === null || !("type" in method)) return "supervised";
  return typeof method.type === "string" ? method.type : "supervised";
}

/** The job object with what it has cost in `tunegate.cost`, a field that OpenAI's SDKs pass over. */
export function addCost(job: Fields, cost: Cost | undefined): Fields {
  if (cost === undefined) return job;
  // A backend that is a tunegate itself may have written there.
  return { ...job, tunegate: { ...toObject(job.tunegate), cost } };
}

function toObject(value: unknown): object {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
