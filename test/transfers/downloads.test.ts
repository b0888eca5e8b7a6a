import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { toFile } from "openai";
import { catchError } from "../support/gateway.ts";
import { makeContent, sha256 } from "./content.ts";
import { openConnection, type Place, requestLines, startPlace, waitFor } from "./support.ts";

// Downloads through the gateway, whole, in part, and broken off from either side.

let place: Place;
beforeEach(async () => {
  place = await startPlace({ timeout: 1 });
});
afterEach(() => place.stop());

const large = makeContent(12 * 1024 * 1024);
const small = makeContent(100_000);

function addFile(content: Buffer): string {
  return place.fake.addFile(1000, { filename: "r.csv", content }).id;
}

/** Asks over a bare connection, which shows the framing. */
function ask(id: string, headers = "") {
  const connection = openConnection(place.gateway.url);
  connection.write(
    `GET /v1/files/${id}/content HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`,
  );
  return connection;
}

describe("a download", () => {
  test("has the bytes, the headers and the request id of the service, small or large", async () => {
    const { gateway } = place;
    for (const content of [small, large]) {
      const response = await gateway.client.files.content(addFile(content));
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(response.headers.get("content-disposition")).toBe('attachment; filename="r.csv"');
      expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-z]{32}$/);
      expect(sha256(await response.bytes())).toBe(sha256(content));
    }
  });

  test("of a range is that range, and the service's 416 where there is none", async () => {
    const { gateway } = place;
    const id = addFile(large);
    const read = (range: string) =>
      fetch(`${gateway.url}/v1/files/${id}/content`, { headers: { range } });
    for (const [first, last] of [
      [5, 9],
      [1_000_000, 9_999_999],
      [large.length - 3, large.length - 1],
    ] as const) {
      const response = await read(`bytes=${first}-${last}`);
      expect(response.status).toBe(206);
      expect(response.headers.get("content-range")).toBe(`bytes ${first}-${last}/${large.length}`);
      expect(sha256(await response.bytes())).toBe(sha256(large.subarray(first, last + 1)));
    }
    expect(await (await read("bytes=5-")).bytes()).toHaveLength(large.length - 5);
    const refused = await read(`bytes=${large.length}-`);
    expect(refused.status).toBe(416);
    expect(await refused.json()).toMatchObject({ error: { code: "invalid_range" } });
  });

  test("that its client leaves is given up at the service, before and in its middle", async () => {
    const { gateway, fake } = place;
    const id = addFile(large);
    for (const fault of [{ hang: true }, { hangAfter: 2_000_000 }] as const) {
      const before = fake.requests.length;
      fake.inject({ path: /content$/, ...fault });
      const connection = ask(id);
      await waitFor(() => fake.requests.slice(before).some(({ path }) => /content$/.test(path)));
      await Bun.sleep(20);
      connection.leave();
      await waitFor(() => fake.countOpenConnections() === 0);
    }
    const path = `/v1/files/${id}/content`;
    await waitFor(() => requestLines(gateway, path).length === 2);
    expect(requestLines(gateway, path)).toMatchObject([{ status: 499 }, { status: 200 }]);
  });
});

describe("a download from the local backend", () => {
  test("that its client leaves keeps no file open", async () => {
    const { gateway } = place;
    const { id } = await gateway.client.files.create({
      file: await toFile(large, "a.jsonl"),
      purpose: "fine-tune",
      custom_llm_provider: "local",
    } as never);
    for (const rest of [0, 2, 10]) {
      const connection = ask(id);
      await Bun.sleep(rest);
      connection.leave();
    }
    // place.stop() looks for open files.
    expect(sha256(await (await gateway.client.files.content(id)).bytes())).toBe(sha256(large));
  });
});

describe("a service that breaks off or stops in the middle of a download", () => {
  const faults = [
    ["breaks off", { cutOffAfter: 7_000_000 }],
    ["stops", { hangAfter: 7_000_000 }],
  ] as const;

  test.each(faults)("and %s never makes a short file look whole", async (_, fault) => {
    const { gateway, fake } = place;
    const id = addFile(large);
    fake.inject({ path: /content$/, ...fault });
    const response = await gateway.client.files.content(id);
    expect(await catchError(() => response.bytes())).toBeInstanceOf(Error);
    fake.inject({ path: /content$/, ...fault });
    const received = await ask(id).received;
    expect(received).toStartWith("HTTP/1.1 200 ");
    const head = received.slice(0, received.indexOf("\r\n\r\n")).toLowerCase();
    // Chunks without a last one, or fewer bytes than were announced.
    if (head.includes("transfer-encoding: chunked")) expect(received).not.toEndWith("0\r\n\r\n");
    else expect(head).toContain(`content-length: ${large.length}`);
    expect(received.length).toBeLessThan(large.length);
  });

  test("that is small is a 502 or a 504 and no file at all", async () => {
    const { gateway, fake } = place;
    const id = addFile(small);
    const read = () => gateway.client.files.content(id);
    fake.inject({ path: /content$/, cutOffAfter: 50_000 });
    expect(await catchError(read)).toMatchObject({ status: 502 });
    fake.inject({ path: /content$/, hangAfter: 50_000 });
    expect(await catchError(read)).toMatchObject({ status: 504 });
  });
});
