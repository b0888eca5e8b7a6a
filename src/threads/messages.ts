/** What a thread is sent: one task at a time, and perhaps the wish that it ends. */
export type Order = { readonly task: string; readonly input: unknown } | { readonly abort: true };

/** What a thread answers: any number of times how far it is, then once how the task has ended. */
export type Answer =
  | { readonly progress: number }
  | { readonly result: unknown }
  | { readonly failure: Failure };

/** An error as text, because of an error object only a part can be sent. */
export interface Failure {
  readonly message: string;
  readonly stack: string | undefined;
}

/**
 * What a thread can do. Input and result are sent between threads: a Blob of a file goes as its
 * path, one in memory is copied. Once `signal` is aborted, a task that ends soon spares its thread.
 */
export type Task<Input, Result> = (
  input: Input,
  onProgress: (amount: number) => void,
  signal: AbortSignal,
) => Promise<Result>;
