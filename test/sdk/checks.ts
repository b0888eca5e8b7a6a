/** Counts what passed and failed; prints a line for each. */
export interface Checks {
  readonly passed: number;
  readonly failed: number;
  /** Runs one check: "ok <name>", or "not ok <name>" with the error below it. */
  run(name: string, body: () => unknown): Promise<void>;
  /**
   * Runs a program that prints "ok …" and "not ok …" lines itself, and shows them as they come. A
   * program that prints none, or ends badly without saying why, counts as one failure.
   */
  runProgram(name: string, program: Program): Promise<void>;
  /** Adds what another tool has counted. */
  add(passed: number, failed: number): void;
}

/** A program to run to its end. */
export interface Program {
  readonly command: readonly string[];
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What a program has printed, and how it ended; `code` is null after a signal. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Starts to count; `signal` ends programs that run, `print` gets each line. */
export function createChecks(signal: AbortSignal, print: (line: string) => void): Checks {
  let passed = 0;
  let failed = 0;

  async function run(name: string, body: () => unknown): Promise<void> {
    signal.throwIfAborted();
    try {
      await body();
      passed += 1;
      print(`ok ${name}`);
    } catch (error) {
      failed += 1;
      print(`not ok ${name}\n${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  async function runProgram(name: string, program: Program): Promise<void> {
    let lines = 0;
    let failures = 0;
    const { code, errors } = await runToEnd(program, signal, (line) => {
      print(line);
      if (line.startsWith("ok ")) lines += 1;
      if (line.startsWith("not ok ")) failures += 1;
    });
    passed += lines;
    failed += failures;
    if (code === 0 && lines + failures > 0) return;
    failed += 1;
    print(`not ok ${name}: it ended with ${code} after ${lines + failures} checks\n${errors}`);
  }

  return {
    get passed() {
      return passed;
    },
    get failed() {
      return failed;
    },
    run,
    runProgram,
    add(more, less) {
      passed += more;
      failed += less;
    },
  };
}

/** Runs a program without input; `onLine` gets each line of its standard output as it comes. */
export async function runToEnd(
  { command, directory, environment }: Program,
  signal: AbortSignal,
  onLine?: (line: string) => void,
): Promise<Outcome> {
  signal.throwIfAborted();
  const child = Bun.spawn([...command], {
    ...(directory !== undefined && { cwd: directory }),
    env: environment ?? process.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal,
  });
  const errors = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let output = "";
  let printed = 0;
  for await (const chunk of child.stdout) {
    output += decoder.decode(chunk, { stream: true });
    if (onLine === undefined) continue;
    for (let end = output.indexOf("\n", printed); end !== -1; ) {
      onLine(output.slice(printed, end));
      printed = end + 1;
      end = output.indexOf("\n", printed);
    }
  }
  await child.exited;
  signal.throwIfAborted();
  return { code: child.exitCode, output, errors: await errors };
}
