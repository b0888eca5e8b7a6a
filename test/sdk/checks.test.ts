import { expect, test } from "bun:test";
import { type Checks, createChecks } from "./checks.ts";

function collect(): { readonly checks: Checks; readonly lines: string[] } {
  const lines: string[] = [];
  const checks = createChecks(new AbortController().signal, (line) => lines.push(line));
  return { checks, lines };
}

const program = (script: string) => ({ command: [process.execPath, "-e", script] });

test("run() counts what passes and what fails, and prints why", async () => {
  const { checks, lines } = collect();
  await checks.run("good", () => undefined);
  await checks.run("bad", () => {
    throw new Error("the reason");
  });
  await checks.run("late", () => Promise.reject(new Error("the other reason")));
  expect(checks).toMatchObject({ passed: 1, failed: 2 });
  expect(lines[0]).toBe("ok good");
  expect(lines[1]).toStartWith("not ok bad\nError: the reason");
  expect(lines[2]).toStartWith("not ok late\nError: the other reason");
});

test("runProgram() counts the lines of a program and shows all it prints", async () => {
  const { checks, lines } = collect();
  await checks.runProgram("p", program(`console.log("ok a\\nnot ok b\\n  why\\nok c")`));
  expect(checks).toMatchObject({ passed: 2, failed: 1 });
  expect(lines).toEqual(["ok a", "not ok b", "  why", "ok c"]);
});

test("runProgram() counts a program as failed that checks nothing or breaks off", async () => {
  const { checks, lines } = collect();
  await checks.runProgram("silent", program("0"));
  await checks.runProgram("broken", program(`console.log("ok a"); throw new Error("the reason")`));
  await checks.runProgram("killed", program(`process.kill(process.pid, "SIGKILL")`));
  expect(checks).toMatchObject({ passed: 1, failed: 3 });
  expect(lines[0]).toStartWith("not ok silent: it ended with 0 after 0 checks");
  expect(lines[2]).toStartWith("not ok broken: it ended with 1 after 1 checks");
  expect(lines[2]).toContain("the reason");
  expect(lines[3]).toStartWith("not ok killed: it ended with null");
});

test("an interruption ends the program that runs, and nothing starts after it", async () => {
  const interruption = new AbortController();
  const checks = createChecks(interruption.signal, () => interruption.abort(new Error("stopped")));
  const endless = program(`console.log("started"); setInterval(() => {}, 1000)`);
  await expect(checks.runProgram("endless", endless)).rejects.toThrow("stopped");
  await expect(checks.run("next", () => undefined)).rejects.toThrow("stopped");
});
