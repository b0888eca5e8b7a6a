import { expect, test } from "bun:test";
import { followClient, outliveClient } from "../src/client-signal.ts";

function start() {
  const client = new AbortController();
  const stopping = new AbortController();
  return { client, stopping, signal: followClient(client.signal, stopping.signal) };
}

test("followClient() ends with its client, or with the gateway, for that one's reason", () => {
  const gone = new Error("gone");
  const first = start();
  first.client.abort(gone);
  expect(first.signal.reason).toBe(gone);
  const second = start();
  second.stopping.abort(gone);
  expect(second.signal.reason).toBe(gone);
  expect(followClient(AbortSignal.abort(gone), new AbortController().signal).reason).toBe(gone);
});

test("outliveClient() leaves the gateway's end only", () => {
  const { client, stopping, signal } = start();
  outliveClient(signal);
  client.abort();
  expect(signal.aborted).toBe(false);
  stopping.abort();
  expect(signal.aborted).toBe(true);
});

test("outliveClient() changes nothing for a signal of another kind, or one that is over", () => {
  const other = new AbortController();
  outliveClient(other.signal);
  other.abort();
  expect(other.signal.aborted).toBe(true);
  const { client, signal } = start();
  client.abort();
  outliveClient(signal);
  expect(signal.aborted).toBe(true);
});
