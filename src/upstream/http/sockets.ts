import type { Deadline } from "../deadline.ts";
import { Call } from "./call.ts";
import { type Address, type Connection, openConnection } from "./connection.ts";
import { ConnectionError, type Outgoing, type Transport } from "./transport.ts";

// Shorter than what load balancers keep an idle connection for, which is 60 seconds and more.
const idleMilliseconds = 50_000;
const maxIdle = 256;

/**
 * Sends calls to one service over connections of its own, which costs a third of what Bun's fetch
 * does. What is repeatable goes over one that is there already, and over the next one if it is lost
 * before the first byte of an answer.
 */
export function createSocketTransport(origin: URL): Transport {
  const isSecure = origin.protocol === "https:";
  const port = Number(origin.port || (isSecure ? 443 : 80));
  const address: Address = { hostname: origin.hostname, port, isSecure };
  const writeHead = createHeadWriter(origin.host);
  const idle = createIdleConnections();

  async function sendAnew(request: Outgoing, deadline: Deadline): Promise<Call> {
    // First, for a header that cannot be sent must not cost a connection.
    const head = writeHead(request);
    const connection = await open(address, deadline, idle.sweep);
    return await new Call(connection, deadline, idle.give).send(head, request.body);
  }

  async function sendAgain(request: Outgoing, deadline: Deadline): Promise<Call> {
    const head = writeHead(request);
    for (let known = idle.take(); known !== undefined; known = idle.take()) {
      const call = new Call(known, deadline, idle.give);
      try {
        return await call.send(head, request.body);
      } catch (error) {
        if (!call.isUnanswered) throw error;
      }
    }
    return await sendAnew(request, deadline);
  }

  return (request, deadline) =>
    request.isRepeatable ? sendAgain(request, deadline) : sendAnew(request, deadline);
}

/** Opens a connection within the deadline. */
async function open(
  address: Address,
  deadline: Deadline,
  onIdleEnd: () => void,
): Promise<Connection> {
  const { opened, giveUp } = openConnection(address, onIdleEnd);
  deadline.guard({ stop: () => giveUp(new ConnectionError("ABORT_ERR", "The call was given up")) });
  try {
    return await opened;
  } finally {
    deadline.guard(undefined);
  }
}

function createIdleConnections() {
  let connections: { readonly connection: Connection; readonly since: number }[] = [];
  let timer: Timer | undefined;

  /** Forgets those that are closed, and closes those that nobody has used for long. */
  function sweep(): void {
    const oldest = performance.now() - idleMilliseconds;
    connections = connections.filter(({ connection, since }) => {
      if (connection.isOpen() && since > oldest) return true;
      connection.destroy();
      return false;
    });
    if (connections.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    sweep,
    take(): Connection | undefined {
      const latest = connections.pop();
      if (latest === undefined || performance.now() - latest.since < idleMilliseconds) {
        return latest?.connection;
      }
      latest.connection.destroy();
      return undefined;
    },
    give(connection: Connection): void {
      connections.push({ connection, since: performance.now() });
      if (connections.length > maxIdle) connections.shift()?.connection.destroy();
      timer ??= setInterval(sweep, idleMilliseconds / 4).unref();
    },
  };
}

/** Makes a function that writes the lines before a body. Throws a `TypeError` for a header's value. */
function createHeadWriter(host: string): (request: Outgoing) => string {
  // Most calls of a service have the same headers object.
  const known = new WeakMap<object, string>();

  function writeHeaders(headers: Outgoing["headers"]): string {
    let text = `host: ${host}\r\n`;
    for (const [name, value] of Object.entries(headers)) {
      if (!/^[\t\x20-\x7e]*$/.test(value)) {
        throw new TypeError(`The header "${name}" has more than the characters of ASCII`);
      }
      text += `${name}: ${value}\r\n`;
    }
    known.set(headers, text);
    return text;
  }

  return ({ method, path, headers, body }) => {
    const lines = known.get(headers) ?? writeHeaders(headers);
    return `${method} ${path} HTTP/1.1\r\n${lines}${writeLength(method, body)}\r\n`;
  };
}

function writeLength(method: string, body: Outgoing["body"]): string {
  if (body === undefined) return method === "GET" ? "" : "content-length: 0\r\n";
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  return `content-length: ${length}\r\n`;
}
