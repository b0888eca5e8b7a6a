import assert from "node:assert/strict";
import * as v from "valibot";
import { calls } from "../calls.ts";
import { type Fault, startFaultyService } from "../faulty-service.ts";
import type { Check } from "../trial.ts";

const required = ["uploadFile", "createJob", "cancelJob", "listJobs"];
const lists = new Map([
  ["files", "listFiles"],
  ["jobs", "listJobs"],
  ["events", "listJobEvents"],
  ["checkpoints", "listJobCheckpoints"],
]);
const others = ["cursors", "close", "previewJob", "checkFile"];
const refusal: Fault = { kind: "answer", status: 500, body: "{}" };

/** What a backend is before anything is asked of it. */
export const shapeChecks: readonly Check[] = [
  {
    name: "the backend has the methods that its service has, and no other",
    async run({ backend, candidate }) {
      const names = Object.keys(backend).filter((name) => name !== "cursors" && name !== "close");
      assert.deepEqual(names.toSorted(), [...required, ...candidate.methods].toSorted());
      for (const [name, member] of Object.entries(backend)) {
        if (name !== "cursors") assert.equal(typeof member, "function", name);
        assert.ok(name in calls || others.includes(name), `${name} is not of the contract`);
      }
      for (const cursor of backend.cursors ?? []) {
        assert.ok(names.includes(lists.get(cursor) ?? ""), `"${cursor}" is no list that it has`);
      }
    },
  },
  {
    name: "every option is described, and an unknown one is refused",
    async run({ candidate: { provider }, service }) {
      for (const [name, schema] of Object.entries(provider.options.entries)) {
        assert.ok(v.getDescription(schema), `option "${name}" has no description`);
      }
      const options = { ...Object(service.options), no_such_option: 1 };
      assert.ok(!v.is(provider.options, options));
    },
  },
  {
    name: "create() contacts nobody",
    remote: true,
    async run({ connect, service }) {
      const faulty = await startFaultyService(refusal);
      try {
        connect(service.redirect?.(faulty.url, 5));
        await Bun.sleep(50);
        assert.deepEqual(faulty.requests, []);
      } finally {
        await faulty.stop();
      }
    },
  },
];
