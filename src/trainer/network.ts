/** 256 bytes, and the end of a message as the last one. */
export const vocabularySize = 257;

/** The token that ends every message, and stands for all that is before a conversation. */
export const endOfMessage = 256;

/** The sizes of a network. */
export interface Shape {
  /** Tokens that the network sees before the one it predicts. */
  readonly context: number;
  /** Numbers that stand for one token. */
  readonly embedding: number;
  readonly hidden: number;
}

/** The arrays of one network, or of the gradients for it; all are views of `all`. */
export interface Parameters {
  readonly all: Float32Array<ArrayBuffer>;
  /** `embedding.weight` and the others below, as `describeTensors` gives their dimensions. */
  readonly embedding: Float32Array<ArrayBuffer>;
  readonly hiddenWeight: Float32Array<ArrayBuffer>;
  readonly hiddenBias: Float32Array<ArrayBuffer>;
  readonly outputWeight: Float32Array<ArrayBuffer>;
  readonly outputBias: Float32Array<ArrayBuffer>;
}

/**
 * A language model of bytes: with `c` the tokens before a place, oldest first,
 * `hidden = tanh(hiddenBias + Σ hiddenWeight[slot] · embedding[c[slot]])` and the next token's
 * probabilities are `softmax(outputBias + outputWeight · hidden)`.
 */
export interface Network {
  readonly shape: Shape;
  readonly parameters: Parameters;
}

/** The dimensions of each tensor by its name, in the order in which `Parameters.all` holds them. */
export function describeTensors({ context, embedding, hidden }: Shape) {
  return {
    "embedding.weight": [vocabularySize, embedding],
    "hidden.weight": [context, embedding, hidden],
    "hidden.bias": [hidden],
    "output.weight": [vocabularySize, hidden],
    "output.bias": [vocabularySize],
  } as const;
}

/** The number of values in a tensor of such dimensions. */
export function countValues(dimensions: readonly number[]): number {
  return dimensions.reduce((product, size) => product * size, 1);
}

/** Parameters for `shape`, all zero. */
export function createParameters(shape: Shape): Parameters {
  const tensors = describeTensors(shape);
  const sizes = Object.values(tensors).map(countValues);
  const all = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  let offset = 0;
  const take = (name: keyof typeof tensors) => {
    const start = offset;
    offset += countValues(tensors[name]);
    return all.subarray(start, offset);
  };
  return {
    all,
    embedding: take("embedding.weight"),
    hiddenWeight: take("hidden.weight"),
    hiddenBias: take("hidden.bias"),
    outputWeight: take("output.weight"),
    outputBias: take("output.bias"),
  };
}

/**
 * A network that knows nothing: its output weights are zero, so that every token is equally likely
 * and the loss is ln(257). `random` gives numbers in [0, 1).
 */
export function createNetwork(shape: Shape, random: () => number): Network {
  const parameters = createParameters(shape);
  fillUniform(parameters.embedding, 1, random);
  // A sum of context × embedding products of variance 1/3 each then has a variance near 1.
  fillUniform(parameters.hiddenWeight, 3 / Math.sqrt(shape.context * shape.embedding), random);
  return { shape, parameters };
}

function fillUniform(values: Float32Array, bound: number, random: () => number): void {
  for (let index = 0; index < values.length; index += 1) {
    values[index] = (2 * random() - 1) * bound;
  }
}
