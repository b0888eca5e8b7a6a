import type { NamedBackend } from "./backends.ts";
import type { Backend, DatasetRules, Provider } from "./provider.ts";

/** An operation of the gateway, and the methods without which a backend lacks it. */
export type Operation = readonly [label: string, ...methods: (keyof Backend)[]];

/** The operations that differ between backends, in the order of the README. */
export const operations: readonly Operation[] = [
  ["upload a file", "uploadFile"],
  ["import a file by URL", "importFile"],
  ["retrieve, list files", "getFile", "listFiles"],
  ["download, delete a file", "readFile", "deleteFile"],
  ["create, retrieve, list, cancel jobs", "createJob", "getJob", "listJobs", "cancelJob"],
  ["pause a job", "pauseJob"],
  ["resume a job", "resumeJob"],
  ["delete a job", "deleteJob"],
  ["events of a job", "listJobEvents"],
  ["checkpoints of a job", "listJobCheckpoints"],
  ["checkpoint permissions", "listCheckpointPermissions", "createCheckpointPermissions"],
  ["graders", "runGrader", "validateGrader"],
  ["models", "listModels", "getModel"],
];

/** What the gateway calls on the side of a backend that serves files. */
const fileMethods = [
  ...(["uploadFile", "importFile", "getFile", "listFiles", "readFile", "deleteFile"] as const),
  ...(["checkFile", "readFileReport", "createUpload", "addUploadPart"] as const),
  ...(["completeUpload", "cancelUpload", "relayUpload"] as const),
] as const satisfies readonly (keyof Backend)[];

/** What it calls on the side that serves jobs. */
const jobMethods = [
  ...(["createJob", "previewJob", "getJob", "listJobs", "cancelJob", "pauseJob"] as const),
  ...(["resumeJob", "deleteJob", "listJobEvents", "listJobCheckpoints"] as const),
  ...(["listCheckpointPermissions", "createCheckpointPermissions"] as const),
  ...(["deleteCheckpointPermission", "runGrader", "validateGrader"] as const),
  ...(["listModels", "getModel", "checkAccess"] as const),
] as const satisfies readonly (keyof Backend)[];

/** What a backend can do, as `GET /providers` tells it. */
export interface BackendSummary {
  readonly id: string;
  readonly object: "backend";
  readonly provider: string;
  /** Labels of `operations`. */
  readonly operations: readonly string[];
  /** The contract's methods that it has. */
  readonly methods: readonly string[];
  /** What its service asks of datasets; null where nothing is known. */
  readonly datasets: object | null;
  /** Published prices of training, in the contract's form. */
  readonly prices: readonly object[];
}

/** Reads what a backend can do from the methods that it has; contacts nothing. */
export function summarizeBackend(
  { name, provider, files, jobs }: NamedBackend,
  { datasets, prices = [] }: Pick<Provider, "datasets" | "prices">,
): BackendSummary {
  const methods = listMethods(files, jobs);
  const has = ([, ...needed]: Operation) => needed.every((method) => methods.includes(method));
  return {
    id: name,
    object: "backend",
    provider,
    operations: operations.filter(has).map(([label]) => label),
    methods,
    datasets: datasets === undefined ? null : formatRules(datasets),
    prices,
  };
}

/** The methods of a backend whose files and jobs may be two instances. */
export function listMethods(files: Backend, jobs: Backend): readonly (keyof Backend)[] {
  return [
    ...fileMethods.filter((method) => files[method] !== undefined),
    ...jobMethods.filter((method) => jobs[method] !== undefined),
  ];
}

/** A table in Markdown. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function formatRules(rules: DatasetRules): object {
  return {
    formats: rules.formats,
    min_examples: rules.minExamples ?? null,
    max_file_bytes: rules.maxFileBytes ?? null,
    max_images_per_example: rules.maxImagesPerExample ?? null,
    max_image_bytes: rules.maxImageBytes ?? null,
    models: rules.models.map(({ model, maxExampleTokens, tokenizer, estimated }) => ({
      model,
      max_example_tokens: maxExampleTokens ?? null,
      tokenizer,
      estimated: estimated ?? false,
    })),
  };
}
