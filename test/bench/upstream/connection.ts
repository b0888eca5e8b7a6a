import { createMessageReader, createWriter, type Head } from "../http.ts";
import {
  type Answer,
  answerError,
  answerRequest,
  answerUpload,
  readAnswer,
  upstreamKey,
} from "./answers.ts";
import { createFormMeter, type FormMeter } from "./form.ts";

/** One connection to the fake: bytes in, answers out. */
export interface Connection {
  push(bytes: Buffer): void;
  /** To be called when the socket takes more. */
  drain(): void;
}

/** The part of Bun's socket that a connection needs. */
export interface Socket {
  write(bytes: Uint8Array): number;
  end(): void;
  pause(): void;
  resume(): void;
}

/** A request under way. */
interface Call {
  readonly head: Head;
  readonly meter: FormMeter | undefined;
  readonly started: number;
  /** Bytes of its body so far. */
  received: number;
  refusal: Answer | undefined;
}

// A file whose name starts with "slow" is taken at this speed: 8 MB/s.
const slowBytesPerMillisecond = 8_000;

// Who asks with the same bytes again gets the same bytes again, which saves the reading.
let latest: { readonly request: Buffer; readonly answer: Answer } | undefined;

/** Serves one connection, which sends a request only after the answer to the one before. */
export function createConnection(socket: Socket): Connection {
  let call: Call | undefined;
  let flush: (() => boolean) | undefined;
  let resuming: Timer | undefined;

  function respond(answer: Answer): void {
    flush = createWriter(socket, readAnswer(answer));
    drain();
  }

  function drain(): void {
    if (flush?.() !== true) return;
    flush = undefined;
    if (call !== undefined && asksToClose(call.head)) socket.end();
  }

  const reader = createMessageReader({
    head(head) {
      call = openCall(head);
    },
    body(bytes) {
      if (call === undefined) return;
      takeBody(call, bytes);
      const pause = restOf(call);
      if (pause < 5) return;
      socket.pause();
      clearTimeout(resuming);
      resuming = setTimeout(() => socket.resume(), pause);
    },
    end() {
      if (call !== undefined) respond(answerCall(call));
    },
  });
  return {
    push(bytes) {
      if (reader.isIdle() && latest?.request.equals(bytes)) return respond(latest.answer);
      reader.push(bytes);
    },
    drain,
  };
}

function openCall(head: Head): Call {
  const type = head.get("content-type") ?? "";
  return {
    head,
    meter: type.startsWith("multipart/form-data") ? createFormMeter(type) : undefined,
    started: performance.now(),
    received: 0,
    refusal:
      head.get("authorization") === `Bearer ${upstreamKey}`
        ? undefined
        : answerError(401, "fake: the account's key is missing"),
  };
}

function takeBody(call: Call, bytes: Buffer): void {
  call.received += bytes.length;
  if (call.refusal !== undefined) return;
  try {
    call.meter?.push(bytes);
  } catch (error) {
    call.refusal = answerError(400, `fake: ${error}`);
  }
}

/** How many milliseconds a call is ahead of the speed at which it is to be taken. */
function restOf({ meter, received, started }: Call): number {
  if (meter?.filename()?.startsWith("slow") !== true) return 0;
  return received / slowBytesPerMillisecond - (performance.now() - started);
}

function answerCall({ head, meter, refusal }: Call): Answer {
  if (refusal !== undefined) return refusal;
  if (meter === undefined) return lookUp(head);
  try {
    return answerUpload(meter.finish());
  } catch (error) {
    return answerError(400, `fake: ${error}`);
  }
}

function lookUp(head: Head): Answer {
  const [method = "", url = ""] = head.text.slice(0, head.text.indexOf("\r")).split(" ");
  const answer = answerRequest(method, url);
  if (method === "GET" && !asksToClose(head)) {
    latest = { request: Buffer.from(`${head.text}\r\n`, "latin1"), answer };
  }
  return answer;
}

function asksToClose(head: Head): boolean {
  return head.get("connection") === "close";
}
