/** OpenAI's metrics of a step; losses are nats a token, accuracies shares of 1. */
export interface Metrics {
  readonly step: number;
  readonly train_loss: number;
  readonly train_mean_token_accuracy: number;
  /** Of some validation examples; absent without a validation file. */
  readonly valid_loss?: number;
  readonly valid_mean_token_accuracy?: number;
  /** Of all validation examples, at the end of an epoch. */
  readonly full_valid_loss?: number;
  readonly full_valid_mean_token_accuracy?: number;
}

/** One line of a trainer's output, as JSON: the second half of the protocol. */
export type TrainerEvent =
  | ({ readonly type: "metrics"; readonly total_steps: number } & Metrics)
  | { readonly type: "message"; readonly level: "info" | "warn"; readonly message: string }
  | {
      readonly type: "checkpoint";
      readonly step: number;
      /** Absolute path of the weights. */
      readonly path: string;
      readonly metrics: Metrics;
    }
  | {
      readonly type: "result";
      /** Tokens trained on, counted once for each epoch. */
      readonly trained_tokens: number;
      /** Absolute path of the weights. */
      readonly model: string;
    };
