/** The time that one call of a service may take. */
export interface Deadline {
  /** Aborted when the time is over or the client has gone. */
  readonly signal: AbortSignal;
  /** The client's own signal. */
  readonly client: AbortSignal;
  readonly seconds: number;
  /** Whether the time is over. */
  isOver(): boolean;
  /** Starts the time anew: something has moved. */
  extend(): void;
  /** Stops the time until `extend`. */
  pause(): void;
  /** Stops the time for good. */
  end(): void;
}

/** Starts the time, in seconds, of one call on behalf of a client. */
export function startDeadline(seconds: number, client: AbortSignal): Deadline {
  const controller = new AbortController();
  const abort = () => controller.abort(new DOMException("The deadline is over", "TimeoutError"));
  let timer = setTimeout(abort, seconds * 1000);
  let ended = false;
  return {
    signal: AbortSignal.any([client, controller.signal]),
    client,
    seconds,
    isOver: () => controller.signal.aborted,
    extend() {
      clearTimeout(timer);
      if (!ended) timer = setTimeout(abort, seconds * 1000);
    },
    pause: () => clearTimeout(timer),
    end() {
      clearTimeout(timer);
      ended = true;
    },
  };
}
