import { ApiError } from "../errors.ts";
import {
  type Backend,
  type Fields,
  type Runtime,
  requestIdOf,
  withRequestId,
} from "../provider.ts";
import { AnswerError, areHeaders, readContentAnswer } from "./answers.ts";
import { inspectValue, messageOf } from "./import-errors.ts";
import { type Method, type MethodName, methods } from "./methods.ts";

// Between the gateway and a plugin: whatever a plugin throws, answers or leaves undone, the gateway
// gets an answer that keeps the contract, an `ApiError`, or the reason of the signal.

/** Whose backend is guarded. */
export interface GuardOptions {
  /** The provider's name. */
  readonly plugin: string;
  /** The backend's name. */
  readonly backend: string;
  /** How long one call may take; what moves a file's bytes takes as long as it takes. */
  readonly timeoutSeconds: number;
  readonly log: Runtime["log"];
}

/** One call of a plugin's method. */
interface Call extends GuardOptions {
  readonly name: MethodName;
  readonly method: Method;
  readonly run: (...words: unknown[]) => unknown;
}

const maxItems = 1_000_000;
/** So many items may come without a turn of the event loop, which a plugin could hold up for good. */
const itemsPerTurn = 200;
const closeSeconds = 5;
const maxLogged = 1000;

/** A backend with the same methods; the ones that `backend` lacks are absent. */
export function guardBackend(backend: Backend, options: GuardOptions): Backend {
  const guarded: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(methods)) {
    const member: unknown = Reflect.get(backend, name);
    if (typeof member !== "function") continue;
    const run = (...words: unknown[]) => Reflect.apply(member, backend, words);
    const call: Call = { ...options, name: name as MethodName, method, run };
    guarded[name] = method.kind === "list" ? guardList(call) : guardCall(call);
  }
  if (backend.cursors !== undefined) guarded.cursors = [...backend.cursors];
  if (typeof backend.close === "function") guarded.close = () => closeQuietly(backend, options);
  // The loop above has made each method that the contract asks for.
  return guarded as unknown as Backend;
}

function guardCall(call: Call): (...words: unknown[]) => Promise<unknown> {
  const { method, timeoutSeconds, run } = call;
  return async (...words) => {
    const client = signalOf(words);
    // The true signal, for an upload outlives its client by it.
    const endless = method.endless === true;
    const own = endless ? undefined : startCall(client);
    const passed = own === undefined ? words : [...words.slice(0, -1), own.controller.signal];
    try {
      const answer = await settle(
        async () => await run(...passed),
        client,
        endless ? undefined : timeoutSeconds * 1000,
      );
      return readAnswer(call, words, answer, client);
    } catch (error) {
      own?.controller.abort(error);
      throw explain(call, error, client);
    } finally {
      own?.end();
    }
  };
}

function readAnswer(
  call: Call,
  words: readonly unknown[],
  answer: unknown,
  client: AbortSignal,
): unknown {
  const { kind, read, sameId } = call.method;
  if (kind === "nothing") return undefined;
  if (kind === "content") return readContentAnswer(answer, (cause) => explain(call, cause, client));
  try {
    const fields = read?.(answer);
    if (sameId && fields?.id !== words[0]) {
      throw new AnswerError(`an object with the id "${fields?.id}", which was not asked for`);
    }
    return fields;
  } catch (error) {
    logAnswer(call, answer);
    throw error;
  }
}

/** A signal of its own for one call, that follows the client's with the same reason. */
function startCall(client: AbortSignal) {
  const controller = new AbortController();
  const abort = () => controller.abort(client.reason);
  client.addEventListener("abort", abort, { once: true });
  return { controller, end: () => client.removeEventListener("abort", abort) };
}

/** What `run` resolves to, unless `client` is aborted before or the time is over. */
async function settle<Result>(
  run: () => Promise<Result>,
  client: AbortSignal,
  milliseconds: number | undefined,
): Promise<Result> {
  client.throwIfAborted();
  const ended = Promise.withResolvers<never>();
  const abort = () => ended.reject(client.reason);
  client.addEventListener("abort", abort, { once: true });
  const late = () => ended.reject(new LateError());
  const timer = milliseconds === undefined ? undefined : setTimeout(late, milliseconds);
  const running = run();
  // A call that is given up may still fail; that failure is nobody's any more.
  running.catch(() => undefined);
  try {
    return await Promise.race([running, ended.promise]);
  } finally {
    clearTimeout(timer);
    client.removeEventListener("abort", abort);
  }
}

class LateError extends Error {
  override readonly name = "LateError";
}

function guardList(call: Call): (...words: unknown[]) => AsyncIterable<Fields> {
  return (...words) => {
    const items: AsyncIterable<Fields> = readItems();
    return items;

    async function* readItems(): AsyncGenerator<Fields> {
      const client = signalOf(words);
      const { controller, end } = startCall(client);
      let iterator: AsyncIterator<unknown> | undefined;
      try {
        const list = call.run(...words.slice(0, -1), controller.signal);
        iterator = openList(list);
        let left = call.timeoutSeconds * 1000;
        const seen = new Set<unknown>();
        for (const open = iterator; ; ) {
          const started = performance.now();
          const next = await settle(async () => await open.next(), client, left);
          left = Math.max(0, left - (performance.now() - started));
          withRequestId(items, requestIdOf(Object(list)) ?? null);
          if (Object(next).done === true) return;
          yield readItem(call, Object(next).value, seen);
          if (seen.size % itemsPerTurn === 0) await new Promise(setImmediate);
        }
      } catch (error) {
        controller.abort(error);
        throw explain(call, error, client);
      } finally {
        end();
        controller.abort();
        closeList(iterator);
      }
    }
  };
}

function openList(list: unknown): AsyncIterator<unknown> {
  // What an async function returns is no list, and nobody waits for it.
  if (list instanceof Promise) list.catch(() => undefined);
  const open: unknown = Object(list)[Symbol.asyncIterator];
  const iterator: unknown = typeof open === "function" ? Reflect.apply(open, list, []) : undefined;
  if (typeof Object(iterator).next !== "function") {
    throw new AnswerError("no async iterable, such as an async generator makes");
  }
  return iterator as AsyncIterator<unknown>;
}

/** Not awaited: a list that hangs would never end. */
function closeList(iterator: AsyncIterator<unknown> | undefined): void {
  (async () => await iterator?.return?.())().catch(() => undefined);
}

function readItem(call: Call, item: unknown, seen: Set<unknown>): Fields {
  try {
    const fields = call.method.read?.(item) ?? {};
    if (seen.has(fields.id)) throw new AnswerError(`a list with "${fields.id}" twice in it`);
    if (seen.size >= maxItems) throw new AnswerError(`a list of more than ${maxItems} items`);
    seen.add(fields.id);
    return fields;
  } catch (error) {
    logAnswer(call, item);
    throw error;
  }
}

function signalOf(words: readonly unknown[]): AbortSignal {
  const signal = words.at(-1);
  if (signal instanceof AbortSignal) return signal;
  throw new Error("The last argument of every method is an AbortSignal");
}

/** What the gateway throws for what a plugin threw, or for an answer of it that is none. */
function explain(call: Call, error: unknown, client: AbortSignal): unknown {
  try {
    return explainError(call, error, client);
  } catch {
    // Even to look at what was thrown can fail.
    return explainError(call, new Error("It threw what cannot be looked at"), client);
  }
}

function explainError(call: Call, error: unknown, client: AbortSignal): unknown {
  const { plugin, backend, name, log } = call;
  const problem = error instanceof ApiError ? findErrorProblem(error) : undefined;
  if (error instanceof ApiError && problem === undefined) return error;
  if (client.aborted) return client.reason;
  if (error instanceof LateError) {
    const message = `Cannot get an answer from backend "${backend}": ${name}() of its plugin "${plugin}" took more than ${call.timeoutSeconds} seconds`;
    log("error", message);
    return new ApiError(504, message, { code: "plugin_timeout" });
  }
  if (error instanceof AnswerError || problem !== undefined) {
    const answered = problem ?? `answered with ${messageWithoutName(error)}`;
    const message = `Cannot use the answer of backend "${backend}": ${name}() of its plugin "${plugin}" ${answered}`;
    log("error", message, { cause: stackOf(Object(error).cause ?? error) });
    return new ApiError(502, message, { code: "plugin_invalid_answer", cause: error });
  }
  const message = `Cannot get an answer from backend "${backend}": ${name}() of its plugin "${plugin}" failed`;
  log("error", message, { reason: stackOf(error) });
  return new ApiError(502, message, { code: "plugin_failed", cause: error });
}

/** What makes an `ApiError` no answer: JavaScript lets a plugin put anything into it. */
function findErrorProblem({ status, message, type, param, code, headers, beside }: ApiError) {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    return `threw an ApiError with the status ${inspectValue(status, 40)}`;
  }
  if (status === 401) {
    return "threw an ApiError with the status 401, which is about the client's key for this gateway";
  }
  const texts = [message, type, param ?? "", code ?? ""];
  if (!texts.every((one) => typeof one === "string")) return "threw an ApiError without texts";
  if (!areHeaders(headers)) return "threw an ApiError with headers that are none";
  const framing = Object.keys(headers).find((name) =>
    /^(content-|transfer-|connection$)/i.test(name),
  );
  if (framing !== undefined) return `threw an ApiError with a header "${framing}"`;
  try {
    JSON.stringify(beside);
    return undefined;
  } catch {
    return "threw an ApiError whose fields are not JSON";
  }
}

function messageWithoutName(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string {
  if (error instanceof Error && typeof error.stack === "string") return error.stack;
  return messageOf(error);
}

function logAnswer({ plugin, name, log }: Call, answer: unknown): void {
  log("error", `${name}() of plugin "${plugin}" gave an answer that cannot be used`, {
    answer: inspectValue(answer, maxLogged),
  });
}

/** A plugin cannot keep the gateway from stopping. */
async function closeQuietly(backend: Backend, { plugin, log }: GuardOptions): Promise<void> {
  const never = new AbortController().signal;
  try {
    await settle(async () => await backend.close?.(), never, closeSeconds * 1000);
  } catch (error) {
    log("error", `close() of plugin "${plugin}" failed`, { reason: stackOf(error) });
  }
}
