import { expect, test } from "bun:test";
import { accounts, jobCount, jobId, jobNumber, makeJobPage } from "./objects.ts";

test("jobNumber() finds the number of each id that jobId() makes", () => {
  for (let number = 0; number < jobCount; number += 997)
    expect(jobNumber(jobId(number))).toBe(number);
  expect(jobNumber(jobId(jobCount))).toBeUndefined();
  expect(jobNumber("ftjob-abc")).toBeUndefined();
});

test("makeJobPage() pages each account to its end and knows no jobs of others", () => {
  const ids = (after: string | null, limit: number) => makeJobPage(accounts.odd, after, limit);
  expect(ids(null, 2)).toMatchObject({
    data: [{ id: jobId(1) }, { id: jobId(3) }],
    has_more: true,
  });
  expect(ids(jobId(jobCount - 3), 5)).toMatchObject({
    data: [{ id: jobId(jobCount - 1) }],
    has_more: false,
  });
  expect(ids(jobId(2), 1)).toBeUndefined();
});
