import fireworks from "../../../providers/fireworks/index.ts";
import type { Candidate } from "../../../src/conformance/candidate.ts";
import { startFakeFireworks } from "../../fakes/fireworks.ts";
import { chatSample } from "./sample.ts";

/** The provider `fireworks`, in front of the fake. */
export const fireworksCandidate: Candidate = {
  provider: fireworks,
  methods: [
    ...(["previewJob", "getJob", "resumeJob", "deleteJob", "listJobEvents"] as const),
    ...(["getFile", "listFiles", "readFile", "deleteFile", "checkAccess"] as const),
  ],
  remote: true,
  async start() {
    const fake = await startFakeFireworks();
    const options = { api_key: fake.apiKey, account_id: fake.accountId, api_base: fake.url };
    return {
      options,
      redirect: (url, timeout) => ({ ...options, api_base: `${url}/v1`, timeout }),
      sample: chatSample,
      model: "accounts/fireworks/models/qwen3-8b",
      mistyped:
        '{"name":7,"createTime":7,"datasets":{},"supervisedFineTuningJobs":{},"dpoJobs":{},"nextPageToken":7,"filenameToSignedUrls":7}',
      listSecrets: () => [fake.apiKey, fake.signature],
      runJob: (id) => fake.changeJob(id, { state: "JOB_STATE_RUNNING" }),
      finishJob: (id) => fake.finishJob(id),
      stop: () => fake.stop(),
    };
  },
};
