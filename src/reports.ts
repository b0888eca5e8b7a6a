import type { NamedBackend } from "./backends.ts";
import { findModelRules } from "./cost/models.ts";
import type { DatasetReport, Finding, Findings, TokenReport } from "./dataset/report.ts";
import { countTokens } from "./dataset/tokens/count.ts";
import { ApiError, badRequest } from "./errors.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { Log } from "./log.ts";
import type { DatasetRules, FileFields, FileUpload, Provider } from "./provider.ts";
import type { RunOptions } from "./threads/pool.ts";
import { runTask } from "./threads/run.ts";

/** What becomes of an upload whose dataset has errors. */
export const validationModes = ["refuse", "warn", "off"] as const;

/** One of `validationModes`. */
export type ValidationMode = (typeof validationModes)[number];

/** What is known of the datasets that were uploaded here. */
export interface Reports {
  /** Undefined for a file that was not checked here. */
  find(backend: string, fileId: string): Promise<DatasetReport | undefined>;
  /** Whether an upload of this purpose, undefined for one that is not known yet, is checked here. */
  readsContent(purpose: string | undefined): boolean;
  /** Forgets a file that is deleted. */
  forget(backend: string, fileId: string): Promise<void>;
  /** Throws a 400 for a file that is known to have too few examples to train on. */
  requireEnough(backend: NamedBackend, fileId: string): Promise<void>;
  /** Checks a file and counts its tokens, and keeps nothing. Undefined for other purposes. */
  inspect(
    backend: NamedBackend,
    upload: FileUpload,
    signal: AbortSignal,
  ): Promise<DatasetReport | undefined>;
  /**
   * Hands a file to its backend, unless its dataset has errors: then throws a 400 with the report
   * beside `error`. `release` is called once nobody reads the content any more, which may be long
   * after this has ended: tokens are counted in the background.
   */
  store(
    backend: NamedBackend,
    upload: FileUpload,
    signal: AbortSignal,
    release: () => Promise<void>,
  ): Promise<StoredFile>;
}

/** A file that a backend has, and what was found in it. */
export interface StoredFile {
  readonly file: FileFields;
  readonly report: DatasetReport | undefined;
}

/** What reports are made with. */
export interface ReportParts {
  readonly ledger: Ledger;
  readonly providers: Readonly<Record<string, Provider>>;
  readonly mode: ValidationMode;
  readonly log: Log;
  /** Ends the counting of tokens. */
  readonly stopping: AbortSignal;
  /** Files whose tokens this process is counting: what a stopped one has left is not coming. */
  readonly counting: Set<string>;
}

/** The purpose of files that are datasets. */
const datasetPurpose = "fine-tune";

/** Checks a dataset in a thread, before tokens are counted there. */
export async function checkContent(
  content: Blob,
  rules: Partial<DatasetRules>,
  options: Omit<RunOptions, "urgent">,
): Promise<DatasetReport> {
  return await runTask("check", { content, options: rules }, { ...options, urgent: true });
}

function warnOfFewExamples(report: DatasetReport, minimum: number): DatasetReport {
  const { examples, warnings } = report;
  if (examples >= minimum) return report;
  const warning: Finding = {
    line: null,
    path: "",
    code: "invalid_n_examples",
    message: `The file has ${examples} example(s): too few to train on, for that takes at least ${minimum}`,
  };
  const first = [warning, ...warnings.first].slice(0, 100);
  return { ...report, warnings: { count: warnings.count + 1, first } };
}

/** Makes the reports of a gateway. */
export function createReports(parts: ReportParts): Reports {
  const { ledger, providers, mode, log, stopping, counting } = parts;
  const rulesOf = ({ provider }: NamedBackend) => providers[provider]?.datasets;
  const keyOf = (backend: string, fileId: string) => `${backend} ${fileId}`;

  async function check(
    backend: NamedBackend,
    { content, purpose }: FileUpload,
    signal: AbortSignal,
  ): Promise<DatasetReport | undefined> {
    if (purpose !== datasetPurpose) return undefined;
    const rules = rulesOf(backend);
    // Whether it is for training or for validation, which needs fewer, a job will say.
    const { minExamples, ...others }: Partial<DatasetRules> = rules ?? {};
    const report = await checkContent(content, others, { signal });
    return warnOfFewExamples(report, minExamples ?? 0);
  }

  async function count(
    backend: NamedBackend,
    content: Blob,
    report: DatasetReport,
    signal: AbortSignal,
    urgent = false,
  ): Promise<DatasetReport> {
    const { format } = report;
    if (format === null) return report;
    const how = { ...tokenRules(rulesOf(backend)), format, urgent };
    const tokens = await countTokens(content, how, () => undefined, signal);
    return { ...report, tokens };
  }

  async function countLater(
    backend: NamedBackend,
    id: string,
    content: Blob,
    report: DatasetReport,
  ): Promise<void> {
    const key = keyOf(backend.name, id);
    counting.add(key);
    try {
      const counted = await count(backend, content, report, stopping);
      // A file that was deleted meanwhile has no report any more.
      if (counting.has(key)) await ledger.saveReport(backend.name, id, counted);
    } catch (error) {
      if (stopping.aborted) return;
      log.write("error", "Cannot count the tokens of a file", { file: id, reason: String(error) });
    } finally {
      counting.delete(key);
    }
  }

  return {
    async find(backend, fileId) {
      const report = await ledger.findReport(backend, fileId);
      if (report?.tokens?.status !== "counting" || counting.has(keyOf(backend, fileId))) {
        return report;
      }
      return { ...report, tokens: { ...report.tokens, status: "failed" } };
    },

    readsContent: (purpose) =>
      mode !== "off" && (purpose === undefined || purpose === datasetPurpose),

    async forget(backend, fileId) {
      counting.delete(keyOf(backend, fileId));
      await ledger.forgetReport(backend, fileId);
    },

    async requireEnough(backend, fileId) {
      const minimum = rulesOf(backend)?.minExamples ?? 0;
      const report = mode === "refuse" ? await ledger.findReport(backend.name, fileId) : undefined;
      if (report === undefined || report.examples >= minimum) return;
      throw badRequest(
        `Cannot create the job: the training file has ${report.examples} example(s), but must have at least ${minimum} examples`,
        "training_file",
        "invalid_n_examples",
      );
    },

    async inspect(backend, upload, signal) {
      const report = await check(backend, upload, signal);
      return report && (await count(backend, upload.content, report, signal, true));
    },

    async store(backend, upload, signal, release) {
      let released = false;
      try {
        const report = mode === "off" ? undefined : await check(backend, upload, signal);
        if (mode === "refuse" && report !== undefined) refuseErrors(report);
        const file = await backend.files.uploadFile(upload, signal);
        if (report === undefined) return { file, report };
        if (report.format === null) {
          await ledger.saveReport(backend.name, file.id, report);
          return { file, report };
        }
        const tokens: TokenReport = { status: "counting", ...tokenRules(rulesOf(backend)) };
        const kept = { ...report, tokens };
        await ledger.saveReport(backend.name, file.id, kept);
        released = true;
        countLater(backend, file.id, upload.content, report)
          .finally(release)
          .catch((error) => {
            log.write("error", "Cannot remove an upload", { file: file.id, reason: String(error) });
          });
        return { file, report: kept };
      } finally {
        if (!released) await release();
      }
    },
  };
}

/** How tokens are counted for a model; without its name, as for most models of the provider. */
export function tokenRules(rules: DatasetRules | undefined, name = "") {
  // The last rules are for any name, so that no name would find those.
  const model = name === "" ? rules?.models[0] : findModelRules(rules, name);
  return {
    tokenizer: model?.tokenizer ?? "o200k_base",
    estimated: model === undefined || model.estimated === true,
    limit: model?.maxExampleTokens ?? null,
  } as const;
}

function refuseErrors(report: DatasetReport): void {
  const [first] = report.errors.first;
  if (first === undefined) return;
  throw new ApiError(400, `Cannot take the file: ${describeErrors(report.errors)}`, {
    param: "file",
    code: first.code,
    retry: false,
    beside: { report: { object: "file.report", ...report } },
  });
}

const shownErrors = 5;

/** A sentence that shows the first few errors by their lines. */
function describeErrors({ count, first }: Findings): string {
  const shown = first.slice(0, shownErrors).map(describeFinding);
  const rest = count - shown.length;
  const more = rest > 0 ? `; and ${rest} more` : "";
  return `its dataset has ${count} ${count === 1 ? "error" : "errors"}: ${shown.join("; ")}${more}`;
}

function describeFinding({ line, message }: Finding): string {
  return line === null ? message : `line ${line}: ${message}`;
}
