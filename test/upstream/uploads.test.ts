import { describe, expect, test } from "bun:test";
import { createSocketTransport } from "../../src/upstream/http/sockets.ts";
import { catchError } from "../support/gateway.ts";
import {
  exchange,
  makeAnswer,
  makeGet,
  makePost,
  makeUpload,
  settle,
  transports,
  useRawServer,
  waitFor,
} from "./support.ts";

// Bodies that are sent piece by piece, to services that read them, or do not.

const megabyte = 1024 * 1024;

const start = useRawServer();

describe.each(transports)("an upload over %s", (name, createTransport) => {
  test("arrives whole, though each piece is overwritten by the next one", async () => {
    const { url, requests, connections } = start({
      onRequest: (_, connection) => {
        connection.write(makeAnswer("stored"));
      },
    });
    const sizes = [1, 300, 524_288, 7, 700_001, 2 * megabyte, 3];
    const buffer = Buffer.alloc(2 * megabyte);
    const hasher = new Bun.CryptoHasher("sha256");
    async function* makePieces() {
      for (const [index, size] of sizes.entries()) {
        const piece = buffer.fill(index + 65).subarray(0, size);
        hasher.update(piece);
        yield piece;
      }
    }
    const length = sizes.reduce((sum, size) => sum + size);
    const transport = createTransport(url);
    const post = makePost({ length, pieces: makePieces() });
    expect(await exchange(transport, post)).toBe("stored");
    const [{ head, body } = { head: "", body: "" }] = requests;
    expect(body).toHaveLength(length);
    const sha256 = new Bun.CryptoHasher("sha256").update(Buffer.from(body, "latin1"));
    expect(sha256.digest("hex")).toBe(hasher.digest("hex"));
    expect(head.toLowerCase()).not.toContain("transfer-encoding");
    expect(await exchange(transport, makeGet())).toBe("stored");
    if (name === "sockets") expect(connections).toHaveLength(1);
  });

  test.each(["Zoë 🎛️ ", "plain "])("of a text of many bytes arrives whole (%j)", async (words) => {
    const { url, requests } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("stored")),
      onHead: (_, connection) => {
        connection.pause();
        setTimeout(() => connection.resume(), 50);
      },
    });
    const text = words.repeat((12 * megabyte) / words.length);
    expect(await exchange(createTransport(url), makePost(text))).toBe("stored");
    const sent = Buffer.from(text).toString("latin1");
    expect(Bun.hash(requests[0]?.body ?? "")).toBe(Bun.hash(sent));
  });

  test("takes no more pieces than the service does", async () => {
    const { url, connections } = start({
      onHead: (_, connection) => connection.pause(),
      onRequest: (_, connection) => connection.write(makeAnswer("stored")),
    });
    const { state, body } = makeUpload(64, megabyte);
    const call = exchange(createTransport(url), makePost(body));
    expect(await settle(() => state.pulled)).toBeLessThan(32);
    connections[0]?.resume();
    expect(await call).toBe("stored");
    expect(state).toEqual({ pulled: 64, isLeft: true });
  });

  test("ends with an answer in its middle, which can be read", async () => {
    const { url, connections, requests } = start({
      onHead: (head, connection) =>
        connection.write(makeAnswer(head.slice(0, 4), "", "413 Too Large")),
    });
    const { state, body } = makeUpload(512, megabyte);
    const transport = createTransport(url);
    const told = await exchange(
      transport,
      makePost(body),
      async (answer) => `${answer.status} ${await answer.text(99)}`,
    );
    expect(told).toBe("413 POST");
    await waitFor(() => state.isLeft);
    expect(state.pulled).toBeLessThan(100);
    expect(await exchange(transport, makeGet())).toBe("GET ");
    expect(connections).toHaveLength(2);
    expect(requests.map(({ head }) => head.slice(0, 3))).toEqual(["GET"]);
  });

  test("that its service does not read ends with an answer", async () => {
    const { url, connections } = start({
      onHead: (_, connection) => {
        connection.pause();
        setTimeout(() => connection.write(makeAnswer("busy", "", "503 Busy")), 50);
      },
    });
    const { state, body } = makeUpload(512, megabyte);
    expect(await exchange(createTransport(url), makePost(body))).toBe("busy");
    await waitFor(() => state.isLeft);
    connections[0]?.resume();
    await waitFor(() => connections[0]?.isClosed === true);
  });

  test("whose source has nothing yet is over when the answer comes", async () => {
    const { url } = start({
      onHead: (_, connection) => connection.write(makeAnswer("no", "", "401 Unauthorized")),
    });
    const { promise: more, resolve } = Promise.withResolvers<void>();
    async function* makePieces() {
      yield new Uint8Array(10);
      await more;
      yield new Uint8Array(10);
    }
    const post = makePost({ length: 20, pieces: makePieces() });
    expect(await exchange(createTransport(url), post)).toBe("no");
    resolve();
  });

  test("whose source fails does so, and the service never has the whole of it", async () => {
    const { url, connections, requests } = start({
      onRequest: (_, connection) => connection.write(makeAnswer("stored")),
    });
    async function* makePieces() {
      yield new Uint8Array(10);
      await Bun.sleep(20);
      throw new Error("the file is gone");
    }
    const post = makePost({ length: 20, pieces: makePieces() });
    const error = await catchError(() => exchange(createTransport(url), post));
    expect(error).toMatchObject({ message: "the file is gone" });
    await waitFor(() => connections[0]?.isClosed === true);
    expect(requests).toEqual([]);
  });

  test("whose connection breaks off fails once, and leaves its source", async () => {
    const { url, connections } = start({
      onHead: (_, connection) => void setTimeout(() => connection.reset(), 20),
    });
    const { state, body } = makeUpload(512, megabyte);
    const error = await catchError(() => exchange(createTransport(url), makePost(body)));
    expect(error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
    await waitFor(() => state.isLeft);
    expect(connections).toHaveLength(1);
  });

  test("to a place where nobody listens takes nothing from its source", async () => {
    const { url, stop } = start({});
    stop();
    const { state, body } = makeUpload(4, 10);
    await catchError(() => exchange(createTransport(url), makePost(body)));
    if (name === "sockets") expect(state.pulled).toBe(0);
  });
});

test("a long head before an upload comes before its first piece", async () => {
  const { url, requests } = start({
    onOpen: (connection) => {
      connection.pause();
      setTimeout(() => connection.resume(), 100);
    },
    onRequest: (_, connection) => connection.write(makeAnswer("stored")),
  });
  const headers = { "x-long": "a".repeat(16 * megabyte) };
  const { body } = makeUpload(4, megabyte);
  const post = { ...makePost(body), headers };
  expect(await exchange(createSocketTransport(url), post)).toBe("stored");
  const [{ head, body: received } = { head: "", body: "" }] = requests;
  expect(head).toEndWith(`x-long: ${headers["x-long"]}\r\ncontent-length: ${4 * megabyte}`);
  expect(received).toHaveLength(4 * megabyte);
});
