import { expect, test } from "bun:test";
import { createNetwork, type Network, vocabularySize } from "../../src/trainer/network.ts";
import {
  beginPass,
  createPass,
  finishGradients,
  scoreTokens,
  trainTokens,
} from "../../src/trainer/pass.ts";
import { createRandom } from "../../src/trainer/random.ts";
import { computeLoss } from "./reference.ts";

/** Of lengths that leave one to four places in the last group; with pairs that come again. */
const texts = ["aaabaaab", "ab", "abcab?", "xyzab\n", "aaaaa"].map((text) => {
  const tokens = [256, 256, 256, ...new TextEncoder().encode(text), 256];
  return new Uint16Array(tokens);
});

/** A small network whose every parameter is drawn, the output's too. */
function createDrawnNetwork(): Network {
  const random = createRandom(5);
  const network = createNetwork({ context: 3, embedding: 2, hidden: 4 }, random);
  const { all } = network.parameters;
  for (let index = 0; index < all.length; index += 1) all[index] = random() * 2 - 1;
  return network;
}

test("scoreTokens() gives the loss of the formula", () => {
  const network = createDrawnNetwork();
  const pass = createPass(network);
  for (const tokens of texts) {
    const score = scoreTokens(pass, tokens);
    expect(score.loss).toBeCloseTo(computeLoss(network, [...tokens]), 10);
    expect(score.count).toBe(tokens.length - 3);
  }
});

test("scoreTokens() is ln(257) a token before anything is learned, and sees changed weights after beginPass()", () => {
  const network = createNetwork({ context: 3, embedding: 2, hidden: 4 }, createRandom(1));
  const pass = createPass(network);
  const [tokens = new Uint16Array()] = texts;
  const before = scoreTokens(pass, tokens);
  expect(before.loss / before.count).toBeCloseTo(Math.log(vocabularySize), 12);
  network.parameters.outputBias[97] = 3;
  network.parameters.embedding.fill(0.5);
  network.parameters.outputWeight.fill(0.25, 0, 4);
  beginPass(pass);
  expect(scoreTokens(pass, tokens).loss).toBeCloseTo(computeLoss(network, [...tokens]), 10);
});

test("the gradients of the backward pass agree with finite differences, for every parameter", () => {
  const network = createDrawnNetwork();
  const pass = createPass(network);
  const scale = 0.3;
  for (const tokens of texts) trainTokens(pass, tokens, scale);
  finishGradients(pass);
  const gradients = Float32Array.from(pass.gradients.all);
  const { all } = network.parameters;
  const computeScaledLoss = () => {
    beginPass(pass);
    return texts.reduce((sum, tokens) => sum + scale * scoreTokens(pass, tokens).loss, 0);
  };
  let largest = 0;
  for (let index = 0; index < all.length; index += 1) {
    const value = all[index] ?? 0;
    all[index] = value + 1e-3;
    const above = { loss: computeScaledLoss(), value: all[index] ?? 0 };
    all[index] = value - 1e-3;
    const below = { loss: computeScaledLoss(), value: all[index] ?? 0 };
    all[index] = value;
    const expected = (above.loss - below.loss) / (above.value - below.value);
    largest = Math.max(largest, Math.abs(expected));
    expect(Math.abs((gradients[index] ?? 0) - expected)).toBeLessThan(1e-5);
  }
  expect(largest).toBeGreaterThan(1);
});

test("beginPass() clears the gradients of the pass before", () => {
  const pass = createPass(createDrawnNetwork());
  const [tokens = new Uint16Array()] = texts;
  const collect = () => {
    beginPass(pass);
    trainTokens(pass, tokens, 1);
    finishGradients(pass);
    return Float32Array.from(pass.gradients.all);
  };
  expect(collect()).toEqual(collect());
});
