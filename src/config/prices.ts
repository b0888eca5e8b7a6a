import * as v from "valibot";
import type { ConfiguredPrice } from "../cost/prices.ts";
import { formatPath, type Path } from "./mistakes.ts";
import { suggestName } from "./names.ts";
import type { Settings } from "./settings.ts";
import { isMapping, validateMapping } from "./validation.ts";

/** What an entry of `prices` may hold. */
const priceOptions = v.strictObject({
  model: v.pipe(
    v.string(),
    v.regex(/^[^*]*\*?$/, 'must be a name, or the start of names with one "*" at its end'),
    v.nonEmpty(),
    v.description(
      "The model by its name, which stands for its versions too, or the start of names with `*` at its end",
    ),
  ),
  backend: v.pipe(
    v.optional(v.string()),
    v.description("The backend, or a provider, which means all its backends. Default: all"),
  ),
  usd_per_million_tokens: v.pipe(
    v.pipe(v.number(), v.finite(), v.minValue(0)),
    v.description("What a million trained tokens cost, each epoch counted, in US dollars"),
  ),
});

interface Named {
  readonly name: string;
  readonly provider: string;
}

/** Reads the value of `prices`; `backends` are those that a price may be for, where all are known. */
export function readPrices(
  value: unknown,
  backends: readonly Named[] | undefined,
  settings: Settings,
): readonly ConfiguredPrice[] {
  if (settings.isUnreadable(["prices"])) return [];
  const items: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
  if (items === undefined) {
    const message =
      value === null
        ? "has no value; add an entry, or remove the line"
        : "must be a list; start each entry with -";
    settings.addMistake(["prices"], message);
  }
  const prices: ConfiguredPrice[] = [];
  const places = new Map<string, Path>();
  for (const [index, item] of items?.entries() ?? []) {
    const path = ["prices", index];
    const price = readPrice(item, path, settings);
    if (price === undefined) continue;
    checkBackend(price.backend, [...path, "backend"], backends, settings);
    const key = JSON.stringify([price.model, price.backend]);
    const same = places.get(key);
    if (same !== undefined) {
      settings.addMistake(path, `sets the price of ${formatPath(same)} again; remove one of them`);
    }
    places.set(key, same ?? path);
    prices.push(price);
  }
  return prices;
}

function readPrice(item: unknown, path: Path, settings: Settings): ConfiguredPrice | undefined {
  if (settings.isUnreadable(path)) return undefined;
  if (isMapping(item)) return validateMapping(priceOptions, item, path, settings);
  settings.addMistake(path, "must be a mapping with model and usd_per_million_tokens");
  return undefined;
}

function checkBackend(
  wanted: string | undefined,
  path: Path,
  backends: readonly Named[] | undefined,
  settings: Settings,
): void {
  if (wanted === undefined || backends === undefined || settings.isUnreadable(path)) return;
  const names = [...new Set(backends.flatMap(({ name, provider }) => [name, provider]))];
  if (names.includes(wanted)) return;
  const suggestion = suggestName(wanted, names);
  settings.addMistake(path, `names no backend and no provider that has one; ${suggestion}`);
}
