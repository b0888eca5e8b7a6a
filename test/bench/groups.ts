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
import { nginx, nginxPlain } from "./targets/nginx.ts";
import { portkey } from "./targets/portkey.ts";
import type { Ground } from "./targets/target.ts";
import { createFullTunegate, createPluginTunegate, createTunegate } from "./targets/tunegate.ts";

/** All that is to be measured, as far as the options ask for it. */
export function makeGroups({ directory, cache }: Ground, options: Options): readonly Group[] {
  const executable = join(directory, "tunegate");
  const ledgerJobs = options.quick ? 100_000 : 1_000_000;
  const targets = [direct, nginx, nginxPlain, createTunegate(executable), portkey, litellm];
  const withPlugin = [...targets, createPluginTunegate(executable)];
  const groups: readonly Group[] = [
    // A proxy may use both CPUs for one upload, as it would anywhere else.
    {
      name: "start and transfers",
      pinned: false,
      rows: [startRow, sizeRow, ...transferRows],
      targets,
    },
    { name: "requests", pinned: true, rows: requestRows, targets: withPlugin },
    {
      name: "full ledger",
      pinned: true,
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

/** The rows whose id contains `only`; all without it. */
export function selectRows<One extends Row>(
  rows: readonly One[],
  only: string | undefined,
): readonly One[] {
  return only === undefined ? rows : rows.filter(({ id }) => id.includes(only));
}
