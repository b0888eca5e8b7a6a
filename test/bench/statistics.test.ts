import { describe, expect, test } from "bun:test";
import { percentile, summarize } from "./statistics.ts";

describe("summarize()", () => {
  test("takes the middle of an odd number of values in any order", () => {
    expect(summarize([9, 1, 5])).toEqual({ median: 5, least: 1, most: 9 });
  });

  test("takes what is halfway between the two in the middle of an even number", () => {
    expect(summarize([10, 1, 2, 4])).toEqual({ median: 3, least: 1, most: 10 });
  });

  test("throws for no values", () => {
    expect(() => summarize([])).toThrow("there are no values");
  });
});

describe("percentile()", () => {
  const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1);

  test("is the value that the share of all does not exceed", () => {
    expect(percentile(hundred, 0.5)).toBe(50);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile(hundred, 1)).toBe(100);
  });

  test("is the only value there is", () => {
    expect(percentile(Float64Array.of(7), 0.01)).toBe(7);
  });
});
