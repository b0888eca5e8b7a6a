#!/usr/bin/env node
// Runs the executable that npm has installed for this system, in place of this process as far as
// can be seen: its output, its signals and its exit code.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

function findExecutable() {
  const system = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  // Not every npm tells the two C libraries of Linux apart, so both packages may be there.
  const isMusl =
    process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime;
  const name = `@tunegate/${system}${isMusl ? "-musl" : ""}`;
  const program = process.platform === "win32" ? "tunegate.exe" : "tunegate";
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), program);
  } catch {
    process.stderr.write(
      `Cannot run tunegate: the package ${name} is not installed; it comes with tunegate unless optional dependencies are left out, or there is none for this system\n`,
    );
    process.exit(1);
  }
}

const executable = findExecutable();
let child;
// Before there is anything to end, or a signal at once would leave it behind. A terminal sends its
// signals to both; what else is sent to this process is for the other.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child = spawn(executable, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  process.stderr.write(`Cannot run tunegate: ${error.message}\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
