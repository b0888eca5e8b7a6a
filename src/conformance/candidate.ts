import type { Backend, Provider } from "../provider.ts";

/** The names of the contract's methods. */
export type Method = {
  [Name in keyof Backend]-?: Required<Backend>[Name] extends (...words: never[]) => unknown
    ? Name
    : never;
}[keyof Backend];

/** The methods that a provider may leave out. */
export type OptionalMethod = Exclude<Method, "uploadFile" | "createJob" | "cancelJob" | "listJobs">;

/** A provider that is to be checked. */
export interface Candidate {
  readonly provider: Provider;
  /** The optional methods that its backends have; others they must not have. */
  readonly methods: readonly OptionalMethod[];
  /** Whether it calls a service over HTTP at an address that its options name. */
  readonly remote: boolean;
  /** Starts what the provider needs; `directory` is where its backend may keep things. */
  start(directory: string): Promise<Service>;
}

/** What a backend is made for: a service, or a fake of one, that is up and empty. */
export interface Service {
  readonly options: unknown;
  /** Options that send every call to `url` and give it up after `timeout` seconds; if remote. */
  redirect?(url: string, timeout: number): unknown;
  /** A training file that the service takes. */
  readonly sample: { readonly content: Uint8Array; readonly filename: string };
  /** A model that can be tuned. */
  readonly model: string;
  /** JSON that answers no call of the service, for its fields are of wrong types. */
  readonly mistyped: string;
  /** The texts that no message and no line of the log may hold. */
  listSecrets(): readonly string[];
  /** Makes a job run that was created, where that takes help. */
  runJob?(id: string): void;
  /** Makes a job succeed with at least two checkpoints, if it has checkpoints. */
  finishJob?(id: string): void;
  stop(): Promise<void>;
}
