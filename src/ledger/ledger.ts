import { chmod } from "node:fs/promises";
import { SQL } from "bun";
import type { DatasetReport } from "../dataset/report.ts";
import { StartError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Fields } from "../provider.ts";
import { migrations } from "./migrations.ts";

/** What the ledger can hold: things that clients name by an id. */
export type Kind = "file" | "job" | "upload";

/** Where a thing lives and how it was last seen. */
export interface Entry {
  readonly id: string;
  /** The backend's name in `config.yaml`. */
  readonly backend: string;
  /** Unix seconds as the backend tells them. */
  readonly created_at: number;
  /** The last seen object. */
  readonly object: Fields;
  /** Of the content of a file that came through this gateway, in hexadecimal. */
  readonly sha256?: string;
}

/**
 * The gateway's durable record of files and jobs and whose they are. What it lacks is asked for
 * at the backends, so a failure to write is logged and never fails a request.
 */
export interface Ledger {
  find(kind: Kind, id: string): Promise<Entry | undefined> | Entry;
  /**
   * The entries of one backend that are nearest in time to a moment in Unix seconds, and newer or
   * older than it; the nearest one first.
   */
  findNear(near: NearQuery): Promise<readonly Entry[]>;
  /** Writes what is new or has changed; a known `sha256` stays where the new entry has none. */
  record(kind: Kind, entries: readonly Entry[]): Promise<void>;
  forget(kind: Kind, id: string): Promise<void>;
  /** Keeps what is known of the content of a backend's file. */
  saveReport(backend: string, id: string, report: DatasetReport): Promise<void>;
  findReport(backend: string, id: string): Promise<DatasetReport | undefined>;
  forgetReport(backend: string, id: string): Promise<void>;
  /** Throws if the ledger cannot be read. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Where `findNear` looks. */
export interface NearQuery {
  readonly kind: Kind;
  readonly backend: string;
  readonly created_at: number;
  readonly side: "newer" | "older";
  readonly limit: number;
}

interface Row {
  readonly id: string;
  readonly backend: string;
  readonly created_at: number | bigint | string;
  readonly object: string;
  readonly sha256: string | null;
}

// SQLite takes at most 32,766 parameters in a statement; six go with each row.
const rowsPerStatement = 1000;

/** Opens the ledger at `path`, a SQLite file, and brings its schema up to date. */
export async function openLedger(path: string, log: Log): Promise<Ledger> {
  const sql = new SQL({ adapter: "sqlite", filename: path });
  try {
    await sql.unsafe("PRAGMA busy_timeout = 5000");
    await sql.unsafe("PRAGMA journal_mode = WAL");
    await sql.unsafe("PRAGMA synchronous = NORMAL");
    await migrate(sql, path);
    await chmod(path, 0o600);
  } catch (error) {
    await sql.close().catch(() => undefined);
    if (error instanceof StartError) throw error;
    throw new StartError(
      `Cannot open the ledger "${path}": ${messageOf(error)}; move it away to have it rebuilt by use`,
      { cause: error },
    );
  }
  return createLedger(sql, log);
}

async function migrate(sql: SQL, path: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction.unsafe(
      "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)",
    );
    const rows: { version: number }[] = await transaction`SELECT version FROM schema_version`;
    const version = Number(rows[0]?.version ?? 0);
    if (version > migrations.length) {
      throw new StartError(
        `Cannot open the ledger "${path}": it has schema version ${version}, and this tunegate knows ${migrations.length}; use the newer tunegate that wrote it, or another --data-dir`,
      );
    }
    for (const step of migrations.slice(version)) {
      for (const statement of step) await transaction.unsafe(statement);
    }
    if (rows.length === 0) {
      await transaction`INSERT INTO schema_version (version) VALUES (${migrations.length})`;
    } else if (version < migrations.length) {
      await transaction`UPDATE schema_version SET version = ${migrations.length}`;
    }
  });
}

function createLedger(sql: SQL, log: Log): Ledger {
  const recent = createRecentEntries();

  async function read(kind: Kind, id: string): Promise<Entry | undefined> {
    try {
      const rows: Row[] =
        await sql`SELECT id, backend, created_at, object, sha256 FROM objects WHERE kind = ${kind} AND id = ${id}`;
      const entry = rows[0] && toEntry(rows[0]);
      if (entry !== undefined) recent.set(kind, entry);
      return entry;
    } catch (error) {
      logFailure("read", error);
      return undefined;
    }
  }

  function logFailure(action: string, error: unknown): void {
    log.write("error", `Cannot ${action} the ledger`, { error: messageOf(error) });
  }

  return {
    find: (kind, id) => recent.get(kind, id) ?? read(kind, id),

    async findNear({ kind, backend, created_at, side, limit }) {
      try {
        const rows: Row[] =
          side === "newer"
            ? await sql`SELECT id, backend, created_at, object, sha256 FROM objects
                WHERE kind = ${kind} AND backend = ${backend} AND created_at > ${created_at}
                ORDER BY created_at ASC LIMIT ${limit}`
            : await sql`SELECT id, backend, created_at, object, sha256 FROM objects
                WHERE kind = ${kind} AND backend = ${backend} AND created_at < ${created_at}
                ORDER BY created_at DESC LIMIT ${limit}`;
        return rows.map(toEntry);
      } catch (error) {
        logFailure("read", error);
        return [];
      }
    },

    async record(kind, entries) {
      try {
        for (let start = 0; start < entries.length; start += rowsPerStatement) {
          const rows = entries
            .slice(start, start + rowsPerStatement)
            .map(({ id, backend, created_at, object, sha256 = null }) => ({
              kind,
              id,
              backend,
              created_at,
              object: JSON.stringify(object),
              sha256,
            }));
          await sql`INSERT INTO objects ${sql(rows)}
            ON CONFLICT (kind, id) DO UPDATE SET
              backend = excluded.backend, created_at = excluded.created_at, object = excluded.object,
              sha256 = COALESCE(excluded.sha256, objects.sha256)
            WHERE objects.object <> excluded.object OR objects.backend <> excluded.backend
              OR excluded.sha256 IS NOT NULL`;
        }
        for (const entry of entries) recent.update(kind, entry);
      } catch (error) {
        logFailure("write to", error);
      }
    },

    async forget(kind, id) {
      try {
        await sql`DELETE FROM objects WHERE kind = ${kind} AND id = ${id}`;
      } catch (error) {
        logFailure("write to", error);
      }
      recent.delete(kind, id);
    },

    async saveReport(backend, id, report) {
      try {
        const text = JSON.stringify(report);
        await sql`INSERT INTO reports (backend, id, report) VALUES (${backend}, ${id}, ${text})
          ON CONFLICT (backend, id) DO UPDATE SET report = excluded.report`;
      } catch (error) {
        logFailure("write to", error);
      }
    },

    async findReport(backend, id) {
      try {
        const rows: { readonly report: string }[] =
          await sql`SELECT report FROM reports WHERE backend = ${backend} AND id = ${id}`;
        return rows[0] && JSON.parse(rows[0].report);
      } catch (error) {
        logFailure("read", error);
        return undefined;
      }
    },

    async forgetReport(backend, id) {
      try {
        await sql`DELETE FROM reports WHERE backend = ${backend} AND id = ${id}`;
      } catch (error) {
        logFailure("write to", error);
      }
    },

    async ping() {
      await sql`SELECT version FROM schema_version`;
    },

    async close() {
      await sql.close();
    },
  };
}

function toEntry(row: Row): Entry {
  const object: Fields = JSON.parse(row.object);
  return {
    id: row.id,
    backend: row.backend,
    created_at: Number(row.created_at),
    object,
    ...(row.sha256 !== null && { sha256: row.sha256 }),
  };
}

const maxRecentEntries = 1000;

/** The entries asked for last: reading one from the database costs as much as half a small call. */
function createRecentEntries() {
  const entries = new Map<string, Entry>();
  const keyOf = (kind: Kind, id: string) => `${kind} ${id}`;

  return {
    get: (kind: Kind, id: string) => entries.get(keyOf(kind, id)),
    set(kind: Kind, entry: Entry): void {
      const key = keyOf(kind, entry.id);
      entries.delete(key);
      entries.set(key, entry);
      if (entries.size <= maxRecentEntries) return;
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    },
    /** Lists bring thousands that nobody asks for, so only what is here already changes. */
    update(kind: Kind, entry: Entry): void {
      const key = keyOf(kind, entry.id);
      const known = entries.get(key);
      if (known !== undefined) entries.set(key, { ...known, ...entry });
    },
    delete: (kind: Kind, id: string) => entries.delete(keyOf(kind, id)),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
