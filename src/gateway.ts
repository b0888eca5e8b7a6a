import type { Backends } from "./backends.ts";
import type { Pricing } from "./cost/prices.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { Log } from "./log.ts";
import type { Reports } from "./reports.ts";

/** What every handler works with; made once at start. */
export interface Gateway {
  readonly backends: Backends;
  readonly ledger: Ledger;
  readonly log: Log;
  readonly settings: GatewaySettings;
  readonly pricing: Pricing;
  /** What is known of the datasets that were uploaded. */
  readonly reports: Reports;
  /** Aborted when the shutdown deadline has passed: ends what must outlive its client. */
  readonly stopping: AbortSignal;
}

/** Limits and secrets of a gateway. */
export interface GatewaySettings {
  /** Absent: no key is asked for, and only this machine may call. */
  readonly masterKey: string | undefined;
  readonly maxFileBytes: number;
  /** How long a client may send nothing while its body is awaited. */
  readonly idleSeconds: number;
  /** Time budget of lists and look-ups over all backends. */
  readonly listTimeoutSeconds: number;
  /** A job that is estimated above it is refused. */
  readonly maxJobCostUsd: number | undefined;
  readonly spoolDirectory: string;
  readonly version: string;
}
