import * as v from "valibot";
import type { RequestLoad } from "../load/requests.ts";
import type { Figures } from "../metrics.ts";
import { fileId, jobId } from "../upstream/objects.ts";
import type { Row, Subject } from "./row.ts";

const file = fileId(1_000_000, "training");
const connectionCounts = [1, 16, 64];

/** Small requests of which many are answered at once. */
export const requestRows: readonly Row[] = [
  ...connectionCounts.map((count): Row => {
    const id = jobId(0);
    return {
      id: `get-job-${count}`,
      title: `GET one running job, ${countConnections(count)}`,
      route: "job",
      headline: headlineOf(count),
      measure: (subject) => measureGet(subject, count, [[`fine_tuning/jobs/${id}`, id]]),
    };
  }),
  ...connectionCounts.map(
    (count): Row => ({
      id: `get-file-${count}`,
      title: `GET one file, ${countConnections(count)}`,
      route: "file",
      headline: headlineOf(count),
      measure: (subject) => measureGet(subject, count, [[`files/${file}`, file]]),
    }),
  ),
  {
    id: "post-job",
    title: "POST a job, 16 connections",
    route: "create job",
    headline: ["rate"],
    measure: (subject) =>
      measureRequests(subject, {
        method: "POST",
        body: JSON.stringify({ model: "gpt-4o-mini-2024-07-18", training_file: file }),
        items: [{ url: `${subject.target.url}/v1/fine_tuning/jobs`, expect: file }],
        connections: 16,
      }),
  },
  {
    id: "list-jobs",
    title: "list 20 jobs, 16 connections",
    route: "list jobs",
    headline: ["rate"],
    async measure(subject) {
      await checkPage(subject, "", 0);
      return await measureGet(subject, 16, [["fine_tuning/jobs?limit=20", jobId(19)]]);
    },
  },
];

/** Rows about a ledger that knows the newest `count` jobs, of an upstream that has a million. */
export function makeLedgerRows(count: number): readonly Row[] {
  const jobs = count.toLocaleString("en");
  const deepest = count - 100;
  return [
    {
      id: "ledger-lookup",
      title: `GET any of ${jobs} known jobs, 1 connection`,
      route: "job",
      headline: ["p50"],
      measure: (subject) => {
        // A prime step leads through all of them in no order.
        const ids = Array.from({ length: 20_000 }, (_, index) => jobId((index * 611_953) % count));
        return measureGet(
          subject,
          1,
          ids.map((id) => [`fine_tuning/jobs/${id}`, id] as const),
        );
      },
    },
    {
      id: "ledger-first-page",
      title: `first page of ${jobs} jobs merged from two backends, 1 connection`,
      route: "list jobs",
      headline: ["p50"],
      async measure(subject) {
        await checkPage(subject, "", 0);
        return await measureGet(subject, 1, [["fine_tuning/jobs?limit=20", jobId(19)]]);
      },
    },
    {
      id: "ledger-deep-page",
      title: "a page at the end of the same list, 1 connection",
      route: "list jobs",
      headline: ["p50"],
      async measure(subject) {
        const last = Array.from({ length: 50 }, (_, index) => deepest - index * 7);
        await checkPage(subject, `&after=${jobId(deepest)}`, deepest + 1);
        return await measureGet(
          subject,
          1,
          last.map(
            (number) =>
              [`fine_tuning/jobs?limit=20&after=${jobId(number)}`, jobId(number + 20)] as const,
          ),
        );
      },
    },
  ];
}

function headlineOf(connections: number): Row["headline"] {
  return connections === 1 ? ["p50", "added"] : ["rate"];
}

function countConnections(count: number): string {
  return count === 1 ? "1 connection" : `${count} connections`;
}

async function measureGet(
  subject: Subject,
  connections: number,
  items: readonly (readonly [path: string, expect: string])[],
): Promise<Figures> {
  const { url } = subject.target;
  return await measureRequests(subject, {
    method: "GET",
    items: items.map(([path, expect]) => ({ url: `${url}/v1/${path}`, expect })),
    connections,
  });
}

async function measureRequests(
  { target, client, effort }: Subject,
  load: Pick<RequestLoad, "method" | "body" | "items" | "connections">,
): Promise<Figures> {
  const result = await client.runRequests({
    kind: "requests",
    ...load,
    headers: target.headers,
    pids: target.process?.listPids() ?? [],
    ...effort,
  });
  const { perSecond: rate, p50, p99 } = result;
  if (target.process === undefined) return { rate, p50, p99 };
  return { rate, p50, p99, cpu: result.cpuSeconds, share: result.cpuShare };
}

const Page = v.object({
  data: v.array(v.object({ id: v.string() })),
  has_more: v.literal(true),
});

/** Throws unless a page of 20 has just the jobs from number `first` on. */
async function checkPage({ target }: Subject, query: string, first: number): Promise<void> {
  const response = await fetch(`${target.url}/v1/fine_tuning/jobs?limit=20${query}`, {
    headers: target.headers,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`it answered ${response.status}: ${text.slice(0, 300)}`);
  const warning = response.headers.get("warning");
  if (warning !== null) throw new Error(`its list is not whole: ${warning}`);
  const ids = v.parse(Page, JSON.parse(text)).data.map(({ id }) => id);
  const expected = Array.from({ length: 20 }, (_, index) => jobId(first + index));
  if (ids.join() !== expected.join()) throw new Error("its list has other jobs than it should");
}
