import assert from "node:assert/strict";
import { ApiError } from "../../errors.ts";
import {
  type Check,
  catchFailure,
  completeJob,
  never,
  startJob,
  uploadSample,
  waitForStatus,
} from "../trial.ts";
import { checkAbsent } from "./files.ts";
import { checkJob, pickLasting } from "./objects.ts";

/** The checks that a backend without any rules, as that of some tests, cannot pass. */
export const jobRules = {
  fields: "createJob() carries out each field, or refuses it by its name",
  files: "createJob() refuses a file that the service does not have",
} as const;

// Each alone, for a backend that refuses one may take the next.
const wishes: readonly (readonly [field: string, value: unknown])[] = [
  ["seed", 7],
  ["metadata", { team: "a" }],
  ["method", { type: "dpo", dpo: { hyperparameters: { beta: 0.2 } } }],
  ["no_such_field", 1],
];

/** Jobs: what is asked is done or refused, and what is told of them is true. */
export const jobChecks: readonly Check[] = [
  {
    name: "createJob() tells the truth, and every answer the same of a job",
    needs: ["getJob"],
    async run(trial) {
      const { backend, service } = trial;
      const file = await uploadSample(trial);
      const job = await startJob(trial, file.id);
      const again = await backend.getJob(job.id, never);
      const listed = await Array.fromAsync(backend.listJobs({ limit: 10 }, never));
      const cancelled = await backend.cancelJob(job.id, never);
      for (const one of [job, again, ...listed, cancelled]) {
        checkJob(one);
        assert.deepEqual(pickLasting(one), pickLasting(job));
        assert.equal(one.training_file, file.id);
        assert.equal(one.model, service.model);
      }
      assert.equal(listed.length, 1);
    },
  },
  {
    name: jobRules.files,
    async run({ backend, service: { model } }) {
      for (const training_file of ["file-none", "../x", "file-é", `file-${"1".repeat(500)}`]) {
        const create = () => backend.createJob({ model, training_file }, never);
        checkAbsent(await catchFailure(create));
      }
      assert.deepEqual(await Array.fromAsync(backend.listJobs({ limit: 2 }, never)), []);
    },
  },
  {
    name: "previewJob() shows a request and creates nothing",
    needs: ["previewJob"],
    async run(trial) {
      const { backend, service } = trial;
      const { id } = await uploadSample(trial);
      const request = { model: service.model, training_file: id };
      const preview = await backend.previewJob(request, never);
      assert.ok(JSON.stringify(preview).includes(service.model), "it does not name the model");
      assert.deepEqual(await Array.fromAsync(backend.listJobs({ limit: 2 }, never)), []);
    },
  },
  {
    name: jobRules.fields,
    async run(trial) {
      const { backend, service } = trial;
      const { id } = await uploadSample(trial);
      for (const [name, value] of wishes) {
        const request = { model: service.model, training_file: id, [name]: value };
        try {
          const job = await backend.createJob(request, never);
          // The backend may fill in more than was asked for.
          assert.partialDeepStrictEqual(job[name], value, `"${name}" is left out`);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          assert.equal(error.status, 400, error.message);
          assert.ok(error.param?.startsWith(name), `"${error.param}" is not "${name}"`);
        }
      }
    },
  },
  {
    name: "cancelJob() ends a job, and says of it only what is true",
    needs: ["getJob"],
    async run(trial) {
      const { backend } = trial;
      const { id } = await startJob(trial);
      const answer = await backend.cancelJob(id, never);
      checkJob(answer);
      if (answer.status === "cancelled") {
        assert.equal((await backend.getJob(id, never)).status, "cancelled");
      } else await waitForStatus(trial, id, ["cancelled"]);
    },
  },
  {
    name: "a job that has succeeded names its model, its end and results that can be read",
    needs: ["getJob", "listJobEvents"],
    async run(trial) {
      const { backend } = trial;
      const job = await completeJob(trial);
      checkJob(job);
      assert.ok(job.fine_tuned_model, "it names no model");
      assert.ok(Number(job.finished_at) >= job.created_at, `it ended at ${job.finished_at}`);
      for (const id of job.result_files ?? []) {
        const { bytes, purpose } = await backend.getFile(id, never);
        assert.equal(purpose, "fine-tune-results");
        const { body } = await backend.readFile(id, undefined, never);
        assert.equal((await new Response(body).arrayBuffer()).byteLength, bytes);
      }
      const error = await catchFailure(() => backend.cancelJob(job.id, never));
      assert.ok(error instanceof ApiError, String(error));
      assert.ok(error.status >= 400 && error.status < 500, error.message);
      assert.equal((await backend.getJob(job.id, never)).status, "succeeded");
    },
  },
  {
    name: "a job can be paused and resumed",
    needs: ["pauseJob", "resumeJob", "getJob"],
    async run(trial) {
      const { backend, service } = trial;
      const { id } = await startJob(trial);
      service.runJob?.(id);
      await waitForStatus(trial, id, ["running", "queued"]);
      await waitForStatus(trial, id, service.runJob === undefined ? ["queued"] : ["running"]);
      const paused = await backend.pauseJob(id, never);
      checkJob(paused);
      assert.match(paused.status, /^(pausing|paused)$/);
      assert.match((await backend.getJob(id, never)).status, /^(pausing|paused)$/);
      const resumed = await backend.resumeJob(id, never);
      checkJob(resumed);
      assert.match(resumed.status, /^(queued|running)$/);
      await backend.cancelJob(id, never);
    },
  },
  {
    name: "deleteJob() takes a job away",
    needs: ["deleteJob", "getJob"],
    async run(trial) {
      const { backend } = trial;
      const { id } = await startJob(trial);
      await backend.cancelJob(id, never);
      await backend.deleteJob(id, never);
      checkAbsent(await catchFailure(() => backend.getJob(id, never)));
      assert.deepEqual(await Array.fromAsync(backend.listJobs({ limit: 10 }, never)), []);
    },
  },
  {
    name: "listModels() has models that getModel() knows",
    needs: ["listModels", "getModel"],
    async run({ backend, service }) {
      const models = await Array.fromAsync(backend.listModels(never));
      const ids = models.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      assert.ok(ids.includes(service.model));
      for (const id of ids) assert.equal((await backend.getModel(id, never)).id, id);
    },
  },
  {
    name: "checkAccess() is content with a service that is well",
    needs: ["checkAccess"],
    run: ({ backend }) => backend.checkAccess(never),
  },
];
