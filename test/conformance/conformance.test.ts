import { afterAll } from "bun:test";
import { expiryRule } from "../../src/conformance/checks/files.ts";
import { jobRules } from "../../src/conformance/checks/jobs.ts";
import { type FakeTokens, startFakeTokens } from "../fakes/google/token.ts";
import { azureClassicCandidate, azureV1Candidate } from "./candidates/azure.ts";
import { fireworksCandidate } from "./candidates/fireworks.ts";
import { localCandidate } from "./candidates/local.ts";
import { memoryCandidate } from "./candidates/memory.ts";
import { openaiCandidate } from "./candidates/openai.ts";
import { togetherCandidate } from "./candidates/together.ts";
import { makeVertexCandidate } from "./candidates/vertex.ts";
import { describeProvider } from "./suite.ts";

// To make a key pair takes longer than most tests.
let tokens: Promise<FakeTokens> | undefined;
afterAll(async () => (await tokens)?.stop());
function startTokens(): Promise<FakeTokens> {
  tokens ??= startFakeTokens();
  return tokens;
}

describeProvider("openai", openaiCandidate);
describeProvider("azure, v1", azureV1Candidate);
describeProvider("azure, classic", azureClassicCandidate);
describeProvider("vertex_ai", makeVertexCandidate(startTokens));
describeProvider("fireworks", fireworksCandidate);
describeProvider("local", localCandidate);
describeProvider("together", togetherCandidate);
// It takes whatever the gateway's tests send, and has no rules of its own.
describeProvider("memory", memoryCandidate, [expiryRule, jobRules.fields, jobRules.files]);
