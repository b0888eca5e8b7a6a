import { ApiError } from "../errors.ts";

/** The bytes of a request's body as they come; a 408 where none come for `idleSeconds`. */
export async function* readBody(
  request: Request,
  idleSeconds: number,
): AsyncGenerator<Uint8Array, void> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  let waiting = false;
  let idle = false;
  const timer = setTimeout(() => {
    // The time that the gateway takes for a chunk is not the client's.
    if (!waiting) return timer.refresh();
    idle = true;
    // The pending read ends with it.
    reader.cancel().catch(() => undefined);
    return timer;
  }, idleSeconds * 1000);
  try {
    for (;;) {
      waiting = true;
      timer.refresh();
      const { done, value } = await reader.read();
      waiting = false;
      if (idle) throw tooSlow(idleSeconds);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
  }
}

function tooSlow(seconds: number): ApiError {
  return new ApiError(408, `Cannot read the body: nothing came for ${seconds} seconds`, {
    code: "request_timeout",
    headers: { connection: "close" },
  });
}
