import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { toFile } from "openai";
import type { Fault } from "../fakes/openai.ts";
import { catchError } from "../support/gateway.ts";
import { makeContent, sha256 } from "./content.ts";
import { type Place, startPlace, waitFor } from "./support.ts";

// Services that answer early, close, stall or trickle while a large file is being sent to them.

let place: Place;
beforeEach(async () => {
  place = await startPlace();
});
afterEach(() => place.stop());

const content = makeContent(24 * 1024 * 1024);

let hint = "";

function upload(maxRetries = 0) {
  const baseURL = `${place.gateway.url}${hint}/v1`;
  const client = place.gateway.client.withOptions({ maxRetries, baseURL });
  return async () =>
    await client.files.create({ file: await toFile(content, "a.jsonl"), purpose: "fine-tune" });
}

function storedHashes(): readonly string[] {
  return [...place.fake.state.files.values()].map((file) => sha256(file.content));
}

describe.each([
  ["kept before it is sent", ""],
  ["passed on while it comes", "/fake"],
])("a file that is %s:", (_, prefix) => {
  beforeEach(() => {
    hint = prefix;
  });

  describe("an answer that comes before the file is sent", () => {
    const endings: readonly (readonly [string, Fault])[] = [
      ["reads no further", {}],
      ["reads on", { readsOn: true }],
      ["closes", { closes: true }],
    ];
    const refusals = [
      [400, 400, "too odd"],
      [401, 502, "does not accept its credential"],
      [413, 413, "too odd"],
      [429, 429, "too odd"],
      [503, 502, "too odd"],
    ] as const;
    const cases = endings.flatMap(([ending, fault]) =>
      refusals.map(([sent, status, message]) => [sent, ending, status, message, fault] as const),
    );

    test.each(cases)("with %d by a service that %s is the client's %d", async (...values) => {
      const [sent, ending, status, message, fault] = values;
      const { fake } = place;
      const answer = { status: sent, body: '{"error":{"message":"too odd","code":"odd"}}' };
      fake.inject({ takes: 1_000_000, answer, ...fault });
      expect(await catchError(upload())).toMatchObject({
        status,
        message: expect.stringContaining(message),
      });
      // Who does not read does not see that the connection is closed either.
      if (ending !== "reads no further") await waitFor(() => fake.countOpenConnections() === 0);
      expect(fake.state.files.size).toBe(0);
      expect(fake.requests[0]?.body.length).toBeLessThan(content.length);
    });
  });

  test("a service that says it has the file before it was sent is not believed", async () => {
    const { fake } = place;
    const body = JSON.stringify(fake.addFile(1000));
    fake.state.files.clear();
    fake.inject({ takes: 1_000_000, answer: { status: 200, body }, readsOn: true });
    const error = await catchError(upload(2));
    expect(error).toMatchObject({ status: 502, code: "upstream_invalid_answer" });
    expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("false");
    await waitFor(() => fake.countOpenConnections() === 0);
    expect(fake.requests).toHaveLength(1);
  });

  describe("a service that breaks off", () => {
    test("in the middle of the file lets SDKs send it again, for it cannot have it", async () => {
      const { fake } = place;
      fake.inject({ takes: 1_000_000, reset: true, times: 2 });
      const error = await catchError(upload());
      expect(error).toMatchObject({
        status: 502,
        code: "upstream_connection_failed",
        message: expect.stringContaining('Cannot send the whole file to backend "fake"'),
      });
      expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("true");
      expect((await upload(1)()).bytes).toBe(content.length);
      expect(storedHashes()).toEqual([sha256(content)]);
      expect(fake.requests).toHaveLength(3);
    });

    test("after the last byte keeps SDKs from sending it again, for it may have it", async () => {
      const { fake } = place;
      fake.inject({ reset: true, carriedOut: true });
      const error = await catchError(upload(2));
      expect(error).toMatchObject({ status: 502, code: "upstream_connection_failed" });
      expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("false");
      expect(fake.requests).toHaveLength(1);
      expect(storedHashes()).toEqual([sha256(content)]);
    });
  });

  describe("a service that is slow", () => {
    beforeEach(async () => {
      await place.stop();
      place = await startPlace({ timeout: 2 });
    });

    test("gets all the time that it needs while it goes on taking", async () => {
      place.fake.inject({ pause: 60 });
      const started = performance.now();
      expect((await upload()()).bytes).toBe(content.length);
      // Or else this test would show nothing.
      expect(performance.now() - started).toBeGreaterThan(2000);
      expect(storedHashes()).toEqual([sha256(content)]);
    });

    test("and stops taking is a 504 that SDKs may send again", async () => {
      const { fake } = place;
      fake.inject({ takes: 1_000_000, hang: true });
      const error = await catchError(upload());
      expect(error).toMatchObject({
        status: 504,
        code: "upstream_timeout",
        message: expect.stringContaining("it took nothing for 2 seconds"),
      });
      expect((error as { headers: Headers }).headers.get("x-should-retry")).toBe("true");
      await waitFor(() => fake.countOpenConnections() === 0);
      expect(fake.state.files.size).toBe(0);
    });
  });
});
