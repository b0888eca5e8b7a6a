import together from "../../../providers/together/index.ts";
import type { Candidate } from "../../../src/conformance/candidate.ts";
import { startFakeTogether, tunableModels } from "../../fakes/together.ts";
import { makeClock } from "./clock.ts";
import { chatSample } from "./sample.ts";

/** The provider `together`, in front of the fake. */
export const togetherCandidate: Candidate = {
  provider: together,
  methods: [
    ...(["previewJob", "getJob", "listJobEvents", "listJobCheckpoints"] as const),
    ...(["getFile", "listFiles", "readFile", "deleteFile"] as const),
    ...(["listModels", "getModel", "checkAccess"] as const),
  ],
  remote: true,
  async start() {
    const fake = await startFakeTogether({ apiKey: "tgp-a-secret-of-together", now: makeClock() });
    const options = { api_key: fake.apiKey, api_base: fake.url };
    return {
      options,
      redirect: (url, timeout) => ({ ...options, api_base: `${url}/v1`, timeout }),
      sample: chatSample,
      model: tunableModels[0] ?? "",
      mistyped: '{"id":7,"created_at":[],"data":{},"models":7}',
      listSecrets: () => [fake.apiKey],
      finishJob(id) {
        fake.advanceJob(id, "running");
        fake.advanceJob(id, "completed");
      },
      stop: () => fake.stop(),
    };
  },
};
