import type { Deadline } from "../deadline.ts";
import { isStream, type OutgoingStream, type Transport } from "./transport.ts";

/** Sends calls by Bun's fetch, which knows the way through a proxy. */
export function createFetchTransport({ origin }: URL): Transport {
  return async ({ method, path, headers, body, isRepeatable }, deadline) => {
    const sent = { ...headers };
    // Without it the body goes chunked, which not every service takes.
    if (isStream(body)) sent["content-length"] = String(body.length);
    const response = await fetch(origin + path, {
      method,
      headers: sent,
      signal: deadline.signal,
      redirect: "manual",
      // Bun gives up after five quiet minutes; the deadline is ours.
      timeout: false,
      keepalive: isRepeatable,
      ...(body !== undefined && { body: isStream(body) ? toStream(body, deadline) : body }),
    });
    return {
      status: response.status,
      header: (name) => response.headers.get(name),
      text: (maxBytes) => readText(response, maxBytes),
      stream: () => response.body ?? new Blob().stream(),
      discard: () => void response.body?.cancel().catch(() => undefined),
    };
  };
}

function toStream({ pieces }: OutgoingStream, deadline: Deadline): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      // The time that it takes to get a piece is not the service's.
      deadline.pause();
      const { done, value } = await pieces.next();
      deadline.extend();
      if (done) controller.close();
      // A copy, which that of a Buffer by `slice` is not: fetch may still read it when the next piece
      // takes its place.
      else controller.enqueue(new Uint8Array(value));
    },
    async cancel() {
      await pieces.return();
    },
  });
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new RangeError(`it has more than ${maxBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
