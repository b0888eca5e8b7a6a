import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { openLedger } from "../../src/ledger/ledger.ts";
import { createLog } from "../../src/log.ts";
import { accounts, hasJob, makeJob } from "./upstream/objects.ts";

/**
 * A ledger that knows the newest `count` jobs of the backends "even" and "odd", written once by the
 * gateway's own code and kept in `cache` for as long as that code stays as it is. Returns its path.
 */
export async function prepareLedger(cache: string, count: number): Promise<string> {
  const path = join(cache, `ledger-${await hashSources()}-${count}.sqlite`);
  if (existsSync(path)) return path;
  const unfinished = `${path}.new`;
  for (const end of ["", "-wal", "-shm"]) await rm(unfinished + end, { force: true });
  const complaints: string[] = [];
  const sink = (line: string) => void complaints.push(line);
  const log = createLog({ level: "warn", format: "text", secrets: [], sink });
  const ledger = await openLedger(unfinished, log);
  for (let first = 0; first < count; first += 1000) {
    await ledger.record("job", makeEntries(first, Math.min(1000, count - first)));
  }
  await ledger.close();
  const [complaint] = complaints;
  if (complaint !== undefined) throw new Error(`Cannot make a ledger: ${complaint}`);
  await rename(unfinished, path);
  return path;
}

function makeEntries(first: number, count: number) {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    const object = makeJob(number);
    const backend = hasJob(accounts.even, number) ? "even" : "odd";
    return { id: object.id, created_at: object.created_at, backend, object };
  });
}

async function hashSources(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const directory = join(import.meta.dir, "../../src/ledger");
  const files = [...new Bun.Glob("*.ts").scanSync({ cwd: directory, absolute: true })].sort();
  for (const file of [...files, join(import.meta.dir, "upstream/objects.ts")]) {
    hash.update(await Bun.file(file).text());
  }
  return hash.digest("hex").slice(0, 12);
}
