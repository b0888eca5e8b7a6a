import type { TransferLoad } from "../load/transfers.ts";
import type { Figures } from "../metrics.ts";
import { summarize } from "../statistics.ts";
import { fileId } from "../upstream/objects.ts";
import { readMemory, resetPeak } from "../usage.ts";
import type { Row, Subject } from "./row.ts";

const mebibyte = 1024 * 1024;

/** Large bodies, from the smallest on, so that none finds more memory taken than it takes. */
export const transferRows: readonly Row[] = [
  makeRow("upload-1m", "upload 1 MiB", { size: mebibyte, repeat: 20 }),
  makeRow("upload-64m", "upload 64 MiB", { size: 64 * mebibyte, repeat: 5 }),
  makeRow("upload-512m", "upload 512 MiB", { size: 512 * mebibyte, repeat: 2 }),
  makeRow("upload-8x128m", "eight uploads of 128 MiB at once", {
    size: 128 * mebibyte,
    parallel: 8,
  }),
  {
    ...makeRow("upload-slow", "upload 32 MiB to an upstream that takes 8 MB/s", {
      size: 32 * mebibyte,
      filename: "slow.jsonl",
    }),
    together: true,
  },
  makeRow("download-512m", "download 512 MiB", {
    kind: "download",
    size: 512 * mebibyte,
    repeat: 2,
  }),
];

type Shape = Pick<TransferLoad, "kind" | "size" | "parallel" | "repeat" | "filename">;

function makeRow(id: string, title: string, given: Partial<Shape> & Pick<Shape, "size">): Row {
  const shape = {
    kind: "upload",
    parallel: 1,
    repeat: 1,
    filename: "train.jsonl",
    ...given,
  } as const;
  return {
    id,
    title,
    route: shape.kind,
    headline: ["time", "memory"],
    measure: (subject) => measure(subject, shape),
    verify: (subject) => verify(subject, shape),
  };
}

async function measure(subject: Subject, shape: Shape): Promise<Figures> {
  const { target, client, idleBytes } = subject;
  // The first upload of all has code to load that the others find loaded.
  await client.runTransfers(
    makeLoad(subject, { ...shape, size: mebibyte, filename: "train.jsonl" }),
  );
  const pids = target.process?.listPids() ?? [];
  resetPeak(pids);
  const { seconds } = await client.runTransfers(makeLoad(subject, shape));
  const time = summarize(seconds).median;
  if (target.process === undefined) return { time };
  return { time, memory: readMemory(pids, "peak") - idleBytes };
}

async function verify(subject: Subject, shape: Shape): Promise<void> {
  const load = makeLoad(subject, { ...shape, repeat: 1, filename: "verify.jsonl" });
  await subject.client.runTransfers({ ...load, verify: true });
}

function makeLoad({ target }: Subject, shape: Shape): TransferLoad {
  const path = shape.kind === "upload" ? "files" : `files/${fileId(shape.size, "content")}/content`;
  return {
    ...shape,
    url: `${target.url}/v1/${path}`,
    headers: { ...target.headers, ...target.uploadHeaders },
    verify: false,
    timeoutSeconds: 60,
  };
}
