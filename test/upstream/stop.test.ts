import { describe, expect, test } from "bun:test";
import { Deadline } from "../../src/upstream/deadline.ts";
import { createSocketTransport } from "../../src/upstream/http/sockets.ts";
import type { Incoming, Outgoing, Transport } from "../../src/upstream/http/transport.ts";
import { catchError } from "../support/gateway.ts";
import {
  exchange,
  makeAnswer,
  makeGet,
  makePost,
  makeUpload,
  never,
  readStream,
  settle,
  transports,
  useRawServer,
  waitFor,
} from "./support.ts";

// Calls that end early: their time is over, their client has gone, or nobody reads them.

const start = useRawServer();

/** Fails by its deadline, or by its client leaving at that time. */
const enders = {
  "its deadline": { seconds: 0.1, leave: false },
  "its client": { seconds: 60, leave: true },
};

/** The deadline of a call that fails by it, which is checked. */
async function endCall(
  { seconds, leave }: (typeof enders)["its client"],
  transport: Transport,
  request: Outgoing,
  read: (answer: Incoming) => Promise<string> | string = () => "an answer",
): Promise<void> {
  const client = new AbortController();
  const deadline = new Deadline(seconds, client.signal);
  if (leave) setTimeout(() => client.abort(new Error("the client has gone")), 100);
  const error = await catchError(async () => await read(await transport(request, deadline)));
  expect(error).toBeInstanceOf(Error);
  expect(deadline).toMatchObject({ isAborted: true, isOver: !leave });
  expect(deadline.signal.reason).toMatchObject(
    leave ? { message: "the client has gone" } : { name: "TimeoutError" },
  );
}

describe.each(transports)("a call over %s", (_, createTransport) => {
  describe.each(Object.entries(enders))("is ended by %s", (_, ender) => {
    test.each([makeGet(), makePost()])(
      "before its answer, and is not repeated",
      async (request) => {
        const { url, connections, requests } = start({});
        await endCall(ender, createTransport(url), request);
        await waitFor(() => connections[0]?.isClosed === true);
        expect(requests).toHaveLength(1);
        expect(connections).toHaveLength(1);
      },
    );

    test("before its answer, on a connection that is used again", async () => {
      const { url, connections, requests } = start({
        onRequest: (_, connection) => requests.length === 1 && connection.write(makeAnswer("ok")),
      });
      const transport = createTransport(url);
      await exchange(transport, makeGet());
      await endCall(ender, transport, makeGet());
      await waitFor(() => connections[0]?.isClosed === true);
      expect(requests).toHaveLength(2);
    });

    test.each([
      ["text", (answer: Incoming) => answer.text(1000)],
      ["stream", readStream],
    ] as const)("in the middle of its answer (%s)", async (_, read) => {
      const { url, connections } = start({
        onRequest: (_, connection) =>
          connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
      });
      await endCall(ender, createTransport(url), makeGet(), read);
      await waitFor(() => connections[0]?.isClosed === true);
    });

    test("in the middle of its upload, whose source it leaves", async () => {
      const { url, connections } = start({ onHead: (_, connection) => connection.pause() });
      const { state, body } = makeUpload(64, 1024 * 1024);
      await endCall(ender, createTransport(url), makePost(body));
      await waitFor(() => state.isLeft);
      expect(state.pulled).toBeLessThan(32);
      connections[0]?.resume();
      await waitFor(() => connections[0]?.isClosed === true);
    });
  });

  test("is not sent when its client has gone before", async () => {
    const { url, connections } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("ok")),
    });
    const transport = createTransport(url);
    await exchange(transport, makeGet());
    const signal = AbortSignal.abort(new Error("gone"));
    for (const request of [makeGet(), makePost(), makePost(makeUpload(2, 10).body)]) {
      await catchError(() => exchange(transport, request, undefined, { signal }));
    }
    await Bun.sleep(50);
    expect(connections.slice(1).filter(({ isClosed, bytes }) => !isClosed || bytes > 0)).toEqual(
      [],
    );
  });

  test("whose answer is discarded closes its connection", async () => {
    const { url, connections } = start({
      onRequest: (_, connection) =>
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
    });
    const transport = createTransport(url);
    await exchange(transport, makeGet(), (answer) => {
      answer.discard();
      answer.discard();
      return "";
    });
    await exchange(transport, makeGet(), async (answer) => {
      await answer.stream().cancel();
      return "";
    });
    await exchange(transport, makeGet(), async (answer) => {
      const reader = answer.stream().getReader();
      await reader.read();
      const next = reader.read();
      await reader.cancel();
      expect(await next).toEqual({ done: true, value: undefined });
      return "";
    });
    await waitFor(() => connections.every(({ isClosed }) => isClosed));
    expect(connections).toHaveLength(3);
  });
});

describe("a call over sockets", () => {
  test("whose answer nobody reads closes its connection with the end of its deadline", async () => {
    const { url, connections } = start({
      onRequest: (_, connection) => connection.write(makeAnswer(new Uint8Array(16 * 1024 * 1024))),
    });
    await exchange(createSocketTransport(url), makeGet(), ({ status }) => `${status}`);
    await waitFor(() => connections[0]?.isClosed === true);
  });

  test("does not outlive the end of its deadline while a TLS handshake never ends", async () => {
    const { url, connections } = start({});
    const origin = new URL(`https://${url.host}`);
    await endCall(enders["its deadline"], createSocketTransport(origin), makeGet());
    await waitFor(() => connections[0]?.isClosed === true);
    await endCall(enders["its client"], createSocketTransport(origin), makePost());
    await waitFor(() => connections.every(({ isClosed }) => isClosed));
  });

  test("does not end with a deadline that is over after its answer", async () => {
    const { url, connections } = start({
      onRequest: ({ head }, connection) =>
        void setTimeout(() => connection.write(makeAnswer("ok")), head.includes("/slow") ? 500 : 0),
    });
    const transport = createSocketTransport(url);
    const client = new AbortController();
    const deadline = new Deadline(0.2, client.signal);
    const answer = await transport(makeGet(), deadline);
    expect(await answer.text(99)).toBe("ok");
    // Its deadline goes on, and the connection is another call's.
    const slow = exchange(transport, makeGet("/slow"));
    await waitFor(() => deadline.isOver);
    answer.discard();
    expect(await slow).toBe("ok");
    expect(connections).toHaveLength(1);
  });
});

test("a call ends with its deadline while it connects", async () => {
  // A server that takes no connection, and so many clients that the system queues no more of them.
  const script = `
    const { port } = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    require("node:fs").writeSync(1, String(port));
    Bun.sleepSync(60_000);
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  try {
    const { value } = await child.stdout.getReader().read();
    const port = Number(Buffer.from(value ?? []).toString());
    let opened = 0;
    const open = () => {
      opened += 1;
    };
    for (let count = 0; count < 1000; count += 1) {
      Bun.connect({ hostname: "127.0.0.1", port, socket: { open, data() {} } }).catch(
        () => undefined,
      );
    }
    expect(await settle(() => opened)).toBeLessThan(1000);
    for (const [, createTransport] of transports) {
      for (const ender of Object.values(enders)) {
        const transport = createTransport(new URL(`http://127.0.0.1:${port}`));
        await endCall(ender, transport, makeGet());
      }
    }
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

describe("a deadline", () => {
  test("counts from the last extension, and not while it is paused", async () => {
    const deadline = new Deadline(0.3, never);
    deadline.pause();
    await Bun.sleep(450);
    expect(deadline.isAborted).toBeFalse();
    deadline.extend();
    await waitFor(() => deadline.isOver);
    expect(deadline.signal.aborted).toBeTrue();
  });

  test("is ended by its client while it is paused", async () => {
    const client = new AbortController();
    const deadline = new Deadline(0.3, client.signal);
    const { signal } = deadline;
    deadline.pause();
    client.abort(new Error("gone"));
    await waitFor(() => deadline.isAborted);
    expect(deadline.isOver).toBeFalse();
    expect(signal.reason).toBe(client.signal.reason);
  });

  test("stops what it guards once, at once where it is over, and nothing after its end", () => {
    const stops: string[] = [];
    const guarded = (deadline: Deadline, name: string) => ({
      stop() {
        stops.push(name);
        deadline.guard(undefined);
      },
    });
    const over = new Deadline(60, AbortSignal.abort());
    over.guard(guarded(over, "over"));
    over.end();
    const ended = new Deadline(60, never);
    ended.guard(guarded(ended, "first"));
    ended.guard(guarded(ended, "second"));
    ended.end();
    ended.end();
    ended.check(Number.POSITIVE_INFINITY);
    expect(stops).toEqual(["over", "second"]);
    expect(ended.isAborted).toBeFalse();
  });

  test("is watched in whatever order others come and go", async () => {
    const deadlines = Array.from({ length: 30 }, (_, index) => {
      return new Deadline(index % 3 === 0 ? 0.05 : 60, never);
    });
    for (const [index, deadline] of deadlines.entries()) if (index % 3 === 1) deadline.end();
    await waitFor(() => deadlines.every(({ isOver }, index) => isOver === (index % 3 === 0)));
    for (const deadline of deadlines.reverse()) deadline.end();
    const last = new Deadline(0.05, never);
    await waitFor(() => last.isOver);
    expect(deadlines.filter(({ next, previous }) => next ?? previous)).toEqual([]);
  });
});
