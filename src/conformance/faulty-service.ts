import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** What a faulty service does with a request that it has read. */
export type Fault =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** May be made of the headers that came. */
      readonly body: string | ((headers: Readonly<Record<string, unknown>>) => string);
    }
  /** Closes the connection in the middle of an answer. */
  | { readonly kind: "cut" }
  /** Closes the connection without an answer. */
  | { readonly kind: "reset" }
  /** Never answers the first request; what comes later finds nothing. */
  | { readonly kind: "hang" };

/** A service that does the same wrong thing to whatever it is asked. */
export interface FaultyService {
  readonly url: string;
  /** The methods of what came whole, in the order of arrival. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Starts one on a free port of the loopback. */
export async function startFaultyService(fault: Fault): Promise<FaultyService> {
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    // Read to its end: an answer in the middle of a request would be a fault of its own.
    incoming.resume().on("end", () => {
      requests.push(incoming.method ?? "");
      misbehave(fault, requests.length, incoming, outgoing);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The service has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function misbehave(
  fault: Fault,
  count: number,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  if (fault.kind === "reset") return void incoming.socket.destroy();
  if (fault.kind === "hang") {
    if (count > 1) outgoing.writeHead(404).end();
    return;
  }
  if (fault.kind === "answer") {
    const { status, headers = {}, body } = fault;
    const text = typeof body === "string" ? body : body(incoming.headers);
    outgoing.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
    return;
  }
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  outgoing.write('{"id":"');
  // Time for what was written to leave.
  setTimeout(() => incoming.socket.destroy(), 20);
}
