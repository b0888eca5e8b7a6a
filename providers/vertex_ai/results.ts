import { ApiError, fileNotFound } from "../../src/errors.ts";
import type { FileContent, FileFields } from "../../src/provider.ts";
import type { Context } from "./context.ts";
import { hasResults } from "./job-objects.ts";
import { connectJobs, fromResultFileId } from "./job-store.ts";
import { createMetricsReader, type MetricRow } from "./tensorboard.ts";
import { type TuningJob, toSeconds } from "./tuning-job.ts";

/** Files that no bucket holds: the metrics of jobs as `results.csv`, made when they are read. */
export interface ResultFiles {
  /** Whether the id is one of these; says nothing of whether the file exists. */
  owns(id: string): boolean;
  /** Throws OpenAI's 404 for a job that has no results. */
  getFile(id: string, signal: AbortSignal): Promise<FileFields>;
  /** The whole file, whatever part of it is asked for. */
  readFile(id: string, range: string | undefined, signal: AbortSignal): Promise<FileContent>;
}

/** Makes the files of results of the jobs of one account. */
export function createResults(context: Context): ResultFiles {
  const jobs = connectJobs(context);
  const metrics = createMetricsReader(context);

  async function load(id: string, signal: AbortSignal): Promise<{ job: TuningJob; csv: Blob }> {
    const job = await findJob(id, signal);
    if (!hasResults(job)) throw fileNotFound(id);
    const { rows, problem } = await metrics.read(job, signal);
    if (problem !== undefined) throw explainProblem(id, problem);
    return { job, csv: new Blob([formatCsv(rows)], { type: "text/csv" }) };
  }

  async function findJob(id: string, signal: AbortSignal): Promise<TuningJob> {
    const jobId = fromResultFileId(id);
    if (jobId === undefined) throw fileNotFound(id);
    try {
      return await jobs.get(jobId, signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) throw fileNotFound(id);
      throw error;
    }
  }

  return {
    owns: (id) => fromResultFileId(id) !== undefined,
    async getFile(id, signal) {
      const { job, csv } = await load(id, signal);
      return {
        id,
        bytes: csv.size,
        created_at: toSeconds(job.endTime ?? job.createTime),
        filename: "results.csv",
        purpose: "fine-tune-results",
        status: "processed",
      };
    },
    async readFile(id, _range, signal) {
      const { csv } = await load(id, signal);
      const headers = {
        "content-type": "text/csv",
        "content-disposition": 'attachment; filename="results.csv"',
        "content-length": String(csv.size),
      };
      return { body: csv, headers };
    },
  };
}

function explainProblem(id: string, problem: ApiError): ApiError {
  if (problem.status === 404) return fileNotFound(id);
  const { message, code, headers } = problem;
  const status = problem.status < 500 ? 502 : problem.status;
  const full = `Cannot read the results "${id}": ${message}`;
  return new ApiError(status, full, { code, headers, cause: problem });
}

// The columns of OpenAI's result files, with five decimals at most.
const columns = [
  "train_loss",
  "train_mean_token_accuracy",
  "valid_loss",
  "valid_mean_token_accuracy",
];
const header = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy";

function formatCsv(rows: readonly MetricRow[]): string {
  const lines = rows.map(({ step, figures }) =>
    [step, ...columns.map((column) => formatFigure(figures[column]))].join(","),
  );
  return `${[header, ...lines].join("\n")}\n`;
}

function formatFigure(figure: number | undefined): string {
  return figure === undefined ? "" : String(Number(figure.toFixed(5)));
}
