import { jobNotFound } from "../../src/errors.ts";
import { ActiveJob } from "./active-job.ts";
import { explainWriteError } from "./disk.ts";
import {
  cancelJob,
  catchUp,
  endTrainer,
  followJob,
  foresee,
  type JobAction,
  type JobContext,
  killOverdue,
  pauseJob,
  refuseAction,
  resumeJob,
  startJob,
  validateJob,
} from "./job-life.ts";
import { isOver, type JobRecord } from "./job-record.ts";
import { findProcesses, type ProcessIdentity } from "./process-identity.ts";
import { descriptionVariable } from "./protocol.ts";
import { adoptTrainer } from "./trainer-process.ts";

const pollMilliseconds = 150;
const troubleMilliseconds = 1000;

/** Decides which jobs run when, and takes up what an earlier process has left. */
export class Scheduler {
  readonly #context: JobContext;
  readonly #slots: number;
  readonly #active = new Map<string, ActiveJob>();
  readonly #work = new Set<Promise<void>>();
  #validations: Promise<void> = Promise.resolve();
  #started: Promise<void> | undefined;
  #ready = false;
  #closed = false;

  constructor(context: JobContext, slots: number) {
    this.#context = context;
    this.#slots = slots;
  }

  /** Takes up what an earlier process has left, once; after a failure it may be called again. */
  start(): Promise<void> {
    this.#started ??= this.#takeOver().catch((error) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  /** Waits until what an earlier process has left is looked through, if that is going on. */
  async settle(): Promise<void> {
    // Whoever started it hears of its failure.
    await this.#started?.catch(() => undefined);
  }

  /** Begins with a job that was stored just now. */
  submit(record: JobRecord): void {
    const job = new ActiveJob(record);
    this.#active.set(job.id, job);
    this.#queueValidation(job);
  }

  /** Does what a client asks of a job; 404 for an unknown one, 400 where its status forbids it. */
  async change(action: JobAction, id: string): Promise<JobRecord> {
    await this.start();
    const job = this.#active.get(id);
    if (job === undefined) {
      const record = await this.#context.jobs.read(id);
      throw record === undefined ? jobNotFound(id) : refuseAction(action, record);
    }
    try {
      return await job.exclusive(async () => {
        await catchUp(job, this.#context);
        await { cancel: cancelJob, pause: pauseJob, resume: resumeJob }[action](job, this.#context);
        return job.record;
      });
    } catch (error) {
      if (await this.#dropVanished(job)) throw jobNotFound(id);
      throw explainWriteError(`${action} job`, error);
    } finally {
      job.wake();
      await this.#retire(job);
      // Nothing goes on with a job that waits: its end would never be written.
      if (job.cancelled && !job.isOver && !job.holdsSlot && !this.#closed) {
        job.holdsSlot = true;
        this.#track(this.#run(job));
      }
    }
  }

  /**
   * A job as it is, given what the disk says: not `running` where its trainer has ended, also where
   * the disk does not take its end. Undefined where its directory is gone.
   */
  async inspect(record: JobRecord): Promise<JobRecord | undefined> {
    const job = this.#active.get(record.id);
    if (job === undefined || isOver(record) || job.trainer?.getEnd() === undefined) return record;
    return await job.exclusive(async () => {
      if (job.foreseen !== undefined && !job.isOver) return job.foreseen;
      try {
        await catchUp(job, this.#context);
        return job.record;
      } catch {
        // Whoever follows the job meets the same error, and reports it.
        if (!(await this.#context.jobs.exists(job.id))) return undefined;
        job.foreseen = await foresee(job, this.#context);
        return job.foreseen;
      }
    });
  }

  /** Lets go of all jobs; trainers go on by themselves, save those of cancelled jobs. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settle();
    for (const job of this.#active.values()) {
      job.validation.abort();
      if (job.isOver || job.cancelled) job.trainer?.sendSignal("SIGKILL");
      job.wake();
    }
    await this.#validations;
    await Promise.all(this.#work);
    const running = [...this.#active.values()].filter((job) => job.trainer && !job.isOver).length;
    if (running > 0) {
      this.#context.log("info", `${running} trainer(s) go on and are taken up at the next start`);
    }
  }

  async #takeOver(): Promise<void> {
    const ids = await this.#context.jobs.listUnfinishedIds();
    const processes = ids.length === 0 ? new Map() : findProcesses(descriptionVariable);
    for (const id of ids) {
      if (!this.#closed && !this.#active.has(id)) await this.#takeUp(id, processes);
    }
    for (const job of this.#active.values()) {
      if (job.record.status === "validating_files") this.#queueValidation(job);
      else if (job.trainer !== undefined) this.#track(this.#run(job));
    }
    this.#ready = true;
    this.#fillSlots();
  }

  async #takeUp(id: string, processes: ReadonlyMap<string, ProcessIdentity>): Promise<void> {
    const { jobs, log } = this.#context;
    const found = processes.get(jobs.paths(id).description);
    let record: JobRecord | undefined;
    try {
      record = await jobs.read(id);
    } catch (error) {
      log("error", `Cannot take up job "${id}": its record is damaged`, { error: String(error) });
      this.#endStray(id, found);
      return;
    }
    if (record === undefined) {
      this.#endStray(id, found);
      await jobs.retire(id);
      return;
    }
    const job = new ActiveJob(record);
    this.#active.set(id, job);
    const identity = record.process ?? found;
    if (identity !== undefined) {
      job.trainer = adoptTrainer(identity);
      job.holdsSlot = true;
      // The process before this one may have ended between its note and its signal.
      if (job.isOver) endTrainer(job, this.#context);
      else job.trainer.sendSignal(record.status === "paused" ? "SIGSTOP" : "SIGCONT");
      await this.#advance(job);
    }
    await this.#retire(job);
  }

  #endStray(id: string, identity: ProcessIdentity | undefined): void {
    if (identity === undefined) return;
    this.#context.log("error", `The trainer of job "${id}", of which no record is left, is killed`);
    adoptTrainer(identity).sendSignal("SIGKILL");
  }

  #queueValidation(job: ActiveJob): void {
    this.#validations = this.#validations.then(async () => {
      while (!this.#closed && !job.vanished && job.record.status === "validating_files") {
        const done = await this.#attempt(job, () => validateJob(job, this.#context));
        if (!done && !job.vanished) await job.rest(troubleMilliseconds);
      }
      await this.#retire(job);
      this.#fillSlots();
    });
  }

  #fillSlots(): void {
    if (!this.#ready || this.#closed) return;
    const jobs = [...this.#active.values()];
    const free = this.#slots - jobs.filter((job) => job.holdsSlot).length;
    const waiting = jobs
      .filter((job) => job.record.status === "queued" && !job.holdsSlot)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const job of waiting.slice(0, Math.max(free, 0))) {
      job.holdsSlot = true;
      this.#track(this.#run(job));
    }
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    work.finally(() => this.#work.delete(work));
  }

  async #run(job: ActiveJob): Promise<void> {
    while (!this.#closed && !(await this.#advance(job))) {
      await job.rest(job.trouble === "" ? pollMilliseconds : troubleMilliseconds);
    }
    await this.#retire(job);
  }

  // True once there is no trainer, or no more.
  async #advance(job: ActiveJob): Promise<boolean> {
    let ended = false;
    killOverdue(job);
    await this.#attempt(job, async () => {
      await job.exclusive(() => startJob(job, this.#context));
      ended = await followJob(job, this.#context);
    });
    return ended || job.vanished;
  }

  // A disk that is full, for one, is no end of a job: what failed is tried again.
  async #attempt(job: ActiveJob, task: () => Promise<void>): Promise<boolean> {
    try {
      await task();
      job.trouble = "";
      return true;
    } catch (error) {
      if (await this.#dropVanished(job)) return false;
      const trouble = String(error);
      if (trouble !== job.trouble) {
        this.#context.log("error", `Cannot go on with job "${job.id}"`, { error: trouble });
      }
      job.trouble = trouble;
      return false;
    }
  }

  // True where what failed could not but fail: a job without its directory is no more.
  async #dropVanished(job: ActiveJob): Promise<boolean> {
    if (await this.#context.jobs.exists(job.id)) return false;
    job.vanished = true;
    job.trainer?.sendSignal("SIGKILL");
    job.trainer = undefined;
    if (!this.#active.delete(job.id)) return true;
    this.#context.log("error", `Cannot go on with job "${job.id}": its directory is gone`);
    await this.#attempt(job, () => this.#context.jobs.retire(job.id));
    this.#fillSlots();
    return true;
  }

  async #retire(job: ActiveJob): Promise<void> {
    if (!job.isOver || job.trainer !== undefined || !this.#active.delete(job.id)) return;
    await this.#attempt(job, () => this.#context.jobs.retire(job.id));
    this.#fillSlots();
  }
}
