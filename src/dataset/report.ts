/** What one line of a dataset is, by its keys. */
export type DatasetFormat =
  | "chat"
  | "preference"
  | "reinforcement"
  | "gemini_chat"
  | "gemini_preference"
  | "gemini_reinforcement";

/** Something wrong or odd in a dataset. */
export interface Finding {
  /** 1-based; blank lines count. Null for the file as a whole. */
  readonly line: number | null;
  /** Where in the line's object, such as `messages[2].content`; empty for all of it. */
  readonly path: string;
  /** A word for programs, such as `message_missing_key`. */
  readonly code: string;
  /** A sentence for people, which shows no more than 40 characters of the dataset. */
  readonly message: string;
}

/** Findings of one kind. */
export interface Findings {
  readonly count: number;
  /** The first 100, in the order of the file. */
  readonly first: readonly Finding[];
}

/** A line by its length in tokens. */
export interface LongLine {
  readonly line: number;
  readonly tokens: number;
}

/** The tokens of a dataset. */
export interface TokenReport {
  /** The figures are there only when it is `done`. */
  readonly status: "counting" | "done" | "failed";
  /** The encoding, such as `o200k_base`. */
  readonly tokenizer: string;
  /** Whether the model's own tokenizer is another one, so that the figures are near the truth. */
  readonly estimated: boolean;
  /** What the service takes of one example; null where it is not known. */
  readonly limit: number | null;
  readonly total?: number;
  /** What is trained on: each example up to `limit`. */
  readonly billable?: number;
  readonly max?: number;
  readonly mean?: number;
  /** Examples with more than `limit`. */
  readonly over_limit?: number;
  /** Images and other parts that are no text, whose cost is not published. */
  readonly media_not_counted?: number;
  /** The ten longest, the longest first. */
  readonly longest?: readonly LongLine[];
}

/** All that can be said of a dataset without training on it. */
export interface DatasetReport {
  /** Null where no line could be understood. */
  readonly format: DatasetFormat | null;
  readonly bytes: number;
  /** Lines that are not blank. */
  readonly examples: number;
  readonly errors: Findings;
  readonly warnings: Findings;
  /** Messages by role, over all examples. */
  readonly messages: Readonly<Record<string, number>>;
  readonly images: number;
  /** Examples with tools. */
  readonly tool_examples: number;
  /** Examples that are a repetition of an earlier one. */
  readonly duplicates: number;
  readonly tokens: TokenReport | null;
}
