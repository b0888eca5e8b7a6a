import { endOfMessage, type Network, vocabularySize } from "../../src/trainer/network.ts";

/**
 * The probabilities of the token after `before` by the formula in the docstring of `Network`,
 * written without any of the shortcuts of the trainer.
 */
export function computeProbabilities(network: Network, before: readonly number[]): number[] {
  const { context, embedding: width, hidden: size } = network.shape;
  const { embedding, hiddenWeight, hiddenBias, outputWeight, outputBias } = network.parameters;
  const seen = before.slice(-context);
  const hidden = Array.from({ length: size }, (_, unit) => {
    let sum = hiddenBias[unit] ?? 0;
    for (const [slot, token] of seen.entries()) {
      for (let column = 0; column < width; column += 1) {
        sum +=
          (embedding[token * width + column] ?? 0) *
          (hiddenWeight[(slot * width + column) * size + unit] ?? 0);
      }
    }
    return Math.tanh(sum);
  });
  const powers = Array.from({ length: vocabularySize }, (_, token) => {
    const sum = hidden.reduce(
      (total, value, unit) => total + value * (outputWeight[token * size + unit] ?? 0),
      outputBias[token] ?? 0,
    );
    return Math.exp(sum);
  });
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** The sum of -ln(probability) of all `tokens` but the first ones, which are the context. */
export function computeLoss(network: Network, tokens: readonly number[]): number {
  let loss = 0;
  for (let place = network.shape.context; place < tokens.length; place += 1) {
    const probabilities = computeProbabilities(network, tokens.slice(0, place));
    loss -= Math.log(probabilities[tokens[place] ?? 0] ?? 0);
  }
  return loss;
}

/** The most likely answer of `network` to a question of a user. */
export function generateAnswer(network: Network, question: string): string {
  const encoder = new TextEncoder();
  const tokens: number[] = new Array(network.shape.context).fill(endOfMessage);
  tokens.push(...encoder.encode(`user: ${question}`), endOfMessage);
  tokens.push(...encoder.encode("assistant: "));
  const answer: number[] = [];
  while (answer.length < 200) {
    const probabilities = computeProbabilities(network, [...tokens, ...answer]);
    const best = probabilities.indexOf(Math.max(...probabilities));
    if (best === endOfMessage) break;
    answer.push(best);
  }
  return new TextDecoder().decode(new Uint8Array(answer));
}
