import { expect, test } from "bun:test";
import { createRandom, shuffle } from "../../src/trainer/random.ts";

test("createRandom() gives the same numbers in [0, 1) for a seed and others for another", () => {
  const draw = (seed: number) => Array.from({ length: 1000 }, createRandom(seed));
  for (const seed of [0, 1, 2147483647]) {
    expect(draw(seed)).toEqual(draw(seed));
    expect(draw(seed)).not.toEqual(draw(seed + 1));
    expect(draw(seed).every((value) => value >= 0 && value < 1)).toBe(true);
    expect(new Set(draw(seed)).size).toBeGreaterThan(990);
  }
});

test("shuffle() keeps all items and brings each of them to each place", () => {
  const random = createRandom(9);
  const places = Array.from({ length: 4 }, () => new Set<number>());
  for (let round = 0; round < 200; round += 1) {
    const items = [0, 1, 2, 3];
    shuffle(items, random);
    expect([...items].sort()).toEqual([0, 1, 2, 3]);
    for (const [place, item] of items.entries()) places[place]?.add(item);
  }
  expect(places.map((items) => items.size)).toEqual([4, 4, 4, 4]);
});
