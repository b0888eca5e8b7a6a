import type { Candidate } from "../../../src/conformance/candidate.ts";
import { backendName } from "../../../src/conformance/trial.ts";
import { createMemoryProvider, createMemoryState, type MemoryState } from "../../fakes/memory.ts";

let state: MemoryState = createMemoryState();

/** The memory backends of the gateway's own tests, which are to be as true as any other. */
export const memoryCandidate: Candidate = {
  provider: createMemoryProvider({
    get [backendName]() {
      return state;
    },
  }),
  methods: ["getJob", "getFile", "listFiles", "deleteFile", "readFile"],
  remote: false,
  async start() {
    state = createMemoryState();
    return {
      options: {},
      // All that a memory backend keeps of a file is its name.
      sample: {
        content: new TextEncoder().encode("content of train.jsonl"),
        filename: "train.jsonl",
      },
      model: "any-model",
      mistyped: "",
      listSecrets: () => [],
      stop: async () => undefined,
    };
  },
};
