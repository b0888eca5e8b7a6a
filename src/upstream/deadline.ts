/** Who is to stop when a deadline is over. */
export interface Stoppable {
  stop(): void;
}

/**
 * The time that one call of a service may take on behalf of a client. It is looked at ten times a
 * second: a timer and a listener for each call would cost as much as its answer does to read.
 */
export class Deadline {
  /** Its neighbours among those that are watched. */
  previous: Deadline | undefined;
  next: Deadline | undefined;
  readonly #milliseconds: number;
  #due = 0;
  #controller: AbortController | undefined;
  #running: Stoppable | undefined;
  #reason: unknown;
  #isEnded = false;
  /** Whether the time is over. */
  isOver = false;
  /** Whether the time is over or the client has gone. */
  isAborted = false;

  /** Starts the time, in seconds. */
  constructor(
    readonly seconds: number,
    /** The client's own signal. */
    readonly client: AbortSignal,
  ) {
    this.#milliseconds = seconds * 1000;
    this.extend();
    watch(this);
    this.check(0);
  }

  /** Aborted when the time is over or the client has gone. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.isAborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Stops `running`, in place of the one before, when the deadline is over, at once if it is. */
  guard(running: Stoppable | undefined): void {
    this.#running = running;
    if (this.isAborted) running?.stop();
  }

  /** Starts the time anew: something has moved. */
  extend(): void {
    this.#due = performance.now() + this.#milliseconds;
  }

  /** Stops the time until `extend`. */
  pause(): void {
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** Stops the time for good, and what is still guarded: nobody waits for it any more. */
  end(): void {
    this.#isEnded = true;
    unwatch(this);
    this.#running?.stop();
  }

  /** Ends the call if its client has gone, or if its time is over at `now`, in milliseconds. */
  check(now: number): void {
    if (this.#isEnded) return;
    if (this.client.aborted) this.#abort(this.client.reason);
    else if (now >= this.#due) {
      this.isOver = true;
      this.#abort(new DOMException("The deadline is over", "TimeoutError"));
    }
  }

  #abort(reason: unknown): void {
    this.isAborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.end();
  }
}

// A chain, which takes and loses its members without memory of its own.
let first: Deadline | undefined;
let timer: Timer | undefined;

function watch(deadline: Deadline): void {
  deadline.next = first;
  if (first !== undefined) first.previous = deadline;
  first = deadline;
  // The calls themselves keep the process from ending.
  timer ??= setInterval(checkAll, 100).unref();
}

function unwatch(deadline: Deadline): void {
  const { previous, next } = deadline;
  if (previous !== undefined) previous.next = next;
  else if (first === deadline) first = next;
  if (next !== undefined) next.previous = previous;
  deadline.previous = undefined;
  deadline.next = undefined;
}

function checkAll(): void {
  const now = performance.now();
  const all: Deadline[] = [];
  for (let one = first; one !== undefined; one = one.next) all.push(one);
  for (const one of all) one.check(now);
  if (first !== undefined) return;
  clearInterval(timer);
  timer = undefined;
}
