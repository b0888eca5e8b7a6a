import { createBackend, createJob } from "./support.ts";

// A gateway to be killed: takes the jobs of a directory into its hands, creates one if it is told
// the word, says so and waits.
const [directory = "", trainer = "[]", creates = ""] = process.argv.slice(2);
const backend = createBackend(
  directory,
  { trainer: JSON.parse(trainer) },
  { files: true, jobs: true },
  undefined,
  () => {},
);
const id = creates === "create" ? (await createJob(backend)).id : "";
process.send?.({ id });
setInterval(() => {}, 1000);
