import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Entry, openLedger } from "../src/ledger/ledger.ts";
import { migrations } from "../src/ledger/migrations.ts";
import { createLog } from "../src/log.ts";
import { makeDirectory } from "./support/directory.ts";
import { catchError } from "./support/gateway.ts";

let directory: ReturnType<typeof makeDirectory>;
let path: string;
const lines: string[] = [];
const log = createLog({
  level: "debug",
  format: "json",
  secrets: [],
  sink: (line) => lines.push(line),
});

beforeEach(() => {
  directory = makeDirectory();
  path = join(directory.path, "ledger.sqlite");
  lines.length = 0;
});
afterEach(() => directory.remove());

function makeEntry(id: string, backend = "a", more: object = {}): Entry {
  return { id, backend, created_at: 1, object: { id, created_at: 1, ...more } };
}

describe("openLedger()", () => {
  test("keeps what was recorded over a restart, kinds apart", async () => {
    const first = await openLedger(path, log);
    await first.record("job", [makeEntry("x", "a", { status: "queued", text: "é🎉'" })]);
    await first.close();
    const second = await openLedger(path, log);
    expect(await second.find("job", "x")).toEqual(
      makeEntry("x", "a", { status: "queued", text: "é🎉'" }),
    );
    expect(await second.find("file", "x")).toBeUndefined();
    await second.record("job", [makeEntry("x", "b", { status: "running" })]);
    expect(await second.find("job", "x")).toMatchObject({
      backend: "b",
      object: { status: "running" },
    });
    await second.forget("job", "x");
    expect(await second.find("job", "x")).toBeUndefined();
    await second.close();
  });

  test("keeps a file's sha256 when a later entry has none", async () => {
    const first = await openLedger(path, log);
    await first.record("file", [{ ...makeEntry("f"), sha256: "ab12" }]);
    await first.record("file", [makeEntry("f", "a", { status: "processed" })]);
    expect(await first.find("file", "f")).toMatchObject({ sha256: "ab12" });
    await first.close();
    const second = await openLedger(path, log);
    const entry = { ...makeEntry("f", "a", { status: "processed" }), sha256: "ab12" };
    expect(await second.find("file", "f")).toEqual(entry);
    await second.record("file", [makeEntry("f", "a", { status: "error" })]);
    expect(await second.find("file", "f")).toMatchObject({ sha256: "ab12" });
    await second.close();
  });

  test("finds what was recorded last, however many entries were asked for", async () => {
    const ledger = await openLedger(path, log);
    const ids = Array.from({ length: 2500 }, (_, at) => `f${at}`);
    await ledger.record(
      "file",
      ids.map((id) => makeEntry(id)),
    );
    for (const id of ids) expect(await ledger.find("file", id)).toEqual(makeEntry(id));
    await ledger.record("file", [makeEntry("f0", "b"), makeEntry("f2499", "b")]);
    expect(await ledger.find("file", "f0")).toEqual(makeEntry("f0", "b"));
    expect(await ledger.find("file", "f2499")).toEqual(makeEntry("f2499", "b"));
    await ledger.forget("file", "f2499");
    expect(await ledger.find("file", "f2499")).toBeUndefined();
    await ledger.close();
  });

  test("records more rows than one statement takes", async () => {
    const ledger = await openLedger(path, log);
    await ledger.record(
      "file",
      Array.from({ length: 2500 }, (_, at) => makeEntry(`f${at}`)),
    );
    expect(await ledger.find("file", "f2499")).toEqual(makeEntry("f2499"));
    expect(lines).toEqual([]);
    await ledger.close();
  });

  test("keeps what was recorded before a kill -9", async () => {
    const script = `
      const { openLedger } = await import(${JSON.stringify(join(import.meta.dir, "../src/ledger/ledger.ts"))});
      const ledger = await openLedger(${JSON.stringify(path)}, { write() {}, mask: (text) => text });
      for (let at = 0; ; at += 1) {
        await ledger.record("job", [{ id: "j" + at, backend: "a", created_at: at, object: { id: "j" + at } }]);
        console.log(at);
      }`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    let last = -1;
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const seen = decoder.decode(chunk).trim().split("\n");
      last = Number(seen.at(-1));
      if (last >= 50) break;
    }
    child.kill("SIGKILL");
    await child.exited;
    const ledger = await openLedger(path, log);
    for (let at = 0; at <= Math.min(last, 50); at += 1) {
      expect(await ledger.find("job", `j${at}`)).toMatchObject({ created_at: at });
    }
    await ledger.close();
  });

  test("refuses a ledger from a newer version, and leaves it as it is", async () => {
    await (await openLedger(path, log)).close();
    const database = new Database(path);
    database.run(`UPDATE schema_version SET version = ${migrations.length + 1}`);
    database.close();
    const error = await catchError(() => openLedger(path, log));
    expect(String(error)).toContain(`it has schema version ${migrations.length + 1}`);
    expect(String(error)).toContain("use the newer tunegate");
    const after = new Database(path);
    expect(after.query("SELECT version FROM schema_version").get()).toEqual({
      version: migrations.length + 1,
    });
    after.close();
  });

  test("refuses a file that is no ledger", async () => {
    await Bun.write(path, "this is a text, and a long one at that ".repeat(200));
    const error = await catchError(() => openLedger(path, log));
    expect(String(error)).toContain(
      "file is not a database; move it away to have it rebuilt by use",
    );
    await Bun.write(path, "");
    await (await openLedger(path, log)).close();
  });

  test("is readable by its owner alone", async () => {
    await (await openLedger(path, log)).close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("logs a failure to write and goes on", async () => {
    const ledger = await openLedger(path, log);
    const database = new Database(path);
    database.run("DROP TABLE objects");
    database.close();
    await ledger.record("job", [makeEntry("x")]);
    expect(await ledger.find("job", "x")).toBeUndefined();
    expect(lines.join("\n")).toContain("Cannot write to the ledger");
    expect(lines.join("\n")).toContain("Cannot read the ledger");
    await ledger.close();
  });
});
