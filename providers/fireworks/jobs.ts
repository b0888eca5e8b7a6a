import * as v from "valibot";
import { ApiError, badRequest, jobNotFound, modelNotFound } from "../../src/errors.ts";
import type { Backend, Fields, JobRequest } from "../../src/provider.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { type Account, compareAge, orAbsent, pathOf, readAll, removeObject } from "./account.ts";
import {
  DpoJob,
  datasetOf,
  type FireworksJob,
  isFinal,
  isGone,
  listEvents,
  SupervisedJob,
  translateJob,
} from "./job-objects.ts";
import { type JobKind, readRequest } from "./request.ts";

/** The operations on jobs that Fireworks AI has: it resumes jobs, but only it can pause them. */
export type JobOperations = Required<
  Pick<
    Backend,
    | "createJob"
    | "previewJob"
    | "getJob"
    | "listJobs"
    | "cancelJob"
    | "resumeJob"
    | "deleteJob"
    | "listJobEvents"
  >
>;

const collections = { sft: "supervisedFineTuningJobs", dpo: "dpoJobs" } as const;
const schemas = { sft: SupervisedJob, dpo: DpoJob } as const;
const Named = v.object({ name: v.string() });
const Model = v.object({ name: v.string(), kind: v.nullish(v.string(), "KIND_UNSPECIFIED") });

/** Makes the operations on the jobs of one account; `loraRank` is that of jobs that ask for none. */
export function createJobs(account: Account, loraRank: number): JobOperations {
  const { upstream, name: owner } = account;
  const translate = (job: FireworksJob) => translateJob(job, owner);

  async function read(id: string, signal: AbortSignal): Promise<FireworksJob> {
    const { kind, name } = findPlace(id, owner);
    const asked = upstream.get(pathOf(name), {}, schemas[kind], signal);
    const job = await orAbsent(asked, jobNotFound(id));
    if (isGone(job)) throw jobNotFound(id);
    return job;
  }

  async function translateRequest(request: JobRequest, signal: AbortSignal) {
    const wanted = readRequest(request, owner, loraRank);
    const [source, training, validation] = await Promise.all([
      findSource(account, wanted.model, signal),
      findDataset(account, wanted.training_file, "training_file", signal),
      wanted.validation_file === null
        ? undefined
        : findDataset(account, wanted.validation_file, "validation_file", signal),
    ]);
    return { kind: wanted.kind, body: wanted.makeBody(source, training, validation) };
  }

  return {
    async createJob(request, signal) {
      const { kind, body } = await translateRequest(request, signal);
      const path = pathOf(`${owner}/${collections[kind]}`);
      return translate(await upstream.post(path, body, schemas[kind], signal));
    },
    previewJob: async (request, signal) => (await translateRequest(request, signal)).body,
    getJob: async (id, signal) => translate(await read(id, signal)),
    async *listJobs(_query, signal) {
      const supervised = await readAll(account, collections.sft, SupervisedJob, signal);
      const dpo = await readAll(account, collections.dpo, DpoJob, signal);
      const jobs = [...supervised, ...dpo].filter((job) => !isGone(job));
      yield* jobs.sort(compareAge).reverse().map(translate);
    },
    async cancelJob(id, signal) {
      const job = await read(id, signal);
      if (isFinal(job)) {
        const { status } = translate(job);
        throw badRequest(`Cannot cancel job: job "${id}" is already ${status}`, "fine_tune_id");
      }
      const asked = upstream.post(pathOf(job.name, "cancel"), {}, AnyObject, signal);
      await orAbsent(asked, jobNotFound(id));
      return translate(await read(id, signal));
    },
    async resumeJob(id, signal) {
      const { kind, name } = findPlace(id, owner);
      const asked = upstream.post(pathOf(name, "resume"), {}, schemas[kind], signal);
      return translate(await orAbsent(asked, jobNotFound(id)));
    },
    async deleteJob(id, signal) {
      const { name } = findPlace(id, owner);
      const removal = removeObject(account, name, () => read(id, signal), signal);
      await orAbsent(removal, jobNotFound(id));
    },
    async *listJobEvents(id, _query, signal) {
      yield* listEvents(await read(id, signal), owner);
    },
  };
}

function findPlace(id: string, owner: string): { readonly kind: JobKind; readonly name: string } {
  const [, kind, rest] = /^ftjob-(sft|dpo)-([\w.-]{1,200})$/.exec(id) ?? [];
  if (kind !== "sft" && kind !== "dpo") throw jobNotFound(id);
  return { kind, name: `${owner}/${collections[kind]}/${rest}` };
}

/** What a job starts from: a base model, or an adapter that an earlier job has trained. */
async function findSource(
  { upstream }: Account,
  model: string,
  signal: AbortSignal,
): Promise<Fields> {
  // The account of the service's own library, in which there are no adapters.
  if (model.startsWith("accounts/fireworks/")) return { baseModel: model };
  const asked = upstream.get(pathOf(model), {}, Model, signal);
  const { kind } = await orAbsent(asked, modelNotFound(model));
  return kind === "HF_PEFT_ADDON" ? { warmStartFrom: model } : { baseModel: model };
}

/** The name of a dataset that exists. */
async function findDataset(
  { upstream, name: owner }: Account,
  id: string,
  param: string,
  signal: AbortSignal,
): Promise<string> {
  const name = datasetOf(id, owner, param);
  const absent = new ApiError(404, `No such File object: ${id}`, { param });
  await orAbsent(upstream.get(pathOf(name), {}, Named, signal), absent);
  return name;
}
