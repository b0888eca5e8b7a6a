import * as v from "valibot";
import type { FakeAnswer, FakeRequest } from "../server.ts";
import { answerJson, checkQuery, Refusal, readJson } from "./answers.ts";

const StringCheck = v.strictObject({
  type: v.literal("string_check"),
  name: v.string(),
  input: v.string(),
  reference: v.string(),
  operation: v.picklist(["eq", "ne", "like", "ilike"]),
});

/** A grader: one kind is read whole, the others by what they all have. */
export const GraderSchema = v.union([
  StringCheck,
  v.looseObject({
    type: v.picklist(["text_similarity", "python", "score_model", "multi"]),
    name: v.string(),
  }),
]);

const RunSchema = v.strictObject({
  grader: GraderSchema,
  model_sample: v.string(),
  item: v.optional(v.looseObject({})),
});

/** `POST /fine_tuning/alpha/graders/run` and `…/validate`; others are undefined. */
export function answerGrader(request: FakeRequest, action: string): FakeAnswer | undefined {
  if (request.method !== "POST") return undefined;
  checkQuery(request, []);
  if (action === "validate") {
    return answerJson(readJson(request, v.strictObject({ grader: GraderSchema })));
  }
  return action === "run" ? runGrader(request) : undefined;
}

function runGrader(request: FakeRequest): FakeAnswer {
  const { grader, model_sample: sample } = readJson(request, RunSchema);
  if (grader.type !== "string_check") {
    throw new Refusal(400, "fake: only string_check graders run here", { param: "grader.type" });
  }
  const reward = sample === grader.reference ? 1 : 0;
  const errors = {
    formula_parse_error: false,
    sample_parse_error: false,
    truncated_observation_error: false,
    unresponsive_reward_error: false,
    invalid_variable_error: false,
    other_error: false,
    python_grader_server_error: false,
    python_grader_server_error_type: null,
    python_grader_runtime_error: false,
    python_grader_runtime_error_details: null,
    model_grader_server_error: false,
    model_grader_refusal_error: false,
    model_grader_parse_error: false,
    model_grader_server_error_details: null,
  };
  return answerJson({
    reward,
    metadata: {
      name: grader.name,
      type: grader.type,
      errors,
      execution_time: 0.1,
      scores: {},
      token_usage: null,
      sampled_model_name: null,
    },
    sub_rewards: {},
    model_grader_token_usage_per_model: {},
  });
}
