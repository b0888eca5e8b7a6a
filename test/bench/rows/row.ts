import type { Client } from "../client.ts";
import type { Figures, MetricName } from "../metrics.ts";
import type { Route, RunningTarget } from "../targets/target.ts";

/** Something to measure. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly route: Route;
  /** The figures that the short table shows; the long one shows all. */
  readonly headline: readonly MetricName[];
  /** Measured for all targets at once, because it is the upstream that sets the pace. */
  readonly together?: boolean;
  /** Throws where an answer is wrong. */
  readonly measure: (subject: Subject) => Promise<Figures>;
  /** Throws where other bytes arrive than were sent; takes longer than measuring. */
  readonly verify?: (subject: Subject) => Promise<void>;
}

/** What a row is measured with. */
export interface Subject {
  readonly target: RunningTarget;
  readonly client: Client;
  /** The target's memory before it had much to do, in bytes. */
  readonly idleBytes: number;
  readonly effort: Effort;
}

/** How long one figure may take, in seconds. */
export interface Effort {
  readonly warmUpSeconds: number;
  readonly seconds: number;
}
