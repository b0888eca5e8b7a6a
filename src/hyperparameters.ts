/** What a client may ask for; an absent value means `"auto"`. */
export interface RequestedHyperparameters {
  readonly n_epochs?: "auto" | number | undefined;
  readonly batch_size?: "auto" | number | undefined;
  readonly learning_rate_multiplier?: "auto" | number | undefined;
}

/** What a trainer works with. */
export interface Hyperparameters {
  readonly n_epochs: number;
  /** Examples a step. */
  readonly batch_size: number;
  readonly learning_rate_multiplier: number;
}

/** The figures of the notebook "Data preparation and analysis for chat model fine-tuning". */
const targetEpochs = 3;
const minimumEpochs = 1;
const maximumEpochs = 25;
const minimumExamples = 100;
const maximumExamples = 25_000;

/** OpenAI's API reference of the legacy fine-tunes: "~0.2% of the number of examples". */
const batchShare = 0.002;
const maximumBatchSize = 256;

/**
 * Fills in `"auto"` for a training file of `examples` lines, the epochs as OpenAI's cookbook does:
 * three, more for a small file and fewer for a large one. Numbers are taken as they are.
 */
export function resolveHyperparameters(
  requested: RequestedHyperparameters,
  examples: number,
): Hyperparameters {
  const { n_epochs, batch_size, learning_rate_multiplier } = requested;
  return {
    n_epochs: typeof n_epochs === "number" ? n_epochs : chooseEpochs(examples),
    batch_size: typeof batch_size === "number" ? batch_size : chooseBatchSize(examples),
    learning_rate_multiplier:
      typeof learning_rate_multiplier === "number" ? learning_rate_multiplier : 1,
  };
}

function chooseEpochs(examples: number): number {
  if (examples * targetEpochs < minimumExamples) {
    return Math.min(maximumEpochs, Math.floor(minimumExamples / examples));
  }
  if (examples * targetEpochs > maximumExamples) {
    return Math.max(minimumEpochs, Math.floor(maximumExamples / examples));
  }
  return targetEpochs;
}

function chooseBatchSize(examples: number): number {
  return Math.min(maximumBatchSize, Math.max(1, Math.round(examples * batchShare)));
}
