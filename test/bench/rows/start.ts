import type { Row } from "./row.ts";

/** What starting the targets shows; it is measured there. */
export const startRow: Row = {
  id: "start",
  title: "start",
  route: "start",
  headline: ["start", "idle"],
  measure: async () => ({}),
};

/** How large a target's program is. */
export const sizeRow: Row = {
  id: "size",
  title: "the executable",
  route: "size",
  headline: ["size"],
  async measure({ target }) {
    if (target.executable === undefined) throw new Error("it is not one file");
    return { size: Bun.file(target.executable).size };
  },
};
