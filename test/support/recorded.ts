import { Database } from "bun:sqlite";
import { join } from "node:path";

/** What the ledger of a running gateway has as a file's SHA-256; undefined where it has no file. */
export function readRecordedSha256(dataDirectory: string, id: string): unknown {
  const database = new Database(join(dataDirectory, "ledger.sqlite"), { readonly: true });
  try {
    const query = database.query("SELECT sha256 FROM objects WHERE kind = 'file' AND id = ?");
    return query.values(id)[0]?.[0];
  } finally {
    database.close();
  }
}
