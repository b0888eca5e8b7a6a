/** How many jobs an account has. */
export const jobCount = 1_000_000;

const newest = 1_790_000_000;

/** An account: jobs from number `first` on, each `step`th of all; number 0 is the newest. */
export interface Account {
  readonly first: number;
  readonly step: number;
}

/** All jobs in one account, and the same divided between two. */
export const accounts = {
  whole: { first: 0, step: 1 },
  even: { first: 0, step: 2 },
  odd: { first: 1, step: 2 },
} as const satisfies Readonly<Record<string, Account>>;

// An odd factor has an inverse modulo 2^32, so numbers become ids that are in no order, and back.
const factor = 0x9e3779b1;
const inverse = 0x0e8b2f51;

/** The id of the job of this number. */
export function jobId(number: number): string {
  const digits = (Math.imul(number + 1, factor) >>> 0).toString(16).padStart(8, "0");
  return `ftjob-${digits}${digits}${digits}`;
}

/** The number of a job by its id, undefined where there is no such job. */
export function jobNumber(id: string): number | undefined {
  const digits = /^ftjob-([0-9a-f]{8})\1\1$/.exec(id)?.[1];
  if (digits === undefined) return undefined;
  const number = (Math.imul(Number.parseInt(digits, 16), inverse) >>> 0) - 1;
  return number >= 0 && number < jobCount ? number : undefined;
}

/** A job as OpenAI answers it. The newest hundred still run, so that nobody may remember them. */
export function makeJob(number: number) {
  const running = number < 100;
  const model = "gpt-4o-mini-2024-07-18";
  const hyperparameters = { n_epochs: 3, batch_size: 1, learning_rate_multiplier: 1.8 };
  return {
    object: "fine_tuning.job",
    id: jobId(number),
    model,
    created_at: newest - number,
    finished_at: running ? null : newest - number + 600,
    fine_tuned_model: running ? null : `ft:${model}:example::${number.toString(36)}`,
    organization_id: "org-example",
    result_files: running ? [] : [fileId(1024, number.toString(36))],
    status: running ? "running" : "succeeded",
    validation_file: null,
    training_file: fileId(1_000_000, "training"),
    hyperparameters,
    trained_tokens: running ? null : 5_768,
    error: {},
    user_provided_suffix: null,
    seed: 683_058_546,
    estimated_finish: null,
    integrations: [],
    metadata: null,
    usage_metrics: null,
    shared_with_openai: false,
    method: { type: "supervised", supervised: { hyperparameters } },
  };
}

/** One page of an account's list of jobs, undefined where `after` is not in it. */
export function makeJobPage(
  account: Account,
  after: string | null,
  limit: number,
): object | undefined {
  const cursor = after === null ? account.first - account.step : jobNumber(after);
  if (cursor === undefined || !hasJob(account, cursor + account.step)) return undefined;
  const data = [];
  let number = cursor + account.step;
  for (; number < jobCount && data.length < limit; number += account.step) {
    data.push(makeJob(number));
  }
  return { object: "list", data, has_more: number < jobCount };
}

/** Whether a job of this number belongs to the account. */
export function hasJob(account: Account, number: number): boolean {
  return number % account.step === account.first;
}

/** The id of a file tells its size, so that the fake need not remember any. */
export function fileId(size: number, tag: string): string {
  return `file-${size}-${tag}`;
}

/** The size of a file by its id, undefined where there is no such file. */
export function fileSize(id: string): number | undefined {
  const digits = /^file-(\d+)-\w+$/.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A file as OpenAI answers it. */
export function makeFile(id: string, bytes: number, filename = "train.jsonl"): object {
  return {
    object: "file",
    id,
    purpose: "fine-tune",
    filename,
    bytes,
    created_at: newest,
    expires_at: null,
    status: "processed",
    status_details: null,
  };
}
