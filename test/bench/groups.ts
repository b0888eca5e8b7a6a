import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { prepareLedger } from "./ledger.ts";
import type { Options } from "./options.ts";
import { makeLedgerRows, requestRows } from "./rows/requests.ts";
import type { Row } from "./rows/row.ts";
import { sizeRow, startRow } from "./rows/start.ts";
import { transferRows } from "./rows/transfers.ts";
import type { Group } from "./run.ts";
import { direct } from "./targets/direct.ts";
import { litellm } from "./targets/litellm.ts";
import { nginx, nginxBuffered } from "./targets/nginx.ts";
import { portkey } from "./targets/portkey.ts";
import type { Place } from "./targets/target.ts";
import { createFullTunegate, createTunegate } from "./targets/tunegate.ts";

/** All that is to be measured, as far as the options ask for it. */
export function makeGroups({ directory, cache }: Place, options: Options): readonly Group[] {
  const executable = join(directory, "tunegate");
  const ledgerJobs = options.quick ? 100_000 : 1_000_000;
  const groups: readonly Group[] = [
    {
      name: "all targets",
      rows: [startRow, sizeRow, ...transferRows, ...requestRows],
      targets: [direct, nginx, nginxBuffered, createTunegate(executable), portkey, litellm],
    },
    {
      name: "full ledger",
      rows: makeLedgerRows(ledgerJobs),
      targets: [direct, createFullTunegate(executable)],
      async prepare(own) {
        const data = join(own, "data");
        if (existsSync(data)) return;
        const ledger = await prepareLedger(cache, ledgerJobs);
        await mkdir(data, { mode: 0o700 });
        await copyFile(ledger, join(data, "ledger.sqlite"));
      },
    },
  ];
  return groups
    .map((group) => ({ ...group, rows: selectRows(group.rows, options.only) }))
    .filter(({ rows }) => rows.length > 0);
}

function selectRows(rows: readonly Row[], only: string | undefined): readonly Row[] {
  return only === undefined ? rows : rows.filter(({ id }) => id.includes(only));
}
