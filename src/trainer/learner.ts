import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { type Adam, applyGradients, createAdam } from "./adam.ts";
import type { Example } from "./conversation.ts";
import { createNetwork, type Network, type Shape } from "./network.ts";
import {
  beginPass,
  createPass,
  finishGradients,
  type Pass,
  type Score,
  scoreTokens,
  trainTokens,
} from "./pass.ts";

/** The size of tiny-lm: 66,001 parameters, small enough for seconds on one core. */
export const tinyShape: Shape = { context: 24, embedding: 16, hidden: 96 };

/** A network while it learns. */
export interface Learner {
  readonly network: Network;
  readonly pass: Pass;
  readonly adam: Adam;
  readonly learningRate: number;
}

/** Adam's step at a learning rate multiplier of 1, found by trying on files of 10 to 30 examples. */
const baseLearningRate = 0.01;

const nothing: Score = { loss: 0, correct: 0, count: 0 };

/** A learner whose network starts from weights drawn from `random`. */
export function createLearner(
  shape: Shape,
  learningRateMultiplier: number,
  random: () => number,
): Learner {
  const network = createNetwork(shape, random);
  return {
    network,
    pass: createPass(network),
    adam: createAdam(network.parameters.all.length),
    learningRate: baseLearningRate * learningRateMultiplier,
  };
}

/** One step on the mean loss of all trained tokens of `batch`; the score is that before the step. */
export async function trainBatch(
  learner: Learner,
  batch: readonly Example[],
  signal: AbortSignal,
): Promise<Score> {
  const { pass, network, adam, learningRate } = learner;
  const scale = 1 / batch.reduce((sum, example) => sum + example.trainedTokens, 0);
  const score = await visit(pass, batch, (tokens) => trainTokens(pass, tokens, scale), signal);
  finishGradients(pass);
  applyGradients(adam, network.parameters.all, pass.gradients.all, learningRate);
  return score;
}

/** How well the network predicts the trained tokens of `examples`. */
export function scoreExamples(
  learner: Learner,
  examples: readonly Example[],
  signal: AbortSignal,
): Promise<Score> {
  const { pass } = learner;
  return visit(pass, examples, (tokens) => scoreTokens(pass, tokens), signal);
}

async function visit(
  pass: Pass,
  examples: readonly Example[],
  compute: (tokens: Uint16Array) => Score,
  signal: AbortSignal,
): Promise<Score> {
  beginPass(pass);
  let total = nothing;
  for (const example of examples) {
    // Signals of the operating system are delivered only when the event loop runs.
    await yieldToEventLoop();
    signal.throwIfAborted();
    for (const tokens of example.answers) {
      const { loss, correct, count } = compute(tokens);
      total = {
        loss: total.loss + loss,
        correct: total.correct + correct,
        count: total.count + count,
      };
    }
  }
  return total;
}
