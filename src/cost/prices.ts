import type { Provider } from "../provider.ts";
import { baseModelOf, coversModel } from "./models.ts";

/** A price that the operator has set in `config.yaml`. */
export interface ConfiguredPrice {
  /** A model's name, which stands for its versions too; with `*` at its end, a start of names. */
  readonly model: string;
  /** A backend's name or a provider; absent for all. */
  readonly backend?: string | undefined;
  readonly usd_per_million_tokens: number;
}

/** All that is known of prices. */
export interface Pricing {
  readonly configured: readonly ConfiguredPrice[];
  readonly providers: Readonly<Record<string, Provider>>;
}

/** What a million trained tokens cost, and who says so. */
export interface Price {
  readonly usd_per_million_tokens: number;
  /** The address of the price list, or `configuration`. */
  readonly source: string;
  /** When it was read there, as `2026-11-22`; null for the configuration. */
  readonly date: string | null;
}

/** Which backend trains. */
export interface PricedBackend {
  readonly name: string;
  readonly provider: string;
}

/**
 * The price of training a model at a backend, the operator's before the published one; undefined
 * where there is neither. Of several, the one with the longest name of a model counts, then one for
 * the backend by name, then one for its provider. `method` is OpenAI's name of it.
 */
export function findPrice(
  pricing: Pricing,
  backend: PricedBackend,
  model: string,
  method: string,
): Price | undefined {
  const base = baseModelOf(model);
  const own = pickMostSpecific(
    pricing.configured.filter(
      (price) =>
        (price.backend === undefined || rankBackend(price, backend) > 0) &&
        coversModel(price.model, base),
    ),
    backend,
  );
  if (own !== undefined) {
    const { usd_per_million_tokens } = own;
    return { usd_per_million_tokens, source: "configuration", date: null };
  }
  const published = pricing.providers[backend.provider]?.prices?.filter(
    (price) =>
      (price.method === undefined || price.method === method) && coversModel(price.model, base),
  );
  const found = pickMostSpecific(published ?? [], backend);
  if (found === undefined) return undefined;
  const { usd_per_million_tokens, source, date } = found;
  return { usd_per_million_tokens, source, date };
}

interface Specific {
  readonly model: string;
  readonly backend?: string | undefined;
}

function pickMostSpecific<Price extends Specific>(
  prices: readonly Price[],
  backend: PricedBackend,
): Price | undefined {
  const [first] = prices.toSorted(
    (one, other) =>
      rankModel(other) - rankModel(one) || rankBackend(other, backend) - rankBackend(one, backend),
  );
  return first;
}

// A whole name before an equally long start of names.
function rankModel({ model }: Specific): number {
  return model.endsWith("*") ? model.length - 1 : model.length + 0.5;
}

function rankBackend(price: Specific, { name, provider }: PricedBackend): number {
  if (price.backend === name) return 2;
  return price.backend === provider ? 1 : 0;
}
