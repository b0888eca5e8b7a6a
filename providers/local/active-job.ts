import { isOver, type JobRecord } from "./job-record.ts";
import type { TrainerProcess } from "./trainer-process.ts";

/** A job that is not over, or whose trainer may still run, as the scheduler works on it. */
export class ActiveJob {
  /** As it stands on the disk. */
  record: JobRecord;
  trainer: TrainerProcess | undefined;
  /** Whether it is one of the jobs that count against `max_concurrent_jobs`. */
  holdsSlot = false;
  /** When its trainer is to be killed, in milliseconds; it has been asked to end before. */
  killAt: number | undefined;
  /** Whether a client has asked for its end; a full disk may keep the record from saying so. */
  cancelled = false;
  /** Whether its directory is gone: there is nothing left to go on with. */
  vanished = false;
  /** What its record will be once the disk takes it; its trainer has ended. */
  foreseen: JobRecord | undefined;
  /** What was last reported of it, so that a lasting trouble is logged once. */
  trouble = "";
  readonly validation = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #wake: (() => void) | undefined;

  constructor(record: JobRecord) {
    this.record = record;
  }

  get id(): string {
    return this.record.id;
  }

  get isOver(): boolean {
    return isOver(this.record);
  }

  /** Runs tasks one after the other, so that each finds the record as the one before left it. */
  exclusive<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(task);
    // Its caller hears of a failure; the next task runs all the same.
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Waits, unless woken. */
  async rest(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the current `rest` at once. */
  wake(): void {
    this.#wake?.();
  }
}
