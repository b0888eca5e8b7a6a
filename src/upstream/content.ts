import type { FileContent } from "../provider.ts";
import type { Deadline } from "./deadline.ts";
import { explainFailure, refuseAnswer, requestIdFrom, type Service } from "./failures.ts";
import type { Incoming } from "./http/transport.ts";

// A web server can give a length only to a body that it has whole; most results are this small.
const maxBlobBytes = 4 * 1024 * 1024;
const keptHeaders = ["content-type", "content-disposition", "content-length", "content-range"];

/**
 * The content of a download: a Blob when it is small, else a stream that fails with an `ApiError`
 * when the service breaks off or is quiet for as long as the deadline.
 */
export async function readContent(
  service: Service,
  answer: Incoming,
  deadline: Deadline,
): Promise<FileContent> {
  const { status } = answer;
  const requestId = requestIdFrom(service, answer);
  if (status !== 200 && status !== 206) {
    throw refuseAnswer(service, `it has the status ${status}`, requestId);
  }
  const headers: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = answer.header(name);
    if (value !== null) headers[name] = value;
  }
  if (requestId !== null) headers["x-request-id"] = requestId;
  // The length is that of the compressed bytes, and they come unpacked.
  if (answer.header("content-encoding") !== null) delete headers["content-length"];

  const explain = (cause: unknown) => explainFailure(service, cause, deadline, { requestId });
  const length = Number(headers["content-length"] ?? Number.NaN);
  if (length <= maxBlobBytes) {
    try {
      const body = await new Response(answer.stream()).blob();
      return { status, headers: { ...headers, "content-length": String(body.size) }, body };
    } catch (cause) {
      throw explain(cause);
    } finally {
      deadline.end();
    }
  }
  return { status, headers, body: guardStream(answer.stream(), deadline, explain) };
}

/** The time runs only while the service is asked, not while the client is slow to take. */
function guardStream(
  body: ReadableStream<Uint8Array>,
  deadline: Deadline,
  explain: (cause: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      deadline.extend();
      try {
        const { done, value } = await reader.read();
        deadline.pause();
        if (!done) return controller.enqueue(value);
        deadline.end();
        controller.close();
      } catch (cause) {
        deadline.end();
        controller.error(explain(cause));
      }
    },
    async cancel(reason) {
      deadline.end();
      await reader.cancel(reason);
    },
  });
}
