import openai from "../../../providers/openai.ts";
import type { Candidate } from "../../../src/conformance/candidate.ts";
import { startFakeOpenAI } from "../../fakes/openai.ts";
import { makeClock } from "./clock.ts";
import { chatSample } from "./sample.ts";

/** The provider `openai`, in front of the fake. */
export const openaiCandidate: Candidate = {
  provider: openai,
  methods: [
    ...([
      "previewJob",
      "getJob",
      "pauseJob",
      "resumeJob",
      "listJobEvents",
      "listJobCheckpoints",
    ] as const),
    ...(["getFile", "listFiles", "readFile", "deleteFile"] as const),
    ...([
      "createUpload",
      "addUploadPart",
      "completeUpload",
      "cancelUpload",
      "relayUpload",
    ] as const),
    ...(["listCheckpointPermissions", "createCheckpointPermissions"] as const),
    ...(["deleteCheckpointPermission", "runGrader", "validateGrader"] as const),
    ...(["listModels", "getModel", "checkAccess"] as const),
  ],
  remote: true,
  async start() {
    const fake = await startFakeOpenAI({ apiKey: "sk-a-secret-of-openai", now: makeClock() });
    const options = { api_key: fake.apiKey, api_base: fake.url };
    return {
      options,
      redirect: (url, timeout) => ({ ...options, api_base: `${url}/v1`, timeout }),
      sample: chatSample,
      model: "gpt-4.1-mini-2025-04-14",
      mistyped: '{"id":7,"created_at":"soon","data":{}}',
      listSecrets: () => [fake.apiKey],
      runJob: (id) => void fake.advanceJob(id, "running"),
      finishJob(id) {
        fake.advanceJob(id, "running");
        fake.advanceJob(id, "succeeded");
      },
      stop: () => fake.stop(),
    };
  },
};
