import { setTimeout as sleep } from "node:timers/promises";
import type OpenAI from "openai";
import type { FineTuningJob, FineTuningJobEvent } from "openai/resources/fine-tuning/jobs/jobs";
import * as v from "valibot";
import type { Progress } from "./screen.ts";

const stepSchema = v.object({
  step: v.number(),
  total_steps: v.number(),
  train_loss: v.number(),
  valid_loss: v.optional(v.number()),
});

/** Whether a job has come to its end. */
export function isOver(job: FineTuningJob): boolean {
  return ["succeeded", "failed", "cancelled"].includes(job.status);
}

/** The events of a job, oldest first, as they come, until the job is over. */
export async function* followEvents(
  client: OpenAI,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<FineTuningJobEvent> {
  let newest: string | undefined;
  while (true) {
    // Before the events: those of a job that was over by then are all there.
    const job = await client.fineTuning.jobs.retrieve(id, { signal });
    const fresh: FineTuningJobEvent[] = [];
    for await (const event of client.fineTuning.jobs.listEvents(id, { limit: 50 }, { signal })) {
      if (event.id === newest) break;
      fresh.push(event);
    }
    newest = fresh[0]?.id ?? newest;
    yield* fresh.reverse();
    if (isOver(job)) return;
    await sleep(100, undefined, { signal });
  }
}

/** What an event tells of a step; undefined for one that is a sentence. */
export function readStep({ data, type }: FineTuningJobEvent): Progress | undefined {
  if (type !== "metrics") return undefined;
  const { step, total_steps, train_loss, valid_loss } = v.parse(stepSchema, data);
  return { step, totalSteps: total_steps, trainLoss: train_loss, validLoss: valid_loss };
}
