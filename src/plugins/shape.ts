import * as v from "valibot";
import { entryKeys } from "../config/backends.ts";
import type { Backend, Provider } from "../provider.ts";

// Whether what a plugin exports and makes has the shape of the contract.

/** The methods that every backend has. */
export const requiredMethods = ["uploadFile", "createJob", "cancelJob", "listJobs"] as const;

const uploadMethods = ["createUpload", "addUploadPart", "completeUpload", "cancelUpload"] as const;
const listMethods = new Map<unknown, keyof Backend>([
  ["files", "listFiles"],
  ["jobs", "listJobs"],
  ["events", "listJobEvents"],
  ["checkpoints", "listJobCheckpoints"],
]);

const Options = v.looseObject({
  type: v.literal("strict_object"),
  async: v.literal(false),
  entries: v.record(
    v.string(),
    v.looseObject({ kind: v.literal("schema"), async: v.literal(false) }),
  ),
});
const positive = v.pipe(v.number(), v.gtValue(0), v.finite());
const Rules = v.looseObject({
  formats: v.array(v.string()),
  minExamples: v.optional(positive),
  maxFileBytes: v.optional(positive),
  maxImagesPerExample: v.optional(positive),
  maxImageBytes: v.optional(positive),
  models: v.array(
    v.looseObject({
      model: v.string(),
      maxExampleTokens: v.optional(positive),
      tokenizer: v.picklist(["o200k_base", "cl100k_base"]),
      estimated: v.optional(v.boolean()),
    }),
  ),
});
const Prices = v.array(
  v.looseObject({
    model: v.pipe(v.string(), v.nonEmpty()),
    method: v.optional(v.string()),
    usd_per_million_tokens: v.pipe(v.number(), v.minValue(0), v.finite()),
    source: v.string(),
    date: v.string(),
  }),
);

/** Something wrong with a plugin; `word` stands in its file near the place, if anything does. */
export interface ShapeProblem {
  readonly word?: string;
  /** Completes a sentence that begins with "it". */
  readonly message: string;
}

/** What is wrong with a plugin's default export; undefined where it is a provider. */
export function findProviderProblem(exported: unknown): ShapeProblem | undefined {
  if (exported === undefined) {
    return { message: "has no default export; write export default defineProvider({ … })" };
  }
  const word = "export default";
  if (!isObject(exported)) {
    return { word, message: "must default-export an object; write defineProvider({ … })" };
  }
  const { options, create, datasets, prices } = exported;
  if (typeof create !== "function") {
    return { word, message: "has no create(options, runtime) in its default export" };
  }
  if (!v.is(Options, options)) {
    return { word: "options", message: "must have options that are a v.strictObject({ … })" };
  }
  const entry = entryKeys.find((key) => key in options.entries);
  if (entry !== undefined) {
    return { word: entry, message: `cannot have an option "${entry}", a key of every entry` };
  }
  for (const [name, schema, value] of [
    ["datasets", Rules, datasets],
    ["prices", Prices, prices],
  ] as const) {
    const result = v.safeParse(v.optional<v.GenericSchema>(schema), value);
    if (result.success) continue;
    const path = [name, v.getDotPath(result.issues[0])].filter(Boolean).join(".");
    return { word: name, message: `has ${path} wrong: ${result.issues[0].message}` };
  }
  return undefined;
}

/** Whether a value that has no problem is a provider. */
export function isProvider(exported: unknown): exported is Provider {
  return findProviderProblem(exported) === undefined;
}

/** What is wrong with what `create()` returned; undefined where it is a backend. */
export function findBackendProblem(made: unknown): ShapeProblem | undefined {
  const word = "create";
  if (made instanceof Promise) {
    return { word, message: "returned a promise from create(), which must return the backend" };
  }
  if (!isObject(made)) return { word, message: "returned no backend from create()" };
  for (const method of requiredMethods) {
    if (typeof made[method] !== "function") {
      return { word, message: `made a backend without ${method}(), which is required` };
    }
  }
  const uploads = uploadMethods.filter((method) => made[method] !== undefined);
  const absent = uploadMethods.find((method) => made[method] === undefined);
  if (uploads[0] !== undefined && absent !== undefined) {
    const message = `made a backend with ${uploads[0]}() and without ${absent}(); they go together`;
    return { word: uploads[0], message };
  }
  const { cursors = [] } = made;
  if (!Array.isArray(cursors)) return { word: "cursors", message: "has cursors that are no list" };
  for (const cursor of cursors) {
    const method = listMethods.get(cursor);
    if (method === undefined || made[method] === undefined) {
      const message = `names ${JSON.stringify(cursor)} in cursors, which is no list that it has`;
      return { word: "cursors", message };
    }
  }
  return undefined;
}

/** Whether what `create()` returned and has no problem is a backend. */
export function isBackend(made: unknown): made is Backend {
  return findBackendProblem(made) === undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
