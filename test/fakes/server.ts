import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

// node:http and not Bun.serve: only here can an answer break off within its stated length.

/** A request as it arrived. */
export interface FakeRequest {
  readonly method: string;
  /** The path as it was sent, percent-encoding included. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** An answer of a fake service. */
export interface FakeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What goes wrong with the next request that `method` and `path` fit. */
export interface Fault {
  readonly method?: string;
  readonly path?: RegExp;
  /** How many requests it befalls; 1 if absent. */
  readonly times?: number;
  /** Milliseconds before anything is answered. */
  readonly delay?: number;
  /** The request is carried out before it goes wrong; otherwise nothing happens in the service. */
  readonly carriedOut?: true;
  /** Answers this instead. */
  readonly answer?: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  };
  /** Closes the connection without an answer. */
  readonly reset?: true;
  /** Never answers. */
  readonly hang?: true;
  /** Does not read the body of the request, and never answers unless `answer` is given. */
  readonly stall?: true;
  /** Reads that many bytes of the request's body, or a little more, and goes wrong then. */
  readonly takes?: number;
  /** Milliseconds to rest after each piece of the request's body. */
  readonly pause?: number;
  /** After an answer in the middle of the request, reads on and throws away what comes. */
  readonly readsOn?: true;
  /** After the answer closes the connection, whatever of the request is unread. */
  readonly closes?: true;
  /** Sends that many bytes of the true answer's body, of the stated whole length, and closes. */
  readonly cutOffAfter?: number;
  /** Sends that many bytes of the true answer's body and then nothing, for ever. */
  readonly hangAfter?: number;
}

/** A running fake service. */
export interface FakeServer {
  /** `http://127.0.0.1:<port>`. */
  readonly origin: string;
  /** Everything that came, faults included, in the order of arrival. */
  readonly requests: readonly FakeRequest[];
  /** Faults befall requests in the order in which they were injected. */
  inject(...faults: readonly Fault[]): void;
  /** How many connections were opened since the start. */
  countConnections(): number;
  /** How many connections are open. */
  countOpenConnections(): number;
  stop(): Promise<void>;
}

/**
 * Starts a server on a free port of the loopback. In `requests` it leaves out bodies of more than
 * `keptBytes`.
 */
export async function startServer(
  answer: (request: FakeRequest) => FakeAnswer,
  keptBytes = Number.POSITIVE_INFINITY,
): Promise<FakeServer> {
  const requests: FakeRequest[] = [];
  const faults: { readonly fault: Fault; left: number }[] = [];
  let opened = 0;
  let closed = 0;

  function takeFault(method: string, path: string): Fault {
    const index = faults.findIndex(
      ({ fault }) => (fault.method ?? method) === method && (fault.path?.test(path) ?? true),
    );
    const entry = faults[index];
    if (entry === undefined) return {};
    entry.left -= 1;
    if (entry.left === 0) faults.splice(index, 1);
    return entry.fault;
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? "/", "http://fake");
    const fault = takeFault(incoming.method ?? "", url.pathname);
    if (fault.stall) incoming.pause();
    if (fault.stall && fault.answer === undefined) return;
    const request = {
      method: incoming.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: readHeaders(incoming),
      body: fault.stall ? Buffer.alloc(0) : await readBody(incoming, fault),
    };
    const kept = request.body.length <= keptBytes;
    requests.push(kept ? request : { ...request, body: Buffer.alloc(0) });
    if (fault.delay !== undefined) await Bun.sleep(fault.delay);
    const misbehaves = fault.answer !== undefined || fault.reset || fault.hang;
    const truth = misbehaves && !fault.carriedOut ? undefined : answer(request);
    if (fault.reset) return void incoming.socket.destroy();
    if (fault.hang) return;
    const { answer: lie } = fault;
    const { status, headers, body } =
      lie === undefined && truth !== undefined
        ? truth
        : { headers: {}, body: "", status: 500, ...lie };
    const bytes = Buffer.from(body);
    const length = status === 204 ? {} : { "content-length": String(bytes.length) };
    outgoing.writeHead(status, { ...length, ...headers });
    const sent = fault.cutOffAfter ?? fault.hangAfter;
    if (fault.readsOn) incoming.resume();
    if (fault.closes) return void outgoing.end(bytes, () => incoming.socket.destroy());
    if (sent === undefined) return void outgoing.end(bytes);
    outgoing.write(bytes.subarray(0, sent));
    // Time for what was written to leave; then the rest never comes.
    if (fault.cutOffAfter !== undefined) setTimeout(() => incoming.socket.destroy(), 20);
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch((error) => {
      if (!incoming.socket.destroyed) outgoing.writeHead(599).end(String(error));
    });
  });
  server.on("connection", (socket) => {
    opened += 1;
    socket.on("close", () => {
      closed += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The fake has no port");

  return {
    origin: `http://127.0.0.1:${address.port}`,
    requests,
    inject: (...added) => faults.push(...added.map((fault) => ({ fault, left: fault.times ?? 1 }))),
    countConnections: () => opened,
    countOpenConnections: () => opened - closed,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function readHeaders(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
    headers.append(incoming.rawHeaders[at] ?? "", incoming.rawHeaders[at + 1] ?? "");
  }
  return headers;
}

async function readBody(incoming: IncomingMessage, fault: Fault): Promise<Buffer> {
  const { takes = Number.POSITIVE_INFINITY, pause } = fault;
  const chunks: Buffer[] = [];
  let bytes = 0;
  return await new Promise((resolve, reject) => {
    function take(chunk: Buffer): void {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= takes) {
        incoming.pause().off("data", take);
        resolve(Buffer.concat(chunks));
      } else if (pause !== undefined) {
        incoming.pause();
        setTimeout(() => incoming.resume(), pause);
      }
    }
    incoming.on("data", take);
    incoming.on("end", () => resolve(Buffer.concat(chunks)));
    incoming.on("error", reject);
  });
}
