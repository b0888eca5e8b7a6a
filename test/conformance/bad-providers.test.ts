import { expect, test } from "bun:test";
import { checks } from "../../src/conformance/checks/index.ts";
import { runCheck } from "../../src/conformance/trial.ts";
import { ApiError } from "../../src/errors.ts";
import type { Backend, Runtime } from "../../src/provider.ts";
import { catchError } from "../support/gateway.ts";
import { openaiCandidate } from "./candidates/openai.ts";

// A check that cannot fail shows nothing: each of these mistakes is found by the check of that name.

type Tamper = (backend: Required<Backend>, log: Runtime["log"]) => Partial<Backend>;

const mistakes: readonly (readonly [mistake: string, check: RegExp, tamper: Tamper])[] = [
  [
    "times in milliseconds",
    /^uploadFile\(\) tells/,
    ({ getFile }) => ({
      getFile: async (...words) => {
        const file = await getFile(...words);
        return { ...file, created_at: file.created_at * 1000 };
      },
    }),
  ],
  [
    "an id with a slash",
    /^createJob\(\) tells/,
    ({ createJob }) => ({
      createJob: async (...words) => ({ ...(await createJob(...words)), id: "projects/1" }),
    }),
  ],
  [
    "a list that repeats its last item",
    /^listJobs\(\) has/,
    ({ listJobs }) => ({
      async *listJobs(...words) {
        const jobs = await Array.fromAsync(listJobs(...words));
        yield* [...jobs, ...jobs.slice(-1)];
      },
    }),
  ],
  [
    "a list that begins with the item that it is to start after",
    /^listFiles\(\) has/,
    ({ listFiles, getFile }) => ({
      async *listFiles(query, signal) {
        if (query.after !== undefined) yield await getFile(query.after, signal);
        yield* listFiles(query, signal);
      },
    }),
  ],
  [
    "a method that only says that it is not supported",
    /^the backend has the methods/,
    () => ({
      deleteJob: async () => {
        throw new ApiError(400, "Not supported");
      },
    }),
  ],
  [
    "an unknown id that is a failure",
    /^an unknown id of a job/,
    () => ({
      getJob: async () => {
        throw new ApiError(502, "What?");
      },
    }),
  ],
  [
    "an error that is no ApiError",
    /^upstream 400 keeps/,
    ({ getJob }) => ({
      getJob: async (...words) => {
        throw new Error("no", { cause: await catchError(() => getJob(...words)) });
      },
    }),
  ],
  [
    "a create that may be repeated although it was sent",
    /^upstream 500 is/,
    ({ createJob }) => ({
      createJob: async (...words) => {
        const cause = await catchError(() => createJob(...words));
        throw new ApiError(502, 'Backend "under-check" failed', { retry: true, cause });
      },
    }),
  ],
  [
    "a field that is left out",
    /^createJob\(\) carries out/,
    ({ createJob }) => ({
      createJob: ({ model, training_file }, signal) => createJob({ model, training_file }, signal),
    }),
  ],
  [
    "a file that comes back changed",
    /^readFile\(\) gives/,
    () => ({ readFile: async () => ({ body: new Blob(["{}"]), headers: {} }) }),
  ],
  [
    "a cancel that only says so",
    /^cancelJob\(\) ends/,
    ({ getJob }) => ({
      cancelJob: async (...words) => ({ ...(await getJob(...words)), status: "cancelled" }),
    }),
  ],
  [
    "an abort that nobody heeds",
    /^an abort before the call/,
    ({ getFile }) => ({ getFile: (id) => getFile(id, new AbortController().signal) }),
  ],
  [
    "a key in the log",
    /^createJob\(\) tells/,
    ({ createJob }, log) => ({
      createJob: (...words) => {
        log("debug", "sending", { authorization: "Bearer sk-a-secret-of-openai" });
        return createJob(...words);
      },
    }),
  ],
];

test.each(mistakes)("%s is found", async (_mistake, name, tamper) => {
  const { provider } = openaiCandidate;
  const tampered = {
    ...provider,
    create(options: unknown, runtime: Runtime): Backend {
      const backend = provider.create(options, runtime);
      // The candidate says that it has every method that is used here.
      return { ...backend, ...tamper(backend as Required<Backend>, runtime.log) };
    },
  };
  const [check, ...others] = checks.filter((one) => name.test(one.name));
  expect(others).toEqual([]);
  if (check === undefined) throw new Error(`There is no check ${name}`);
  await runCheck(check, openaiCandidate);
  await catchError(() => runCheck(check, { ...openaiCandidate, provider: tampered }));
});
