const firstDecay = 0.9;
const secondDecay = 0.999;
const epsilon = 1e-8;

/** What the optimizer remembers of the gradients of `n` parameters. */
export interface Adam {
  readonly first: Float32Array;
  readonly second: Float32Array;
  steps: number;
}

/** An optimizer that has seen no gradient yet. */
export function createAdam(size: number): Adam {
  return { first: new Float32Array(size), second: new Float32Array(size), steps: 0 };
}

/** One step of Adam (Kingma and Ba, 2015) with their constants, changing `parameters` in place. */
export function applyGradients(
  adam: Adam,
  parameters: Float32Array,
  gradients: Float32Array,
  learningRate: number,
): void {
  const { first, second } = adam;
  adam.steps += 1;
  const firstShare = 1 - firstDecay ** adam.steps;
  const secondShare = 1 - secondDecay ** adam.steps;
  for (let index = 0; index < parameters.length; index += 1) {
    const gradient = gradients[index] ?? 0;
    const mean = firstDecay * (first[index] ?? 0) + (1 - firstDecay) * gradient;
    const square = secondDecay * (second[index] ?? 0) + (1 - secondDecay) * gradient * gradient;
    first[index] = mean;
    second[index] = square;
    const step = mean / firstShare / (Math.sqrt(square / secondShare) + epsilon);
    parameters[index] = (parameters[index] ?? 0) - learningRate * step;
  }
}
