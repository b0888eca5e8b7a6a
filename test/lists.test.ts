import { describe, expect, test } from "bun:test";
import { ApiError } from "../src/errors.ts";
import { type Cursor, type PageRequest, readPage, type Source } from "../src/lists.ts";

interface Item {
  readonly id: string;
  readonly created_at: number;
}

const never = new AbortController().signal;

function createSource(backend: string, items: readonly Item[], startsAfter: boolean): Source<Item> {
  return {
    backend,
    startsAfter,
    async *read({ after }) {
      const start = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1;
      if (after !== undefined && start === 0) throw new ApiError(404, `No such item: ${after}`);
      yield* items.slice(start);
    },
  };
}

async function readAll(
  sources: readonly Source<Item>[],
  order: "asc" | "desc",
  limit: number,
): Promise<readonly string[]> {
  const seen: string[] = [];
  let after: Cursor | undefined;
  for (let pages = 0; pages < 1000; pages += 1) {
    const request: PageRequest = { limit, order, after, timeoutSeconds: 5 };
    const page = await readPage(sources, request, never);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    seen.push(...page.items.map(({ item }) => item.id));
    const last = page.items.at(-1);
    if (!page.hasMore || last === undefined) return seen;
    after = { id: last.item.id, backend: last.backend, created_at: last.item.created_at };
  }
  throw new Error("the list has no end");
}

/** Pseudo-random whole numbers below `below`, the same in every run. */
function createDice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

describe("readPage()", () => {
  test("pages through any merged list without repeating or missing an item", async () => {
    const roll = createDice(7);
    for (let round = 0; round < 120; round += 1) {
      const order = round % 2 === 0 ? "desc" : "asc";
      const expected = new Map<string, { created_at: number; rank: number; place: number }>();
      const sources = Array.from({ length: 1 + roll(4) }, (_, rank) => {
        // Few distinct seconds, so that most items share theirs with others.
        const times = Array.from({ length: roll(12) }, () => roll(5)).sort((a, b) => b - a);
        const items = times.map((created_at, place) => ({ id: `${rank}-${place}`, created_at }));
        if (order === "asc") items.reverse();
        for (const [place, item] of items.entries()) {
          expected.set(item.id, { created_at: item.created_at, rank, place });
        }
        return createSource(`backend${rank}`, items, roll(2) === 0);
      });
      const sign = order === "desc" ? 1 : -1;
      const wanted = [...expected.entries()]
        .sort(
          ([, a], [, b]) =>
            sign * (b.created_at - a.created_at || a.rank - b.rank) || a.place - b.place,
        )
        .map(([id]) => id);
      expect(await readAll(sources, order, 1 + roll(6))).toEqual(wanted);
    }
  });

  test("tells that there is more only where there is", async () => {
    const items = [3, 2, 1].map((created_at) => ({ id: `i${created_at}`, created_at }));
    const request = { order: "desc", after: undefined, timeoutSeconds: 5 } as const;
    const source = createSource("a", items, false);
    expect((await readPage([source], { ...request, limit: 2 }, never)).hasMore).toBe(true);
    expect((await readPage([source], { ...request, limit: 3 }, never)).hasMore).toBe(false);
  });

  test("goes on without a backend that fails or hangs, and names it", async () => {
    const down: Source<Item> = {
      backend: "down",
      startsAfter: false,
      // biome-ignore lint/correctness/useYield: it fails before its first item
      async *read() {
        throw new ApiError(502, "down");
      },
    };
    const slow: Source<Item> = {
      backend: "slow",
      startsAfter: false,
      async *read() {
        await new Promise(() => undefined);
      },
    };
    const good = createSource("good", [{ id: "x", created_at: 1 }], false);
    const request = { limit: 5, order: "desc", after: undefined, timeoutSeconds: 0.05 } as const;
    const page = await readPage([down, slow, good], request, never);
    expect(page.items.map(({ item }) => item.id)).toEqual(["x"]);
    expect(page.failures.map(({ backend }) => backend).sort()).toEqual(["down", "slow"]);
    expect(page.hasMore).toBe(false);
  });

  test("throws when every backend fails", async () => {
    const down: Source<Item> = {
      backend: "down",
      startsAfter: false,
      // biome-ignore lint/correctness/useYield: it fails before its first item
      async *read() {
        throw new ApiError(502, "down");
      },
    };
    const request = { limit: 5, order: "desc", after: undefined, timeoutSeconds: 5 } as const;
    expect(readPage([down], request, never)).rejects.toThrow("down");
    expect(readPage([down, down], request, never)).rejects.toThrow("down");
  });

  test("answers 400 for a cursor that the list does not have", async () => {
    const source = createSource("a", [{ id: "x", created_at: 1 }], false);
    const after = { id: "gone", backend: "a", created_at: 1 };
    const request = { limit: 5, order: "desc", after, timeoutSeconds: 5 } as const;
    expect(readPage([source], request, never)).rejects.toMatchObject({
      status: 400,
      param: "after",
    });
    expect(readPage([source, createSource("b", [], false)], request, never)).rejects.toMatchObject({
      status: 400,
      param: "after",
    });
  });

  test("ends every backend's list when it has enough", async () => {
    let ended = false;
    const endless: Source<Item> = {
      backend: "endless",
      startsAfter: false,
      async *read() {
        try {
          for (let created_at = 1000; ; created_at -= 1) yield { id: `e${created_at}`, created_at };
        } finally {
          ended = true;
        }
      },
    };
    const request = { limit: 2, order: "desc", after: undefined, timeoutSeconds: 5 } as const;
    const page = await readPage([endless], request, never);
    expect(page.items).toHaveLength(2);
    await Bun.sleep(1);
    expect(ended).toBe(true);
  });
});
