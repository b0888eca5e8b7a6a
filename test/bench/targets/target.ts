import type { Layout, RunningProcess } from "../processes.ts";

/** A way from the client to the upstream that is measured. */
export interface Target {
  /** Also the name of its column. */
  readonly name: string;
  /** What it can do at all; what is not named is not asked of it. */
  readonly routes: readonly Route[];
  /** Gets it ready, over the network if need be; returns its version. */
  readonly install: (ground: Ground) => Promise<string>;
  readonly start: (place: Place) => Promise<RunningTarget>;
}

/** What a row asks for. */
export type Route =
  | "file"
  | "job"
  | "create job"
  | "list jobs"
  | "upload"
  | "download"
  | "start"
  | "size"
  | "dataset";

/** What the upstream itself can do. */
export const upstreamRoutes: readonly Route[] = [
  "file",
  "job",
  "create job",
  "list jobs",
  "upload",
  "download",
];

/** Where a target is installed. */
export interface Ground {
  /** An empty directory of its own. */
  readonly directory: string;
  /** Where what was installed once stays. */
  readonly cache: string;
  readonly layout: Layout;
}

/** Where a target runs. */
export interface Place extends Ground {
  /** The upstream, such as `http://127.0.0.1:5000`. */
  readonly upstream: string;
}

/** A target that has been started, though it may not answer yet. */
export interface RunningTarget {
  /** `/v1/…` is below it. */
  readonly url: string;
  /** What each request has to carry. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent with uploads too. */
  readonly uploadHeaders?: Readonly<Record<string, string>>;
  /** Absent where there is nothing between client and upstream. */
  readonly process: RunningProcess | undefined;
  /** The program, where it is one file. */
  readonly executable?: string;
  stop(): Promise<void>;
}

/** A target that is one process. */
export function runTarget(
  url: string,
  headers: Readonly<Record<string, string>>,
  process: RunningProcess,
): RunningTarget {
  return { url, headers, process, stop: process.stop };
}
