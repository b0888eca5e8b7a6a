/**
 * The steps from an empty ledger to the present schema, oldest first; a step that has been
 * released is never changed. Written in the SQL that SQLite and Postgres share.
 */
export const migrations: readonly (readonly string[])[] = [
  [
    `CREATE TABLE objects (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      backend TEXT NOT NULL,
      created_at BIGINT NOT NULL,
      object TEXT NOT NULL,
      PRIMARY KEY (kind, id)
    )`,
    "CREATE INDEX objects_by_time ON objects (kind, backend, created_at)",
  ],
  ["ALTER TABLE objects ADD COLUMN sha256 TEXT"],
  [
    `CREATE TABLE reports (
      backend TEXT NOT NULL,
      id TEXT NOT NULL,
      report TEXT NOT NULL,
      PRIMARY KEY (backend, id)
    )`,
  ],
];
