import { parseArgs } from "node:util";

/** How to measure, and where the results go. */
export interface Options {
  /** How often each figure is taken. */
  readonly rounds: number;
  readonly quick: boolean;
  /** Only rows whose id contains this. */
  readonly only: string | undefined;
  readonly out: string;
  readonly readme: boolean;
  /** Whether proxies and clients are tied to CPUs of their own. */
  readonly pinned: boolean;
}

/** What `--help` prints. */
export const usage = `Measures tunegate beside nginx, Portkey and LiteLLM, on this machine alone.

Usage
  bun run bench [options]

Options
      --rounds N    how often to measure each figure (default: 3; 1 with --quick)
      --quick       shorter runs, a smaller ledger, no files of 512 MiB: two minutes
      --only TEXT   only rows whose id contains TEXT; --only list names the ids
      --out DIR     where results.json and results.md are written (default: dist/bench)
      --readme      also write the table into README.md
      --unpinned    let the system choose the CPUs
      --help        print this text
`;

/** Reads the command line; throws an Error that says what is wrong with it. */
export function readOptions(words: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      out: { type: "string", default: "dist/bench" },
      readme: { type: "boolean", default: false },
      unpinned: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(
      `Cannot measure "${values.rounds}" rounds: it must be a whole number from 1 on`,
    );
  }
  const { quick, only, out, readme, unpinned } = values;
  return { rounds, quick, only, out, readme, pinned: !unpinned };
}
