import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A tunegate server in a process of its own. */
export interface ServerProcess {
  readonly url: string;
  /** What it has written to standard output so far, which starts with its address. */
  readOutput(): Promise<string>;
  /** The log so far. */
  readLog(): Promise<string>;
  /** Sends a signal. */
  send(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, and SIGKILL after 20 s; resolves to the exit code, null after a signal. */
  stop(): Promise<number | null>;
}

/** What to start. */
export interface ServerOptions {
  /** The words that start it: program and arguments. */
  readonly command: readonly string[];
  /** Its working directory, where its output is kept, too. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Starts a server and waits until it listens; throws its log if it does not. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const output = join(options.directory, "server.out");
  const log = join(options.directory, "server.log");
  const child = Bun.spawn([...options.command], {
    cwd: options.directory,
    env: options.environment,
    stdin: "ignore",
    // Files and not pipes: nobody has to keep reading them.
    stdout: Bun.file(output),
    stderr: Bun.file(log),
    // Ctrl-C at a terminal reaches the whole group; the server is to be stopped in order.
    detached: true,
  });
  const readOutput = () => readFile(output, "utf8");
  const readLog = () => readFile(log, "utf8");

  async function stop(): Promise<number | null> {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await child.exited;
    clearTimeout(timer);
    return child.signalCode === null ? child.exitCode : null;
  }

  try {
    const url = await waitForAddress(child, readOutput, readLog);
    return { url, readOutput, readLog, send: (signal) => child.kill(signal), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function waitForAddress(
  child: Bun.Subprocess,
  readOutput: () => Promise<string>,
  readLog: () => Promise<string>,
): Promise<string> {
  const deadline = performance.now() + 30_000;
  while (true) {
    const url = /listens on (\S+)\n/.exec(await readOutput())?.[1];
    if (url !== undefined) return url;
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || performance.now() > deadline) {
      const what = ended ? "it ended" : "it printed no address for 30 s";
      throw new Error(`Cannot start the server: ${what}\n${await readLog()}`);
    }
    await Bun.sleep(20);
  }
}
