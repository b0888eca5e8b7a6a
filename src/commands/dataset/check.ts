import { stat } from "node:fs/promises";
import type { Config } from "../../config/config.ts";
import { estimateJob, type JobEstimate } from "../../cost/estimate.ts";
import { findOverlap, type OverlapReport } from "../../dataset/check/overlap.ts";
import type { DatasetReport } from "../../dataset/report.ts";
import { countTokens } from "../../dataset/tokens/count.ts";
import { StartError } from "../../errors.ts";
import type { DatasetRules, Provider } from "../../provider.ts";
import { checkContent, tokenRules } from "../../reports.ts";
import type { DatasetArguments } from "./arguments.ts";

/** What `tunegate dataset check` finds. */
export interface DatasetFindings {
  readonly training: DatasetReport;
  readonly validation?: DatasetReport;
  readonly overlap?: OverlapReport;
  /** For each backend and model whose price is known, or for the model that was asked for. */
  readonly costs: readonly CostLine[];
}

/** What a run would cost at one backend. */
export interface CostLine extends JobEstimate {
  readonly backend: string;
  readonly model: string;
}

/** Told how far it is: a word, and the share that is done. */
export type OnProgress = (what: string, share: number) => void;

type CheckArguments = Extract<DatasetArguments, { readonly action: "check" }>;

/** Checks a file as a training file, counts its tokens and estimates its costs. */
export async function checkFiles(
  { file, backend, model, validation }: CheckArguments,
  config: Config,
  providers: Readonly<Record<string, Provider>>,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<DatasetFindings> {
  const rules = findRules(backend, config, providers);
  const content = await openDataset(file);
  const progress = (what: string) => (bytes: number) => onProgress(what, bytes / content.size);
  const checked = await checkContent(content, rules ?? {}, {
    signal,
    onProgress: progress("checking"),
  });
  const { format } = checked;
  const how = tokenRules(rules, model);
  const training =
    format === null
      ? checked
      : {
          ...checked,
          tokens: await countTokens(content, { ...how, format }, progress("counting"), signal),
        };
  const costs = estimateCosts(training, { backend, model }, config, providers);
  if (validation === undefined) return { training, costs };
  const other = await openDataset(validation);
  const { minExamples: _, ...others } = rules ?? {};
  return {
    training,
    validation: await checkContent(other, others, { signal }),
    overlap: await findOverlap(content, other, signal),
    costs,
  };
}

/** Opens a file of the command line; throws a `StartError` for what is none. */
export async function openDataset(path: string): Promise<Blob> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return Bun.file(path);
  // A pipe is empty after the first reading, and the second would wait for ever.
  const reason =
    found === undefined ? "there is no such file" : "it is no regular file; save it as one";
  throw new StartError(`Cannot read "${path}": ${reason}`);
}

function findRules(
  name: string | undefined,
  config: Config,
  providers: Readonly<Record<string, Provider>>,
): DatasetRules | undefined {
  if (name === undefined) return undefined;
  const backend = config.backends.find((one) => one.name === name);
  const provider = providers[backend?.provider ?? name];
  if (provider !== undefined) return provider.datasets;
  const known = [...config.backends.map((one) => one.name), ...Object.keys(providers)];
  throw new StartError(
    `Cannot check for "${name}": backends and providers are ${[...new Set(known)].join(", ")}`,
  );
}

function estimateCosts(
  report: DatasetReport,
  { backend, model }: Pick<CheckArguments, "backend" | "model">,
  { backends, prices }: Config,
  providers: Readonly<Record<string, Provider>>,
): readonly CostLine[] {
  // The report says why nothing could be counted.
  if (report.tokens === null) return [];
  const pricing = { configured: prices, providers };
  const asked = backends.filter(
    ({ name, provider }) => backend === undefined || backend === name || backend === provider,
  );
  return asked.flatMap((one) => {
    const priced = providers[one.provider]?.prices ?? [];
    const models = model === undefined ? priced.map((price) => price.model) : [model];
    return [...new Set(models)].map((name): CostLine => {
      const request = { model: name, training_file: "", method: methodFor(report) };
      return { backend: one.name, model: name, ...estimateJob(request, report, pricing, one) };
    });
  });
}

/** The method that a dataset of this format is for. */
function methodFor({ format }: DatasetReport): { readonly type: string } {
  if (format === "preference" || format === "gemini_preference") return { type: "dpo" };
  return { type: /reinforcement$/.test(format ?? "") ? "reinforcement" : "supervised" };
}
