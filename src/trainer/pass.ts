import { createParameters, type Network, type Parameters, vocabularySize } from "./network.ts";

/** How well tokens were predicted. */
export interface Score {
  /** The sum of -ln(probability) of the right tokens. */
  readonly loss: number;
  /** How often the right token was the most likely one. */
  readonly correct: number;
  readonly count: number;
}

/**
 * The memory for computing with one network. What a token in one slot of the context adds to the
 * hidden layer is the same at every place of the text, so it is computed once, as a row, and its
 * gradient is collected in one. A text has many places but few different bytes: training is several
 * times faster than with one product for each place and slot.
 */
export interface Pass {
  readonly network: Network;
  readonly gradients: Parameters;
  /** [slot][token][hidden], valid where `rowPass` holds `number`. */
  readonly rows: Float64Array;
  readonly rowGradients: Float64Array;
  readonly rowPass: Uint32Array;
  /** The valid rows, by index in `rowPass`. */
  readonly usedRows: number[];
  /** Four places are computed together, so that each weight is read once for all four. */
  readonly lanes: readonly [Lane, Lane, Lane, Lane];
  number: number;
}

/** The values of one place. */
interface Lane {
  readonly hidden: Float64Array;
  readonly hiddenGradient: Float64Array;
  readonly logits: Float64Array;
  readonly logitGradient: Float64Array;
}

/** Memory for `network`; `beginPass` must follow each change of the network's parameters. */
export function createPass(network: Network): Pass {
  const { context, hidden } = network.shape;
  const rowCount = context * vocabularySize;
  return {
    network,
    gradients: createParameters(network.shape),
    rows: new Float64Array(rowCount * hidden),
    rowGradients: new Float64Array(rowCount * hidden),
    rowPass: new Uint32Array(rowCount),
    usedRows: [],
    lanes: [createLane(hidden), createLane(hidden), createLane(hidden), createLane(hidden)],
    number: 1,
  };
}

/** Forgets the gradients and all that was computed with other parameters. */
export function beginPass(pass: Pass): void {
  pass.number += 1;
  pass.usedRows.length = 0;
  pass.gradients.all.fill(0);
}

/** Predicts each of `tokens` but the first ones, which are as many as the context is long. */
export function scoreTokens(pass: Pass, tokens: Uint16Array): Score {
  return predict(pass, tokens, 0);
}

/** Scores `tokens` and adds the gradients of `scale` × loss, complete after `finishGradients`. */
export function trainTokens(pass: Pass, tokens: Uint16Array, scale: number): Score {
  return predict(pass, tokens, scale);
}

/** Turns the gradients of the rows into those of the embeddings and hidden weights. */
export function finishGradients(pass: Pass): void {
  const { embedding: width, hidden: size } = pass.network.shape;
  const { embedding, hiddenWeight } = pass.network.parameters;
  const { embedding: embeddingGradient, hiddenWeight: weightGradient } = pass.gradients;
  const { rowGradients } = pass;
  for (const row of pass.usedRows) {
    const start = row * size;
    const token = (row % vocabularySize) * width;
    const slot = Math.floor(row / vocabularySize) * width;
    for (let column = 0; column < width; column += 1) {
      const factor = embedding[token + column] ?? 0;
      let weight = (slot + column) * size;
      let sum = 0;
      for (let index = start; index < start + size; index += 1) {
        const gradient = rowGradients[index] ?? 0;
        weightGradient[weight] = (weightGradient[weight] ?? 0) + factor * gradient;
        sum += (hiddenWeight[weight] ?? 0) * gradient;
        weight += 1;
      }
      embeddingGradient[token + column] = (embeddingGradient[token + column] ?? 0) + sum;
    }
  }
}

function createLane(hidden: number): Lane {
  return {
    hidden: new Float64Array(hidden),
    hiddenGradient: new Float64Array(hidden),
    logits: new Float64Array(vocabularySize),
    logitGradient: new Float64Array(vocabularySize),
  };
}

function predict(pass: Pass, tokens: Uint16Array, scale: number): Score {
  const { lanes } = pass;
  const { context } = pass.network.shape;
  let loss = 0;
  let correct = 0;
  for (let first = context; first < tokens.length; first += lanes.length) {
    const targets = tokens.subarray(first, first + lanes.length);
    for (const [index, lane] of lanes.entries()) {
      if (index < targets.length) fillHidden(pass, lane, tokens, first + index);
      else lane.logitGradient.fill(0);
    }
    fillLogits(pass);
    for (const [index, target] of targets.entries()) {
      const lane = lanes[index];
      if (lane === undefined) continue;
      const best = findLargest(lane.logits);
      loss += takeLoss(lane, target, lane.logits[best] ?? 0, scale);
      if (best === target) correct += 1;
    }
    if (scale === 0) continue;
    spreadLogits(pass);
    for (const [index, lane] of lanes.entries()) {
      if (index < targets.length) spreadHidden(pass, lane, tokens, first + index);
    }
  }
  return { loss, correct, count: tokens.length - context };
}

/** Computes the hidden values for the place of a token from those before it. */
function fillHidden(pass: Pass, { hidden }: Lane, tokens: Uint16Array, place: number): void {
  const { context, hidden: size } = pass.network.shape;
  const { rows, rowPass } = pass;
  hidden.set(pass.network.parameters.hiddenBias);
  for (let slot = 0; slot < context; slot += 1) {
    const row = slot * vocabularySize + (tokens[place - context + slot] ?? 0);
    if (rowPass[row] !== pass.number) fillRow(pass, row);
    const start = row * size;
    for (let index = 0; index < size; index += 1) {
      hidden[index] = (hidden[index] ?? 0) + (rows[start + index] ?? 0);
    }
  }
  for (let index = 0; index < size; index += 1) hidden[index] = Math.tanh(hidden[index] ?? 0);
}

function fillRow(pass: Pass, row: number): void {
  const { embedding: width, hidden: size } = pass.network.shape;
  const { embedding, hiddenWeight } = pass.network.parameters;
  const { rows } = pass;
  const start = row * size;
  const token = (row % vocabularySize) * width;
  const slot = Math.floor(row / vocabularySize) * width;
  rows.fill(0, start, start + size);
  for (let column = 0; column < width; column += 1) {
    const factor = embedding[token + column] ?? 0;
    let weight = (slot + column) * size;
    for (let index = start; index < start + size; index += 1) {
      rows[index] = (rows[index] ?? 0) + factor * (hiddenWeight[weight] ?? 0);
      weight += 1;
    }
  }
  pass.rowGradients.fill(0, start, start + size);
  pass.rowPass[row] = pass.number;
  pass.usedRows.push(row);
}

function fillLogits(pass: Pass): void {
  const size = pass.network.shape.hidden;
  const { outputWeight, outputBias } = pass.network.parameters;
  const [a, b, c, d] = pass.lanes;
  for (let token = 0; token < vocabularySize; token += 1) {
    const start = token * size;
    const bias = outputBias[token] ?? 0;
    let sumA = bias;
    let sumB = bias;
    let sumC = bias;
    let sumD = bias;
    for (let index = 0; index < size; index += 1) {
      const weight = outputWeight[start + index] ?? 0;
      sumA += weight * (a.hidden[index] ?? 0);
      sumB += weight * (b.hidden[index] ?? 0);
      sumC += weight * (c.hidden[index] ?? 0);
      sumD += weight * (d.hidden[index] ?? 0);
    }
    a.logits[token] = sumA;
    b.logits[token] = sumB;
    c.logits[token] = sumC;
    d.logits[token] = sumD;
  }
}

function findLargest(values: Float64Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  }
  return best;
}

/** The loss -ln(softmax(logits)[target]); fills in its gradient × `scale`. */
function takeLoss(lane: Lane, target: number, largest: number, scale: number): number {
  const { logits, logitGradient } = lane;
  let sum = 0;
  for (let token = 0; token < vocabularySize; token += 1) {
    // Less the largest one, so that no power overflows.
    const power = Math.exp((logits[token] ?? 0) - largest);
    logitGradient[token] = power;
    sum += power;
  }
  const factor = scale / sum;
  for (let token = 0; token < vocabularySize; token += 1) {
    logitGradient[token] = (logitGradient[token] ?? 0) * factor;
  }
  logitGradient[target] = (logitGradient[target] ?? 0) - scale;
  return Math.log(sum) + largest - (logits[target] ?? 0);
}

/** Adds the gradients of the output layer and fills in those of the hidden values. */
function spreadLogits(pass: Pass): void {
  const size = pass.network.shape.hidden;
  const { outputWeight } = pass.network.parameters;
  const { outputWeight: weightGradient, outputBias: biasGradient } = pass.gradients;
  const [a, b, c, d] = pass.lanes;
  for (const lane of pass.lanes) lane.hiddenGradient.fill(0);
  for (let token = 0; token < vocabularySize; token += 1) {
    const stepA = a.logitGradient[token] ?? 0;
    const stepB = b.logitGradient[token] ?? 0;
    const stepC = c.logitGradient[token] ?? 0;
    const stepD = d.logitGradient[token] ?? 0;
    const start = token * size;
    biasGradient[token] = (biasGradient[token] ?? 0) + stepA + stepB + stepC + stepD;
    for (let index = 0; index < size; index += 1) {
      const weight = outputWeight[start + index] ?? 0;
      weightGradient[start + index] =
        (weightGradient[start + index] ?? 0) +
        stepA * (a.hidden[index] ?? 0) +
        stepB * (b.hidden[index] ?? 0) +
        stepC * (c.hidden[index] ?? 0) +
        stepD * (d.hidden[index] ?? 0);
      a.hiddenGradient[index] = (a.hiddenGradient[index] ?? 0) + stepA * weight;
      b.hiddenGradient[index] = (b.hiddenGradient[index] ?? 0) + stepB * weight;
      c.hiddenGradient[index] = (c.hiddenGradient[index] ?? 0) + stepC * weight;
      d.hiddenGradient[index] = (d.hiddenGradient[index] ?? 0) + stepD * weight;
    }
  }
}

/** Adds the gradients of the hidden layer's bias and of the rows that made up its values. */
function spreadHidden(pass: Pass, lane: Lane, tokens: Uint16Array, place: number): void {
  const { context, hidden: size } = pass.network.shape;
  const { rowGradients } = pass;
  const { hiddenBias } = pass.gradients;
  const { hidden, hiddenGradient } = lane;
  for (let index = 0; index < size; index += 1) {
    const value = hidden[index] ?? 0;
    const gradient = (hiddenGradient[index] ?? 0) * (1 - value * value);
    hiddenGradient[index] = gradient;
    hiddenBias[index] = (hiddenBias[index] ?? 0) + gradient;
  }
  for (let slot = 0; slot < context; slot += 1) {
    const start = (slot * vocabularySize + (tokens[place - context + slot] ?? 0)) * size;
    for (let index = 0; index < size; index += 1) {
      rowGradients[start + index] =
        (rowGradients[start + index] ?? 0) + (hiddenGradient[index] ?? 0);
    }
  }
}
