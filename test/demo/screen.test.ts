import { expect, test } from "bun:test";
import { createScreen, formatTable, wrapText } from "./screen.ts";

const progress = { step: 5, totalSteps: 10, trainLoss: 2.345, validLoss: 3 };
const clear = "\r\u001b[2K";

function draw(terminal: { isTTY?: boolean; columns?: number }) {
  let text = "";
  const screen = createScreen({ ...terminal, write: (more) => (text += more) });
  return { screen, read: () => text };
}

test("a terminal gets a bar that stays below the lines", () => {
  const { screen, read } = draw({ isTTY: true, columns: 80 });
  screen.showProgress(progress);
  screen.print("a line");
  screen.endProgress();
  screen.print("below");
  const lines = Bun.stripANSI(read().replaceAll(clear, "<clear>")).split("\n");
  const bar = "  ━━━━━━━━━━──────────  step  5/10   training loss 2.35   validation loss 3.00";
  expect(lines).toEqual([`<clear>${bar}<clear>a line`, bar, "below", ""]);
});

test("a narrow terminal gets a shorter bar, or none", () => {
  for (const columns of [70, 60, 20]) {
    const { screen, read } = draw({ isTTY: true, columns });
    screen.showProgress(progress);
    const line = Bun.stripANSI(read().replaceAll(clear, ""));
    expect(line.length).toBeLessThan(columns);
  }
});

test("without a terminal there is a line for every tenth, and no control character", () => {
  const { screen, read } = draw({});
  for (let step = 1; step <= 40; step += 1) {
    screen.showProgress({ step, totalSteps: 40, trainLoss: 1, validLoss: undefined });
  }
  screen.endProgress();
  const lines = read().trimEnd().split("\n");
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe("  step  4/40   training loss 1.00");
  expect(lines[9]).toBe("  step 40/40   training loss 1.00");
});

test("formatTable() puts numbers to the right and words to the left", () => {
  const rows = [
    ["1", "a"],
    ["22", "bbb"],
  ];
  expect(formatTable(["n", "word"], rows).map(Bun.stripANSI)).toEqual([
    " n  word",
    " 1  a",
    "22  bbb",
  ]);
  expect(formatTable(["n"], []).map(Bun.stripANSI)).toEqual(["n"]);
});

test("wrapText() breaks between words and leaves a long word whole", () => {
  expect(wrapText("one two three", 8)).toEqual(["one two", "  three"]);
  expect(wrapText("abcdefghijkl", 4)).toEqual(["abcdefghijkl"]);
});
