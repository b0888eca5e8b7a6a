/** Runs a program to its end and returns what it printed; throws what it complained about. */
export async function run(words: readonly string[], directory: string): Promise<string> {
  const child = Bun.spawn([...words], {
    cwd: directory,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return output;
  throw new Error(`Cannot run "${words.slice(0, 3).join(" ")}": ${complaint.trim() || output}`);
}
