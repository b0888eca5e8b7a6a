import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TLSOptions } from "bun";
import { makeDirectory } from "../support/directory.ts";
import { catchError } from "../support/gateway.ts";
import {
  exchange,
  makeAnswer,
  makeGet,
  makePost,
  type RawServer,
  type ServerBehaviour,
  startRawServer,
  transports,
} from "./support.ts";

// Who may be told a key: only the host that is asked for, by a certificate of somebody trusted.

const directory = makeDirectory();
afterAll(directory.remove);

let servers: RawServer[] = [];
afterEach(() => {
  for (const server of servers) server.stop();
  servers = [];
});

function start(behaviour: ServerBehaviour): RawServer {
  const server = startRawServer(behaviour);
  servers.push(server);
  return server;
}

async function runOpenssl(...words: string[]): Promise<void> {
  const child = Bun.spawn(["openssl", ...words], {
    cwd: directory.path,
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`Cannot make certificates: ${said}`);
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes `<name>.pem` and `<name>.key`, signed by the authority. */
async function makeCertificate(name: string, names: string, days: number): Promise<void> {
  const subject = ["-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`];
  await runOpenssl("req", ...newKey, ...subject);
  writeFileSync(join(directory.path, `${name}.ext`), `subjectAltName=${names}\n`);
  const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`];
  const authority = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"];
  await runOpenssl("x509", "-req", ...files, ...authority, "-days", String(days));
}

beforeAll(async () => {
  for (const name of ["authority", "self"]) {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost"];
    await runOpenssl("req", "-x509", ...newKey, ...files, ...subject, "-days", "2");
  }
  await makeCertificate("right", "DNS:localhost,IP:127.0.0.1", 2);
  await makeCertificate("wrong", "DNS:localhost.example,DNS:*.localhost,IP:127.0.0.2", 2);
  await makeCertificate("expired", "DNS:localhost,IP:127.0.0.1", -1);
});

function readCertificate(name: string): TLSOptions {
  const file = (end: string) => Bun.file(join(directory.path, `${name}.${end}`));
  return { key: file("key"), cert: file("pem") };
}

/** Runs a script in a process that trusts the authority; `call` sends one over a way by its name. */
async function runTrusting(body: string): Promise<unknown> {
  const script = `
    import { transports, exchange, makeGet, makePost, makeUpload } from "${import.meta.dir}/support.ts";
    const results = [];
    ${body}
    console.log(JSON.stringify(results));
  `;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: join(directory.path, "authority.pem") },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, problem] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(problem).toBe("");
  return JSON.parse(said);
}

/** What GET and POST over both ways come to, in a process that trusts the authority. */
async function callTrusting(url: URL): Promise<unknown> {
  return await runTrusting(`
    for (const [, createTransport] of transports) {
      for (const request of [makeGet(), makePost()]) {
        const headers = { authorization: "Bearer secret" };
        const transport = createTransport(new URL("${url}"));
        results.push(
          await exchange(transport, { ...request, headers }).catch(({ code }) => code),
        );
      }
    }
  `);
}

/** An address of a server under another name of this machine. */
function rename(url: URL, hostname: string): URL {
  const renamed = new URL(url);
  renamed.hostname = hostname;
  return renamed;
}

function startSecure(name: string): RawServer {
  return start({
    tls: readCertificate(name),
    onRequest: (_, connection) => connection.write(makeAnswer("ok")),
  });
}

describe.each(["localhost", "127.0.0.1"])("a service at %s", (hostname) => {
  test("is called where its certificate is right", async () => {
    const { url, requests } = startSecure("right");
    expect(await callTrusting(rename(url, hostname))).toEqual(["ok", "ok", "ok", "ok"]);
    expect(requests).toHaveLength(4);
  });

  test.each([
    ["wrong", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["expired", "CERT_HAS_EXPIRED"],
    ["self", "DEPTH_ZERO_SELF_SIGNED_CERT"],
  ])("is told nothing where its certificate is %s", async (name, code) => {
    const { url, connections } = startSecure(name);
    expect(await callTrusting(rename(url, hostname))).toEqual([code, code, code, code]);
    expect(connections.filter(({ bytes }) => bytes > 0)).toEqual([]);
  });

  test("is told nothing where nobody has said that its authority is to be trusted", async () => {
    const { url, connections } = startSecure("right");
    for (const [, createTransport] of transports) {
      for (const request of [makeGet(), makePost()]) {
        const transport = createTransport(rename(url, hostname));
        expect(await catchError(() => exchange(transport, request))).toMatchObject({
          code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        });
      }
    }
    expect(connections.filter(({ bytes }) => bytes > 0)).toEqual([]);
  });
});

describe.each(transports)("a call over %s fails with a code", (_, createTransport) => {
  test("where it goes by TLS to a server that speaks HTTP", async () => {
    const { url } = start({ onOpen: (connection) => connection.write("HTTP/1.1 400 No\r\n\r\n") });
    const transport = createTransport(new URL(`https://${url.host}`));
    const error = await catchError(() => exchange(transport, makeGet()));
    expect(error).toMatchObject({ code: expect.stringMatching(/./) });
  });

  test("where it goes by HTTP to a server that speaks TLS", async () => {
    const { url, requests } = startSecure("right");
    const transport = createTransport(new URL(`http://${url.host}`));
    const error = await catchError(() => exchange(transport, makePost()));
    expect(error).toMatchObject({ code: expect.stringMatching(/./) });
    expect(requests).toEqual([]);
  });

  test.each(["end", "reset"] as const)(
    "where the server closes the connection before TLS begins (%s)",
    async (how) => {
      const { url } = start({ onOpen: (connection) => connection[how]() });
      const transport = createTransport(new URL(`https://${url.host}`));
      const error = await catchError(() => exchange(transport, makePost()));
      expect(error).toMatchObject({ code: expect.stringMatching(/./) });
    },
  );
});

test("large bodies go over TLS whole, in both directions, to a server that rests", async () => {
  const content = Buffer.alloc(16 * 1024 * 1024, "0123456789abcdefghijklm");
  const { url, requests } = start({
    tls: readCertificate("right"),
    onHead: (_, connection) => {
      connection.pause();
      setTimeout(() => connection.resume(), 100);
    },
    onRequest: (_, connection) => connection.write(makeAnswer(content)),
  });
  const hashes = await runTrusting(`
    const content = Buffer.alloc(${content.length}, "0123456789abcdefghijklm");
    async function* makePieces(buffer = Buffer.alloc(700_001)) {
      for (let at = 0; at < content.length; at += buffer.length) {
        yield buffer.subarray(0, content.copy(buffer, 0, at));
      }
    }
    for (const [, createTransport] of transports) {
      const transport = createTransport(new URL("${url}"));
      for (const body of [content, { length: content.length, pieces: makePieces() }, "ä🎛".repeat(2e6)]) {
        const text = await exchange(transport, makePost(body), (answer) => answer.text(1e8));
        results.push(Bun.hash(text).toString());
      }
    }
  `);
  const hash = Bun.hash(content).toString();
  expect(hashes).toEqual(Array(6).fill(hash));
  const text = Bun.hash(Buffer.from("ä🎛".repeat(2e6)).toString("latin1")).toString();
  const sent = requests.map(({ body }) => Bun.hash(body).toString());
  const bytes = Bun.hash(content.toString("latin1")).toString();
  expect(sent).toEqual([bytes, bytes, text, bytes, bytes, text]);
});
