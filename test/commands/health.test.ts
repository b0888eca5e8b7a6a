import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { checkHealth } from "../../src/commands/health.ts";

const main = join(import.meta.dir, "../../src/main.ts");

function serveStatus(status: number, paths: string[] = []) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      paths.push(new URL(request.url).pathname);
      return Response.json({ status: "whatever" }, { status });
    },
  });
}

describe("tunegate health", () => {
  test("says that a gateway is ready, whose host may stand for every address", async () => {
    const paths: string[] = [];
    await using server = serveStatus(200, paths);
    for (const host of ["127.0.0.1", "0.0.0.0", "localhost"]) {
      const { port = 0 } = server;
      expect(await checkHealth({ host, port, timeoutSeconds: 5 })).toMatch(
        /^The gateway at http:\/\/(127\.0\.0\.1|localhost):\d+ is ready$/,
      );
    }
    expect(paths).toEqual(Array(3).fill("/health/readiness"));
  });

  test("refuses one that is not ready, with the address and what would work", async () => {
    await using server = serveStatus(503);
    const { port = 0 } = server;
    await expect(checkHealth({ host: "127.0.0.1", port, timeoutSeconds: 5 })).rejects.toThrow(
      `Cannot find a gateway that is ready at http://127.0.0.1:${port}: it answers with status 503; name another with --host and --port`,
    );
  });

  test("refuses where nothing listens, where nothing is said, and where it is no HTTP", async () => {
    for (const [greeting, reason] of [
      ["", "it has not answered in 0.2 seconds"],
      ["220 mail.example.com ESMTP\r\n", "Cannot find a gateway that is ready"],
    ] as const) {
      const server = Bun.listen({
        port: 0,
        hostname: "127.0.0.1",
        socket: { data: () => undefined, open: (socket) => void socket.write(greeting) },
      });
      const asked = { host: "127.0.0.1", port: server.port, timeoutSeconds: 0.2 };
      await expect(checkHealth(asked)).rejects.toThrow(reason);
      server.stop(true);
      await expect(checkHealth(asked)).rejects.toThrow("ECONNREFUSED");
    }
  });

  test("asks this machine itself where HTTP_PROXY names a proxy, and exits with 0 or 1", async () => {
    await using server = serveStatus(200);
    const port = String(server.port);
    const run = async (port: string) => {
      const child = Bun.spawn([process.execPath, main, "health", "--port", port], {
        env: { PATH: process.env.PATH ?? "", HTTP_PROXY: "http://127.0.0.1:9" },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return { code: await child.exited, stdout, stderr };
    };
    expect(await run(port)).toEqual({
      code: 0,
      stdout: `The gateway at http://127.0.0.1:${port} is ready\n`,
      stderr: "",
    });
    await server.stop(true);
    const failed = await run(port);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toStartWith("Cannot find a gateway that is ready at");
    expect(failed.stderr).not.toContain("    at ");
  });
});
