import azure from "../../../providers/azure/index.ts";
import type { Candidate, OptionalMethod } from "../../../src/conformance/candidate.ts";
import { startFakeAzure } from "../../fakes/azure.ts";
import { makeClock } from "./clock.ts";
import { chatSample } from "./sample.ts";

const shared: readonly OptionalMethod[] = [
  ...(["previewJob", "getJob", "listJobEvents", "listJobCheckpoints"] as const),
  ...(["getFile", "listFiles", "readFile", "deleteFile"] as const),
  ...(["createUpload", "addUploadPart", "completeUpload", "cancelUpload"] as const),
  "checkAccess",
];

/** The provider `azure` on the v1 API. */
export const azureV1Candidate = describeSurface("v1", ["pauseJob", "resumeJob"]);

/** The provider `azure` on the classic API, in the version of LiteLLM's sample. */
export const azureClassicCandidate = describeSurface("2024-10-21", ["deleteJob", "importFile"]);

function describeSurface(api_version: string, own: readonly OptionalMethod[]): Candidate {
  return {
    provider: azure,
    methods: [...shared, ...own],
    remote: true,
    async start() {
      const fake = await startFakeAzure({ apiKey: "a-secret-of-azure", now: makeClock() });
      // Imported at the first look; what waits for it is tested beside the provider.
      fake.state.importing = ["processed"];
      const options = { api_base: fake.url, api_key: fake.apiKey, api_version };
      return {
        options,
        redirect: (url, timeout) => ({ ...options, api_base: url, timeout }),
        sample: chatSample,
        model: "gpt-4o-mini-2024-07-18",
        mistyped: '{"id":7,"created_at":"soon","data":{}}',
        listSecrets: () => [fake.apiKey],
        finishJob(id) {
          const job = fake.state.jobs.get(id);
          if (job === undefined) throw new Error(`The fake has no job ${id}`);
          const finished_at = job.object.created_at + 60;
          const fine_tuned_model = "gpt-4o-mini-2024-07-18.ft-1";
          Object.assign(job.object, { status: "succeeded", finished_at, fine_tuned_model });
        },
        stop: () => fake.stop(),
      };
    },
  };
}
