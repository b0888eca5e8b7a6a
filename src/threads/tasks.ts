import type { CheckOptions } from "../dataset/check/check.ts";
import type { DatasetReport } from "../dataset/report.ts";
import type { RangeFigures, RangeInput } from "../dataset/tokens/range.ts";

/** A dataset to be checked, and how. */
export interface CheckInput {
  readonly content: Blob;
  readonly options: Omit<CheckOptions, "onProgress">;
}

type OnProgress = (amount: number) => void;

/** The tasks of the gateway's threads; what each needs is loaded by the first that runs it. */
export const tasks = {
  /** Progress is the number of bytes that were read. */
  async check(
    { content, options }: CheckInput,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<DatasetReport> {
    const { checkDataset } = await import("../dataset/check/check.ts");
    return await checkDataset(content, { ...options, onProgress }, signal);
  },

  /** Without progress: it takes a moment. */
  async tokens(input: RangeInput, _: OnProgress, signal: AbortSignal): Promise<RangeFigures> {
    const { countRange } = await import("../dataset/tokens/range.ts");
    return await countRange(input, signal);
  },
};

/** What each task takes and gives. */
export type Tasks = typeof tasks;
