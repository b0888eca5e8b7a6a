import { expect, test } from "bun:test";
import { findNearName, joinWords } from "../../src/config/names.ts";

const candidates = ["api_key", "api_base", "name", "organization"];

test.each([
  ["api_kye", "api_key"],
  ["apikey", "api_key"],
  ["API-KEY", "api_key"],
  ["ap_bse", "api_base"],
  ["nmae", "name"],
  ["organisation", "organization"],
  ["organ", "organization"],
  ["api_b", "api_base"],
])("findNearName() takes %s for %s", (written, meant) => {
  expect(findNearName(written, candidates)).toBe(meant);
});

test.each([
  "",
  "colour",
  "x",
  "api",
  "api_",
  "organs_of_state",
  "timeout",
  "a".repeat(65),
  "name".repeat(1000),
])("findNearName() finds nothing near %s", (written) => {
  expect(findNearName(written, candidates)).toBeUndefined();
});

test("findNearName() takes the nearest, the first of equals, and bears an empty list", () => {
  expect(findNearName("abc", ["abcde", "abcd", "xbc"])).toBe("abcd");
  expect(findNearName("abc", [])).toBeUndefined();
});

test("findNearName() takes the start of one name, not of two", () => {
  const settings = ["list_timeout_seconds", "idle_timeout_seconds", "list_timeouts_of_old_times"];
  expect(findNearName("list_timeout", settings.slice(0, 2))).toBe("list_timeout_seconds");
  expect(findNearName("Idle-Time", settings)).toBe("idle_timeout_seconds");
  expect(findNearName("list_time", settings)).toBeUndefined();
});

test("joinWords() joins none, one and many", () => {
  expect(joinWords([])).toBe("");
  expect(joinWords(["a"])).toBe("a");
  expect(joinWords(["a", "b", "c"])).toBe("a, b or c");
});
