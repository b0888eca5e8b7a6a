import { percentile } from "../statistics.ts";
import { readCpuSeconds } from "../usage.ts";
import { createConnection, type Request } from "./connection.ts";
import { writeHead } from "./exchange.ts";

/** Small requests, again and again. */
export interface RequestLoad {
  readonly kind: "requests";
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** What to ask for in turn, and what each answer has to contain. */
  readonly items: readonly { readonly url: string; readonly expect: string }[];
  /** Each sends its next request when it has the answer to the one before. */
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Processes whose CPU time is to be told. */
  readonly pids: readonly number[];
}

/** How requests were answered after the warm-up; times are seconds. */
export interface RequestResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** The CPU time of the processes for one request. */
  readonly cpuSeconds: number;
  /** The share of one CPU that the processes had. */
  readonly cpuShare: number;
}

const patienceSeconds = 30;

/** Sends requests for as long as asked; throws for the first wrong answer. */
export async function runRequests(load: RequestLoad): Promise<RequestResult> {
  const requests = load.items.map(
    ({ url, expect }): Request => ({ bytes: Buffer.from(writeRequest(load, url)), expect }),
  );
  const { hostname, port } = new URL(load.items[0]?.url ?? "");
  const clock = startClock(load);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${patienceSeconds} s`)),
    (load.warmUpSeconds + load.seconds + patienceSeconds) * 1000,
  );
  let sent = 0;
  let open = load.connections;

  function connect(): void {
    const connection = createConnection({
      takeRequest() {
        sent += 1;
        return requests[(sent - 1) % requests.length];
      },
      isOver: (started) => clock.record(started),
      end() {
        open -= 1;
        if (open === 0) resolve();
      },
      reconnect: connect,
      fail: reject,
    });
    Bun.connect({ hostname, port: Number(port), socket: connection }).catch(reject);
  }

  for (let index = 0; index < load.connections; index += 1) connect();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
  return clock.summarize();
}

function writeRequest({ method, headers, body }: RequestLoad, url: string): string {
  if (body === undefined) return writeHead(method, url, headers);
  const type = { "content-type": "application/json" };
  const length = { "content-length": String(Buffer.byteLength(body)) };
  return writeHead(method, url, { ...headers, ...type, ...length }) + body;
}

/** Keeps the time of each answer that comes after the warm-up. */
function startClock({ warmUpSeconds, seconds, pids }: RequestLoad) {
  const times = new Float64Array(1_000_000);
  const begin = performance.now() + warmUpSeconds * 1000;
  let count = 0;
  let opened: { readonly at: number; readonly cpuSeconds: number } | undefined;
  let closed: { readonly at: number; readonly cpuSeconds: number } | undefined;
  const take = (at: number) => ({ at, cpuSeconds: readCpuSeconds(pids) });

  return {
    /** Notes an answer; true when it is time to stop. */
    record(started: number): boolean {
      if (closed !== undefined) return true;
      const now = performance.now();
      if (now < begin) return false;
      if (opened === undefined) {
        opened = take(now);
        return false;
      }
      times[count] = now - started;
      count += 1;
      if (now < opened.at + seconds * 1000 && count < times.length) return false;
      closed = take(now);
      return true;
    },
    summarize(): RequestResult {
      if (opened === undefined || closed === undefined) throw new Error("nothing was measured");
      const elapsed = (closed.at - opened.at) / 1000;
      const cpu = closed.cpuSeconds - opened.cpuSeconds;
      const sorted = times.subarray(0, count).sort();
      return {
        perSecond: count / elapsed,
        p50: percentile(sorted, 0.5) / 1000,
        p99: percentile(sorted, 0.99) / 1000,
        cpuSeconds: cpu / count,
        cpuShare: cpu / elapsed,
      };
    },
  };
}
