import { expect, test } from "bun:test";
import { join } from "node:path";
import { listMethods } from "../../src/capabilities.ts";
import { checks } from "../../src/conformance/checks/index.ts";
import { generalRule, rules } from "../../src/plugins/contract.ts";
import { methods } from "../../src/plugins/methods.ts";
import type { Backend } from "../../src/provider.ts";

const contract = (await Bun.file(join(import.meta.dir, "../../src/provider.ts")).text())
  .replace(/\n *(?:\*|\/\/) ?/g, " ")
  .replace(/\s+/g, " ");

test("every sentence that a failed check quotes stands in the contract", () => {
  for (const sentence of [generalRule, ...rules.map(([, one]) => one)]) {
    expect(contract).toContain(sentence);
  }
});

test("every rule is about some check", () => {
  for (const [pattern] of rules) {
    expect({ pattern, fits: checks.some(({ name }) => pattern.test(name)) }).toEqual({
      pattern,
      fits: true,
    });
  }
});

test("every method that is guarded is one of those that GET /providers tells of", () => {
  const names = Object.keys(methods);
  const whole = Object.fromEntries(names.map((name) => [name, () => undefined]));
  const backend = whole as unknown as Backend;
  expect<readonly string[]>([...listMethods(backend, backend)].sort()).toEqual(names.toSorted());
});
