import { describe, expect, test } from "bun:test";
import { parseAddress } from "../../src/http/address.ts";
import { createRouter } from "../../src/http/router.ts";

describe("parseAddress()", () => {
  test("reads paths with and without v1, under a backend, and with a trailing slash", () => {
    for (const [path, hint, segments] of [
      ["/v1/files", undefined, ["files"]],
      ["/files", undefined, ["files"]],
      ["/files/", undefined, ["files"]],
      ["/azure/v1/files/file-1/content/", "azure", ["files", "file-1", "content"]],
      ["/my%20backend/v1/models", "my backend", ["models"]],
      ["/", undefined, [""]],
      ["/v1", undefined, []],
    ] as const) {
      const address = parseAddress(`http://localhost:1${path}`);
      expect({ hint: address.hint, segments: address.segments }).toEqual({
        hint,
        segments: [...segments],
      });
    }
  });

  test("decodes ids and keeps the query apart", () => {
    const address = parseAddress(
      "http://x/v1/fine_tuning/jobs/projects%2F1%2Fjobs%2F2?after=a%2Fb",
    );
    expect(address.segments).toEqual(["fine_tuning", "jobs", "projects/1/jobs/2"]);
    expect(address.query).toBe("after=a%2Fb");
  });

  test("answers 400 to broken percent-encoding", () => {
    expect(() => parseAddress("http://x/v1/files/%E0%A4%A")).toThrow("not valid percent-encoding");
  });
});

describe("createRouter()", () => {
  const find = createRouter([
    ["GET", "files/:id", "one"],
    ["POST", "files/:id", "change"],
    ["GET", "files/:id/content", "content"],
    ["GET", "files/special", "special"],
  ]);

  test("finds the handlers and ids of a path", () => {
    expect(find(["files", "file-1"]).methods.get("GET")).toBe("one");
    expect([...find(["files", "file-1"]).methods.keys()]).toEqual(["GET", "POST"]);
    expect(find(["files", "a/b", "content"])).toMatchObject({ ids: ["a/b"] });
    expect(find(["files", "special"]).methods.get("GET")).toBe("special");
  });

  test("finds nothing for unknown paths and empty ids", () => {
    for (const path of [
      ["nothing"],
      [],
      ["files"],
      ["files", ""],
      ["files", "a", "b"],
      ["files", "a", "content", "x"],
    ]) {
      expect(find(path).methods.size).toBe(0);
    }
  });
});
