import { type Item, Refusal, requireNoBody, takePage } from "../openai/answers.ts";
import type { FakeAnswer } from "../server.ts";
import {
  answerJson,
  type Call,
  checkParameters,
  type FakeAzureState,
  makeId,
  readJson,
} from "./calls.ts";

/** Stores a job as if it had been created at `createdAt`; `fields` override its object's. */
export function storeJob(
  { jobs }: FakeAzureState,
  createdAt: number,
  fields: Record<string, unknown>,
): Item {
  const id = makeId("ftjob-");
  const object: Item = {
    object: "fine_tuning.job",
    id,
    created_at: createdAt,
    status: "pending",
    model: "gpt-4o-mini-2024-07-18",
    training_file: "file-0",
    organisation_id: "",
    result_files: null,
    ...fields,
  };
  const event = (level: string, message: string) => ({
    object: "fine_tuning.job.event",
    id: makeId("ftevent-"),
    created_at: createdAt,
    level,
    message,
    type: "message",
  });
  const events = [event("info", "Job enqueued."), event("warning", "Training is slow.")];
  const checkpoints = [10, 20].map((step) => ({
    object: "fine_tuning.job.checkpoint",
    id: makeId("ftchkpt-"),
    created_at: createdAt + step,
    fine_tuned_model_checkpoint: `gpt-4o-mini-2024-07-18.${id.replace("ftjob", "ft")}:ckpt-${step}`,
    fine_tuning_job_id: id,
    step_number: step,
    metrics: { step, train_loss: 0.5 },
  }));
  jobs.set(id, { object, events, checkpoints });
  return object;
}

/** Routes from `/fine_tuning/jobs` on. */
export function answerJobs(
  call: Call,
  state: FakeAzureState,
  id: string | undefined,
  action: string,
): FakeAnswer | undefined {
  const { request, v1 } = call;
  const operation = `${request.method} ${action}`;
  const paged = id === undefined || action === "events" || action === "checkpoints";
  checkParameters(call, request.method === "GET" && paged ? ["after", "limit"] : []);
  if (operation === "POST " && id === undefined) return createJob(call, state);
  requireNoBody(request);
  if (operation === "GET " && id === undefined) {
    const objects = [...state.jobs.values()].map(({ object }) => object);
    return answerJson({ object: "list", ...takePage(request, objects, { limit: 20, most: 100 }) });
  }
  const job = state.jobs.get(id ?? "");
  if (job === undefined) {
    throw new Refusal(404, `The fine-tuning job '${id}' was not found.`, { code: "notFound" });
  }
  const commands: Readonly<Record<string, string>> = {
    "POST cancel": "cancelled",
    ...(v1 && { "POST pause": "paused", "POST resume": "resuming" }),
  };
  if (operation === "DELETE " && !v1) {
    state.jobs.delete(job.object.id);
    return { status: 204, headers: {}, body: "" };
  }
  const status = commands[operation];
  if (status !== undefined) {
    if (/^(succeeded|failed|cancelled)$/.test(String(job.object.status))) {
      throw new Refusal(409, "The job is in a final state.", { code: "conflict" });
    }
    job.object.status = status;
    return answerJson(job.object);
  }
  if (operation === "GET ") return answerJson(job.object);
  if (operation === "GET events") {
    return answerJson({
      object: "list",
      ...takePage(request, job.events, { limit: 20, most: 100 }),
    });
  }
  if (operation !== "GET checkpoints") return undefined;
  const page = takePage(request, job.checkpoints, { limit: 10, most: 100 });
  return answerJson({ object: "list", ...page });
}

/** Open models: https://github.com/microsoft-foundry/fine-tuning says that they need it. */
const openModel = /^(gpt-oss|Ministral|Qwen|Llama)/;

function createJob(call: Call, state: FakeAzureState): FakeAnswer {
  const fields = readJson(call, call.schema);
  for (const param of ["training_file", "validation_file"] as const) {
    const id = fields[param];
    if (id === undefined || id === null) continue;
    const file = state.files.get(id);
    const name = param.replace("_", " ");
    if (file === undefined) throw new Refusal(400, `The ${name} does not exist.`, { param });
    if (file.object.status !== "processed") {
      throw new Refusal(400, "The file import is not completed.", { param });
    }
  }
  if (openModel.test(fields.model) && fields.trainingType !== "globalStandard") {
    throw new Refusal(400, "The model is not supported.", { param: "model" });
  }
  const status = call.v1 ? "queued" : "pending";
  const object = storeJob(state, call.now, { ...fields, status });
  return answerJson(object, 201, { location: `${call.request.path}/${object.id}` });
}
