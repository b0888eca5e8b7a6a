import { describe, expect, test } from "bun:test";
import { ApiError } from "../src/errors.ts";
import { checkJobRequest, formatMethod } from "../src/job-request.ts";
import type { Fields, JobRequest } from "../src/provider.ts";

function makeRequest(fields: Fields): JobRequest {
  return { model: "m", training_file: "file-a", ...fields };
}

function refuse(fields: Fields): { param: string | null; message: string } {
  try {
    checkJobRequest(makeRequest(fields));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    expect(error.status).toBe(400);
    expect(error.type).toBe("invalid_request_error");
    return { param: error.param, message: error.message };
  }
  throw new Error(`Nothing was wrong with ${JSON.stringify(fields)}`);
}

const supervised = (hyperparameters: Fields) => ({
  method: { type: "supervised", supervised: { hyperparameters } },
});
const dpo = (hyperparameters: Fields) => ({ method: { type: "dpo", dpo: { hyperparameters } } });
const grader = { type: "string_check", name: "g", input: "a", reference: "b", operation: "eq" };
const reinforcement = (hyperparameters: Fields) => ({
  method: { type: "reinforcement", reinforcement: { grader, hyperparameters } },
});

describe("checkJobRequest()", () => {
  test("fills in null for what was not said, and the supervised method", () => {
    expect(checkJobRequest(makeRequest({}))).toEqual({
      model: "m",
      training_file: "file-a",
      validation_file: null,
      suffix: null,
      seed: null,
      method: { type: "supervised", hyperparameters: {} },
      integrations: [],
      metadata: null,
    });
  });

  test("keeps every field within OpenAI's ranges, the bounds included", () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`${index}`.padEnd(64, "k"), "v".repeat(512)]),
    );
    const checked = checkJobRequest(
      makeRequest({
        validation_file: "file-b",
        suffix: "😀".repeat(64),
        seed: 2147483647,
        metadata,
        integrations: [{ type: "wandb", wandb: { project: "p" } }],
        ...supervised({ n_epochs: 50, batch_size: 256, learning_rate_multiplier: 0.0001 }),
      }),
    );
    expect(checked.suffix).toBe("😀".repeat(64));
    expect(checked.seed).toBe(2147483647);
    expect(checked.metadata).toEqual(metadata);
    expect(checked.integrations).toEqual([{ type: "wandb", wandb: { project: "p" } }]);
    expect(checked.method.hyperparameters).toEqual({
      n_epochs: 50,
      batch_size: 256,
      learning_rate_multiplier: 0.0001,
    });
  });

  test("takes null for the fields that OpenAI lets be null", () => {
    const nulls = { validation_file: null, suffix: null, seed: null, integrations: null };
    expect(checkJobRequest(makeRequest({ ...nulls, metadata: null }))).toMatchObject({
      ...nulls,
      integrations: [],
      metadata: null,
    });
  });

  test("reads the deprecated hyperparameters beside those of the method, which must not differ", () => {
    const hyperparameters = { n_epochs: 2, batch_size: 8 };
    expect(checkJobRequest(makeRequest({ hyperparameters })).method).toEqual({
      type: "supervised",
      hyperparameters,
    });
    const both = { hyperparameters, ...supervised({ n_epochs: 2, learning_rate_multiplier: 3 }) };
    expect(checkJobRequest(makeRequest(both)).method.hyperparameters).toEqual({
      n_epochs: 2,
      batch_size: 8,
      learning_rate_multiplier: 3,
    });
    const differing = makeRequest({ hyperparameters, ...supervised({ n_epochs: 5 }) });
    expect(() => checkJobRequest(differing)).toThrow(
      'Cannot create job: "hyperparameters.n_epochs" is 2, and "method.supervised.hyperparameters.n_epochs" is 5; give one of them',
    );
  });

  test("reads the hyperparameters of dpo and reinforcement, and the grader", () => {
    expect(checkJobRequest(makeRequest(dpo({ beta: 2, n_epochs: "auto" }))).method).toEqual({
      type: "dpo",
      hyperparameters: { beta: 2, n_epochs: "auto" },
    });
    const hyperparameters = {
      reasoning_effort: "low",
      compute_multiplier: 10,
      eval_interval: 1,
      eval_samples: "auto",
    } as const;
    expect(checkJobRequest(makeRequest(reinforcement(hyperparameters))).method).toEqual({
      type: "reinforcement",
      grader,
      hyperparameters,
    });
  });

  const auto = "method.supervised.hyperparameters";
  test.each<[Fields, string]>([
    [{ model: "" }, "model"],
    [{ model: undefined }, "model"],
    [{ training_file: "" }, "training_file"],
    [{ training_file: undefined }, "training_file"],
    [{ validation_file: 7 }, "validation_file"],
    [{ suffix: "" }, "suffix"],
    [{ suffix: "x".repeat(65) }, "suffix"],
    [{ seed: -1 }, "seed"],
    [{ seed: 1.5 }, "seed"],
    [{ seed: 2147483648 }, "seed"],
    [{ seed: "1" }, "seed"],
    [{ hyperparameters: { n_epochs: 0 } }, "hyperparameters.n_epochs"],
    [{ hyperparameters: { beta: 1 } }, "hyperparameters.beta"],
    [{ hyperparameters: "auto" }, "hyperparameters"],
    [supervised({ n_epochs: 51 }), `${auto}.n_epochs`],
    [supervised({ n_epochs: 2.5 }), `${auto}.n_epochs`],
    [supervised({ n_epochs: "3" }), `${auto}.n_epochs`],
    [supervised({ n_epochs: null }), `${auto}.n_epochs`],
    [supervised({ batch_size: 257 }), `${auto}.batch_size`],
    [supervised({ batch_size: 0 }), `${auto}.batch_size`],
    [supervised({ learning_rate_multiplier: 0 }), `${auto}.learning_rate_multiplier`],
    [
      supervised({ learning_rate_multiplier: Number.POSITIVE_INFINITY }),
      `${auto}.learning_rate_multiplier`,
    ],
    [supervised({ beta: 1 }), `${auto}.beta`],
    [dpo({ beta: 0 }), "method.dpo.hyperparameters.beta"],
    [dpo({ beta: 2.1 }), "method.dpo.hyperparameters.beta"],
    [
      reinforcement({ compute_multiplier: 0.00001 }),
      "method.reinforcement.hyperparameters.compute_multiplier",
    ],
    [reinforcement({ eval_samples: 0 }), "method.reinforcement.hyperparameters.eval_samples"],
    [
      reinforcement({ reasoning_effort: "most" }),
      "method.reinforcement.hyperparameters.reasoning_effort",
    ],
    [{ method: { type: "reinforcement" } }, "method.reinforcement"],
    [{ method: { type: "reinforcement", reinforcement: {} } }, "method.reinforcement.grader"],
    [
      { method: { type: "reinforcement", reinforcement: { grader: { type: "guess" } } } },
      "method.reinforcement.grader.type",
    ],
    [{ method: { type: "rlhf" } }, "method.type"],
    [{ method: {} }, "method.type"],
    [{ method: { type: "supervised", dpo: {} } }, "method.dpo"],
    [{ method: { type: "supervised", extra: 1 } }, "method.extra"],
    [{ integrations: {} }, "integrations"],
    [{ integrations: ["wandb"] }, "integrations.0"],
    [{ integrations: Array(6).fill({}) }, "integrations"],
    [{ metadata: [] }, "metadata"],
    [{ metadata: { key: 1 } }, "metadata.key"],
    [{ metadata: { key: "v".repeat(513) } }, "metadata.key"],
    [{ metadata: { ["k".repeat(65)]: "v" } }, "metadata"],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, "v"])) }, "metadata"],
    [{ prompt_loss_weight: 0.1 }, "prompt_loss_weight"],
    [{ hyperparameters: [] }, "hyperparameters"],
    [{ method: [] }, "method"],
    [{ method: { type: "supervised", supervised: [] } }, "method.supervised"],
    [supervised([] as unknown as Fields), auto],
    [dpo([] as unknown as Fields), "method.dpo.hyperparameters"],
    [
      { method: { type: "reinforcement", reinforcement: { grader: [] } } },
      "method.reinforcement.grader",
    ],
    [
      { method: { type: "reinforcement", reinforcement: { grader, response_format: [] } } },
      "method.reinforcement.response_format",
    ],
    [{ integrations: [[]] }, "integrations.0"],
  ])("refuses %j, naming the field", (fields, param) => {
    const refused = refuse(fields);
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(param);
    expect(refused.message).toStartWith("Cannot create job: ");
  });

  test("says what would work", () => {
    expect(refuse(supervised({ n_epochs: 51 })).message).toBe(
      'Cannot create job: "method.supervised.hyperparameters.n_epochs" must be "auto" or an integer from 1 to 50, not 51',
    );
    expect(refuse({ suffix: "x".repeat(5000) }).message.length).toBeLessThan(200);
  });

  test.each<[Fields, string]>([
    [{ model: "" }, '"model" must be a string that is not empty, not an empty string'],
    [{ model: 7 }, '"model" must be a string, not 7'],
    [{ model: ["m"] }, '"model" must be a string, not a list of 1'],
    [{ suffix: "" }, '"suffix" must be a string of 1 to 64 characters, not an empty string'],
    [
      { suffix: "😀".repeat(100) },
      '"suffix" must be a string of 1 to 64 characters, not a string of 100 characters',
    ],
    [{ seed: "1" }, '"seed" must be an integer from 0 to 2147483647, not "1"'],
    [{ seed: {} }, '"seed" must be an integer from 0 to 2147483647, not an object'],
    [
      { integrations: Array(6).fill({}) },
      '"integrations" must be a list of at most 5, not a list of 6',
    ],
    [{ method: null }, '"method" must be an object, not null'],
    [{ hyperparameters: [] }, '"hyperparameters" must be an object, not an empty list'],
  ])("says of %j what was wrong", (fields, message) => {
    expect(refuse(fields).message).toBe(`Cannot create job: ${message}`);
  });

  test("keeps metadata whose keys are names of JavaScript's own", () => {
    const metadata = JSON.parse('{"constructor":"a","__proto__":"b"}');
    const checked = checkJobRequest(makeRequest({ metadata }));
    expect(JSON.stringify(checked.metadata)).toBe('{"constructor":"a","__proto__":"b"}');
  });
});

describe("formatMethod()", () => {
  test("writes the method as OpenAI does, with other hyperparameters if given", () => {
    const { method } = checkJobRequest(makeRequest(reinforcement({ eval_samples: 3 })));
    expect(formatMethod(method)).toEqual(reinforcement({ eval_samples: 3 }).method);
    expect(formatMethod({ type: "dpo", hyperparameters: {} }, { n_epochs: 4 })).toEqual(
      dpo({ n_epochs: 4 }).method,
    );
  });
});
