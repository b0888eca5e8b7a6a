import * as v from "valibot";
import vertex, { createVertexBackend } from "../../../providers/vertex_ai/index.ts";
import { options } from "../../../providers/vertex_ai/options.ts";
import type { Candidate } from "../../../src/conformance/candidate.ts";
import type { Provider } from "../../../src/provider.ts";
import { startFakeGoogle } from "../../fakes/google/cloud.ts";
import type { FakeTokens } from "../../fakes/google/token.ts";
import { chatSample } from "./sample.ts";

/** Uploads that fail in passing are repeated as often as ever, but at once. */
const provider: Provider = {
  ...vertex,
  create: (settings, runtime) =>
    createVertexBackend(v.parse(options, settings), runtime, [1, 1, 1]),
};

/** The provider `vertex_ai`, in front of the fakes of Google; the token server is the caller's. */
export function makeVertexCandidate(startTokens: () => Promise<FakeTokens>): Candidate {
  return {
    provider,
    methods: [
      ...(["previewJob", "getJob", "listJobEvents", "listJobCheckpoints"] as const),
      ...([
        "getFile",
        "listFiles",
        "readFile",
        "deleteFile",
        "readFileReport",
        "checkFile",
      ] as const),
      "checkAccess",
    ],
    remote: true,
    async start() {
      const fake = await startFakeGoogle(await startTokens());
      const { serviceAccount } = fake.tokens;
      const settings = fake.describe("tuning");
      return {
        options: settings,
        redirect: (url, timeout) => ({ ...settings, api_base: url, storage_base: url, timeout }),
        sample: chatSample,
        model: "gemini-2.5-flash",
        mistyped:
          '{"name":7,"createTime":7,"tuningJobs":{},"items":{},"contexts":{},"size":{},"nextPageToken":7}',
        listSecrets: () => [
          ...fake.tokens.tokens,
          // The lines of the key, for nothing shows it whole.
          ...(serviceAccount.private_key ?? "").split("\n").filter((line) => line.length > 20),
        ],
        finishJob: (id) => fake.finishJob(id),
        stop: () => fake.stop(),
      };
    },
  };
}
