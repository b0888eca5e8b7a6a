import { describe, expect, test } from "bun:test";
import { createSocketTransport } from "../../src/upstream/http/sockets.ts";
import type { Outgoing } from "../../src/upstream/http/transport.ts";
import { catchError } from "../support/gateway.ts";
import {
  exchange,
  makeAnswer,
  makeGet,
  makePost,
  transports,
  useRawServer,
  waitFor,
} from "./support.ts";

// Which connection a call goes over, what it looks like there, and when it is sent again.

const start = useRawServer();

const put: Outgoing = {
  method: "PUT",
  path: "/",
  headers: {},
  body: new Uint8Array(8 * 1024 * 1024),
  isRepeatable: true,
};

describe.each(transports)("a call over %s", (name, createTransport) => {
  test("goes over the connection of the one before if it is a GET, over a new one if a POST", async () => {
    const { url, connections, requests } = start({
      onRequest: ({ head }, connection) => connection.write(makeAnswer(head.slice(0, 6))),
    });
    const transport = createTransport(url);
    expect(await exchange(transport, makeGet("/1"))).toBe("GET /1");
    expect(await exchange(transport, makeGet("/2"))).toBe("GET /2");
    expect(connections).toHaveLength(1);
    expect(await exchange(transport, makePost())).toBe("POST /");
    expect(await exchange(transport, makePost())).toBe("POST /");
    expect(connections).toHaveLength(3);
    expect(requests).toHaveLength(4);
  });

  test("goes over a new connection while the others are busy, and they are used again", async () => {
    const { url, connections } = start({
      onRequest: (_, connection) => void setTimeout(() => connection.write(makeAnswer("ok")), 20),
    });
    const transport = createTransport(url);
    for (let round = 0; round < 3; round += 1) {
      const calls = Array.from({ length: 10 }, () => exchange(transport, makeGet()));
      expect(await Promise.all(calls)).toEqual(Array(10).fill("ok"));
    }
    expect(connections).toHaveLength(10);
  });

  test.each(["connection: close\r\n", "transfer-encoding: chunked\r\n"])(
    "leaves a connection whose answer had %p",
    async (line) => {
      const body = line.startsWith("t") ? "2\r\nok\r\n0\r\n\r\n" : "ok";
      const { url, connections } = start({
        onRequest: (_, connection) => connection.write(makeAnswer(body, line)),
      });
      const transport = createSocketTransport(url);
      expect(await exchange(transport, makeGet())).toBe("ok");
      await waitFor(() => connections[0]?.isClosed === true);
      expect(await exchange(transport, makeGet())).toBe("ok");
      expect(connections).toHaveLength(2);
    },
  );

  test("is sent as it is given, path and query untouched", async () => {
    const { url, requests } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("ok")),
    });
    const path = "/v1/files/a%2Fb%20c:d/content?after=%C3%A4&x[]=1&y=a+b";
    const headers = { authorization: "Bearer key", "x-more": "a, b;\tc" };
    await exchange(createTransport(url), { ...makePost('{"a":1}', path), headers });
    const [{ head, body } = { head: "", body: "" }] = requests;
    const [line, ...lines] = head.split("\r\n");
    const sent = new Map(lines.map((one) => [one.split(":")[0]?.toLowerCase(), one]));
    expect(line).toBe(`POST ${path} HTTP/1.1`);
    expect(sent.get("host")?.slice(6)).toBe(url.host);
    expect(sent.get("authorization")).toEndWith(": Bearer key");
    expect(sent.get("x-more")).toEndWith(": a, b;\tc");
    expect(sent.size).toBe(lines.length);
    expect(body).toBe('{"a":1}');
  });

  test.each(["POST", "PUT", "DELETE"] as const)("says the length of a %s", async (method) => {
    const { url, requests } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("ok")),
    });
    const transport = createTransport(url);
    const bodies = [
      "",
      "{}",
      '{"name":"Zoë 🎛️ \ud800"}',
      new Uint8Array([0, 255, 13, 10]),
      undefined,
    ];
    for (const body of bodies) await exchange(transport, { ...makePost(), method, body });
    expect(requests.map(({ body }) => body)).toEqual(
      bodies.map((body) => Buffer.from(body ?? "").toString("latin1")),
    );
    for (const { head, body } of requests) {
      expect(head.toLowerCase()).toContain(`\ncontent-length: ${body.length}`);
    }
  });

  test.each(["a\r\nx-evil: 1", "a\nb", "a\0b", "a\rb"])(
    "refuses %j as the value of a header, and sends nothing",
    async (value) => {
      const { url, connections } = start({});
      const transport = createTransport(url);
      for (const request of [makeGet(), makePost()]) {
        const call = () => exchange(transport, { ...request, headers: { "x-own": value } });
        expect(await catchError(call)).toBeInstanceOf(TypeError);
      }
      await Bun.sleep(20);
      expect(connections.filter(({ isClosed, bytes }) => !isClosed || bytes > 0)).toEqual([]);
    },
  );

  test("is sent again if it is a GET and its connection closes without an answer", async () => {
    let calls = 0;
    const { url, requests } = start({
      onRequest: (_, connection) => {
        calls += 1;
        if (calls === 2) connection.reset();
        else connection.write(makeAnswer(`${calls}`));
      },
    });
    const transport = createTransport(url);
    expect(await exchange(transport, makeGet())).toBe("1");
    expect(await exchange(transport, makeGet())).toBe("3");
    expect(requests).toHaveLength(3);
  });

  test.each(["reset", "end"] as const)(
    "is sent once if it is a POST and its connection closes without an answer (%s)",
    async (how) => {
      const { url, requests } = start({
        onRequest: ({ head }, connection) =>
          head.startsWith("GET") ? connection.write(makeAnswer("ok")) : connection[how](),
      });
      const transport = createTransport(url);
      await exchange(transport, makeGet());
      const error = await catchError(() => exchange(transport, makePost()));
      expect(error).toMatchObject({ code: "ECONNRESET" });
      await Bun.sleep(50);
      expect(requests).toHaveLength(2);
    },
  );

  test.each(["reset", "end"] as const)(
    "goes over a new connection when the one before was closed meanwhile (%s)",
    async (how) => {
      const { url, connections, requests } = start({
        onRequest: (_, connection) => connection.write(makeAnswer("ok")),
      });
      const transport = createTransport(url);
      await exchange(transport, makeGet());
      connections[0]?.[how]();
      await waitFor(() => connections[0]?.isClosed === true);
      expect(await exchange(transport, makeGet())).toBe("ok");
      expect(connections).toHaveLength(2);
      expect(requests).toHaveLength(2);
    },
  );

  test("fails where nobody listens", async () => {
    const { url, stop } = start({});
    stop();
    for (const request of [makeGet(), makePost()]) {
      const error = await catchError(() => exchange(createTransport(url), request));
      expect(error).toMatchObject({
        code: expect.stringMatching(/^(ECONNREFUSED|ConnectionRefused)$/),
      });
    }
  });

  test("has the answer to itself when the service answers before it has read it all", async () => {
    const { url, connections } = start({
      onHead: (head, connection) => {
        connection.write(makeAnswer(head.slice(0, 3)));
        if (!head.startsWith("PUT")) return;
        connection.pause();
        setTimeout(() => connection.resume(), 100);
      },
    });
    const transport = createTransport(url);
    expect(await exchange(transport, put)).toBe("PUT");
    expect(await exchange(transport, makeGet())).toBe("GET");
    expect(await exchange(transport, makeGet())).toBe("GET");
    if (name === "sockets") expect(connections).toHaveLength(2);
  });

  test("does not end one whose connection an earlier answer has given back", async () => {
    const { url, connections } = start({
      onRequest: ({ head }, connection) =>
        head.startsWith("GET /slow")
          ? void setTimeout(() => connection.write(makeAnswer("slow")), 50)
          : connection.write(makeAnswer("first")),
    });
    const transport = createTransport(url);
    const first = await new Promise<string>((resolve, reject) => {
      exchange(transport, makeGet(), async (answer) => {
        const text = await answer.text(99);
        const slow = exchange(transport, makeGet("/slow"));
        await Bun.sleep(10);
        answer.discard();
        resolve(`${text} ${await slow}`);
        return text;
      }).catch(reject);
    });
    expect(first).toBe("first slow");
    expect(connections).toHaveLength(1);
  });
});

describe("a call over sockets", () => {
  test("is tried over every connection that is there before a new one is opened", async () => {
    let isClosing = false;
    const { url, requests } = start({
      onRequest: (_, connection) => {
        if (isClosing && requests.length < 8) connection.reset();
        else setTimeout(() => connection.write(makeAnswer("ok")), 10);
      },
    });
    const transport = createSocketTransport(url);
    await Promise.all(Array.from({ length: 4 }, () => exchange(transport, makeGet())));
    isClosing = true;
    expect(await exchange(transport, makeGet())).toBe("ok");
    expect(requests).toHaveLength(8);
  });

  test("over a new connection is sent once, whatever it is", async () => {
    const { url, requests } = start({ onRequest: (_, connection) => connection.reset() });
    for (const request of [makeGet(), put]) {
      await catchError(() => exchange(createSocketTransport(url), request));
    }
    expect(requests).toHaveLength(2);
  });

  test("leaves a connection on which something came between two calls", async () => {
    const { url, connections } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("ok")),
    });
    const transport = createSocketTransport(url);
    await exchange(transport, makeGet());
    connections[0]?.write(makeAnswer("of nobody's call"));
    await waitFor(() => connections[0]?.isClosed === true);
    expect(await exchange(transport, makeGet())).toBe("ok");
    expect(connections).toHaveLength(2);
  });

  test("fails where something else than HTTP answers, even before it is asked", async () => {
    const { url, connections } = start({
      onOpen: (connection) => connection.write("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    });
    const error = await catchError(() => exchange(createSocketTransport(url), makeGet()));
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(Malformed_HTTP_Response|ECONNRESET)$/),
    });
    await waitFor(() => connections.every(({ isClosed }) => isClosed));
  });

  test.each(["localhost", "127.0.0.1"])("reaches %s", async (hostname) => {
    const { url } = start({
      onRequest: ({ head }, connection) =>
        connection.write(makeAnswer(/\nhost: (\S+)/.exec(head)?.[1] ?? "")),
    });
    const origin = new URL(url);
    origin.hostname = hostname;
    expect(await exchange(createSocketTransport(origin), makeGet())).toBe(origin.host);
  });

  test("keeps no process from ending once it is over", async () => {
    const { url } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("ok")),
    });
    const modules = `${import.meta.dir}/../../src/upstream`;
    const script = `
      import { Deadline } from "${modules}/deadline.ts";
      import { createSocketTransport } from "${modules}/http/sockets.ts";
      const deadline = new Deadline(60, new AbortController().signal);
      const request = { method: "GET", path: "/", headers: {}, isRepeatable: true };
      const answer = await createSocketTransport(new URL("${url}"))(request, deadline);
      process.stdout.write(await answer.text(99));
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    expect(await child.stdout.text()).toBe("ok");
    expect(await child.exited).toBe(0);
  });
});
