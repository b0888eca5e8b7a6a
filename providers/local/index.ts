import * as v from "valibot";
import { defineProvider } from "../../src/provider.ts";
import { createLocalBackend } from "./backend.ts";
import { datasets } from "./rules.ts";

const wordSchema = v.pipe(v.string(), v.nonEmpty());
const methodSchema = v.picklist(["supervised", "dpo", "reinforcement"]);

/** Files on the gateway's own disk, and a process of its own for each fine-tuning job. */
export default defineProvider({
  datasets,
  options: v.strictObject({
    trainer: v.pipe(
      v.optional(v.pipe(v.array(wordSchema), v.nonEmpty())),
      v.description(
        'The command that trains, as a list of words such as `["python", "/opt/train.py"]`; it runs in the job\'s directory and finds the path of the job\'s description in `TUNEGATE_JOB`. Default: the trainer that is built in, for trying things out',
      ),
    ),
    models: v.pipe(
      v.optional(v.pipe(v.array(wordSchema), v.nonEmpty()), ["tiny-lm"]),
      v.description('The models that can be tuned. Default: `["tiny-lm"]`, the built-in one'),
    ),
    methods: v.pipe(
      v.optional(v.pipe(v.array(methodSchema), v.nonEmpty()), ["supervised"]),
      v.description(
        'What the trainer can do, of `supervised`, `dpo` and `reinforcement`. Default: `["supervised"]`',
      ),
    ),
    max_concurrent_jobs: v.pipe(
      v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1),
      v.description(
        "How many trainers may run at once; further jobs wait as `queued`, and a paused job keeps its place, because its trainer keeps its memory. Default: 1",
      ),
    ),
  }),
  create: (options, runtime) => createLocalBackend(options, runtime),
});
