import { afterEach, describe, expect, test } from "bun:test";
import { ApiError } from "../../src/errors.ts";
import { guardBackend } from "../../src/plugins/guard.ts";
import { methods } from "../../src/plugins/methods.ts";
import { type Backend, requestIdOf, withRequestId } from "../../src/provider.ts";
import { catchError } from "../support/gateway.ts";

const never = new AbortController().signal;
const upload = {
  content: new Blob(["{}\n"]),
  sha256: "0",
  filename: "a.jsonl",
  purpose: "fine-tune",
  extra: [],
};
const request = { model: "m", training_file: "file-1" };
const file = { id: "file-1", bytes: 3, created_at: 5, filename: "a.jsonl", purpose: "fine-tune" };
const job = { id: "job-1", created_at: 5, model: "m", status: "queued", training_file: "file-1" };

let logLines: string[] = [];
afterEach(() => {
  logLines = [];
});

/** A guarded backend made of members as JavaScript has them, unchecked by any type. */
function guard(members: Readonly<Record<string, unknown>>, timeoutSeconds = 5): Required<Backend> {
  const refuse = async () => {
    throw new Error("not to be called");
  };
  const whole = { uploadFile: refuse, createJob: refuse, cancelJob: refuse, listJobs: refuse };
  return guardBackend({ ...whole, ...members } as unknown as Backend, {
    plugin: "acme",
    backend: "mine",
    timeoutSeconds,
    log: (level, message, fields) => {
      logLines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    },
  }) as Required<Backend>;
}

/** What a call fails with, which must be an `ApiError` that names plugin and method. */
async function fail(call: () => Promise<unknown>, method: string): Promise<ApiError> {
  const error = await catchError(call);
  if (!(error instanceof ApiError)) throw new Error(`no ApiError but ${Bun.inspect(error)}`);
  expect(error.message).toContain('backend "mine"');
  expect(error.message).toContain(`${method}() of its plugin "acme"`);
  expect(logLines.join("\n")).toContain("acme");
  return error;
}

const nonsense: Readonly<Record<string, readonly [answer: unknown, problem: string]>> = {
  undefined: [undefined, "undefined, not an object"],
  null: [null, "null, not an object"],
  "a text": ["job-1", '"job-1", not an object'],
  "a list": [[job], "not an object"],
  "no id": [{ ...job, id: undefined }, 'without "id"'],
  "an empty id": [{ ...job, id: "" }, '"id" is ""'],
  "a number as id": [{ ...job, id: 7 }, '"id" is 7'],
  "an id with a slash": [{ ...job, id: "a/b" }, '"id" is "a/b"'],
  "an id with a space": [{ ...job, id: "a b" }, "can stand in a URL"],
  "an id of dots": [{ ...job, id: ".." }, "can stand in a URL"],
  "half a character as id": [{ ...job, id: "\ud800" }, "can stand in a URL"],
  "a huge id": [{ ...job, id: "x".repeat(10_000) }, "can stand in a URL"],
  "another job": [{ ...job, id: "job-2" }, 'the id "job-2", which was not asked for'],
  milliseconds: [{ ...job, created_at: 1_700_000_000_000 }, "not milliseconds"],
  "a fraction of a second": [{ ...job, created_at: 5.5 }, "whole Unix seconds"],
  NaN: [{ ...job, created_at: Number.NaN }, '"created_at" is null'],
  "a Date": [{ ...job, created_at: new Date(0) }, '"created_at" is "1970'],
  "a time before 1970": [{ ...job, created_at: -1 }, "Unix seconds"],
  "milliseconds of the end": [{ ...job, finished_at: 1_700_000_000_000 }, '"finished_at"'],
  "no status": [{ ...job, status: undefined }, 'without "status"'],
  "a number as status": [{ ...job, status: 3 }, '"status" is 3'],
  "tokens below none": [{ ...job, trained_tokens: -3 }, '"trained_tokens" is -3'],
  "an error that is a text": [{ ...job, error: "bad" }, '"error" is "bad"'],
  "result files that are no list": [{ ...job, result_files: "file-1" }, '"result_files"'],
  "a bigint": [{ ...job, trained_tokens: 3n }, "not JSON"],
  "a circle": [Object.assign({ ...job }, { self: [] as unknown[] }), ""],
  "a function": [() => job, "function, not an object"],
};
// It needs a name to hold itself.
const circle: Record<string, unknown> = { ...job };
circle.self = circle;

describe("an answer of a plugin", () => {
  const cases = Object.keys(nonsense).filter((name) => name !== "a circle");
  test.each(cases)("that is or has %s is a 502 that names plugin and method", async (name) => {
    const [answer, problem = ""] = nonsense[name] ?? [];
    const { getJob } = guard({ getJob: async () => answer });
    const error = await fail(() => getJob("job-1", never), "getJob");
    expect(error).toMatchObject({ status: 502, code: "plugin_invalid_answer" });
    expect(error.message).toContain(problem);
    expect(logLines.join("\n")).toContain("gave an answer that cannot be used");
  });

  test("that refers to itself, throws when it is read or is huge is a 502", async () => {
    const trap = {
      ...job,
      get model() {
        throw new Error("trap");
      },
    };
    const huge = { ...job, model: "x".repeat(20 * 1024 * 1024) };
    for (const answer of [circle, trap, huge]) {
      const { createJob } = guard({ createJob: async () => answer });
      const error = await fail(() => createJob(request, never), "createJob");
      expect(error.code).toBe("plugin_invalid_answer");
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("of a file has whole bytes, seconds and texts", async () => {
    for (const [field, value] of [
      ["bytes", Number.NaN],
      ["bytes", -1],
      ["bytes", "3"],
      ["bytes", 2.5],
      ["created_at", Date.now()],
      ["filename", null],
      ["purpose", 7],
      ["status", 7],
      ["expires_at", Date.now()],
    ] as const) {
      const { uploadFile } = guard({ uploadFile: async () => ({ ...file, [field]: value }) });
      const error = await fail(() => uploadFile(upload, never), "uploadFile");
      expect(error.message).toContain(`"${field}"`);
    }
  });

  test("of a completed upload has a file that is one", async () => {
    const answer = { id: "upload_1", status: "completed", file: { ...file, created_at: 5e12 } };
    const { completeUpload } = guard({ completeUpload: async () => answer });
    const error = await fail(() => completeUpload("upload_1", {}, never), "completeUpload");
    expect(error.message).toContain('"file.created_at"');
  });

  test("that is right comes through, with unknown fields and the service's request id", async () => {
    const answer = withRequestId({ ...job, hyperparameters: { n_epochs: 3 }, odd: [1] }, "req-7");
    const { getJob } = guard({ getJob: async () => answer });
    const got = await getJob("job-1", never);
    expect(got).toEqual(answer);
    expect(requestIdOf(got)).toBe("req-7");
    // What the plugin does with its object later changes nothing.
    expect(got).not.toBe(answer);
  });

  test("whose request id no header can hold goes without it", async () => {
    const { getJob } = guard({ getJob: async () => withRequestId({ ...job }, "a\r\nb: c") });
    expect(requestIdOf(await getJob("job-1", never))).toBeUndefined();
  });

  test("with the bytes of a file is checked as far as it can be", async () => {
    const body = new Blob(["abc"]);
    const locked = new Response("abc").body;
    locked?.getReader();
    for (const answer of [
      undefined,
      { body: "abc", headers: {} },
      { body: locked, headers: {} },
      { body, headers: { "content-type": 7 } },
      { body, headers: { "content-type": "a\r\nb: c" } },
      { body, headers: {}, status: 302 },
    ]) {
      const { readFile } = guard({ readFile: async () => answer });
      const error = await fail(() => readFile("file-1", undefined, never), "readFile");
      expect(error).toMatchObject({ status: 502, code: "plugin_invalid_answer" });
    }
    const headers = { "content-length": "99", "content-type": "text/plain", connection: "close" };
    const { readFile } = guard({ readFile: async () => ({ body, headers }) });
    const content = await readFile("file-1", undefined, never);
    expect(content.headers).toEqual({ "content-type": "text/plain" });
  });

  test("that streams something else than bytes, or fails in between, ends the stream", async () => {
    for (const [chunk, code] of [
      ["text", "plugin_invalid_answer"],
      [undefined, "plugin_failed"],
    ] as const) {
      const body = new ReadableStream({
        pull(controller) {
          if (chunk === undefined) throw new Error("cut");
          controller.enqueue(chunk);
        },
      });
      const { readFile } = guard({ readFile: async () => ({ body, headers: {} }) });
      const content = await readFile("file-1", undefined, never);
      const error = await fail(() => new Response(content.body).text(), "readFile");
      expect(error.code).toBe(code);
    }
  });
});

describe("what a plugin throws", () => {
  test("becomes a 502 that names plugin and method, whatever it is; the log has the stack", async () => {
    for (const thrown of [new Error("inside"), "text", null, undefined, { status: 404 }, circle]) {
      const { createJob } = guard({
        createJob: () => {
          throw thrown;
        },
      });
      const error = await fail(() => createJob(request, never), "createJob");
      expect(error).toMatchObject({ status: 502, code: "plugin_failed" });
      expect(error.message).not.toContain("inside");
    }
    expect(logLines.join("\n")).toContain("guard.test.ts");
  });

  test("stays as it is where it is an ApiError that the client can read", async () => {
    const refusal = new ApiError(429, "slow down", {
      headers: { "retry-after": "3" },
      retry: true,
    });
    const { createJob } = guard({
      createJob: async () => {
        throw refusal;
      },
    });
    expect(await catchError(() => createJob(request, never))).toBe(refusal);
  });

  test("is refused where it is an ApiError that no answer can be made of", async () => {
    for (const made of [
      new ApiError(200, "fine"),
      new ApiError(Number.NaN, "odd"),
      new ApiError(700, "odd"),
      new ApiError(401, "your key"),
      new ApiError(400, "odd", { headers: { "x y": "z" } }),
      new ApiError(400, "odd", { headers: { "content-length": "7" } }),
      new ApiError(400, "odd", { beside: circle }),
      Object.assign(new ApiError(400, "odd"), { code: Symbol("x") }),
    ]) {
      const { cancelJob } = guard({ cancelJob: () => Promise.reject(made) });
      const error = await fail(() => cancelJob("job-1", never), "cancelJob");
      expect(error).toMatchObject({ status: 502, code: "plugin_invalid_answer" });
    }
  });
});

function spring(): never {
  throw new Error("a trap");
}

describe("every method", () => {
  const values = [
    ...[undefined, null, true, 0, Number.NaN, 3n, "", "text", Symbol("x"), [], [[]], {}, circle],
    ...[
      () => 1,
      new Date(Number.NaN),
      new Map(),
      new Blob(["x"]),
      new Error("an answer"),
      file,
      job,
    ],
    { id: "", body: 1, headers: 1 },
    Object.create(null),
    new Proxy({}, { get: () => spring(), ownKeys: () => spring(), getPrototypeOf: () => spring() }),
  ];

  test.each(Object.entries(methods))(
    "%s() lets nothing through that is no answer",
    async (name, method) => {
      for (const value of values) {
        for (const member of [
          () => value,
          () => Promise.resolve(value),
          () => Promise.reject(value),
        ]) {
          const call = Reflect.get(guard({ [name]: member }, 1), name);
          const read = async (): Promise<unknown> => {
            const answer: unknown = Reflect.apply(call, undefined, ["id", never]);
            return method.kind === "list" ? await readAll(answer) : await answer;
          };
          const outcome = await read().then(
            (answer) => ({ answer }),
            (error: unknown) => ({ error }),
          );
          if ("error" in outcome)
            expect(outcome.error).toMatchObject({ name: "ApiError", status: 502 });
          else expect(isAnswer(method.kind, outcome.answer)).toBe(true);
        }
      }
    },
  );

  async function readAll(list: unknown): Promise<unknown> {
    return await Array.fromAsync(list as AsyncIterable<unknown>);
  }

  function isAnswer(kind: string, answer: unknown): boolean {
    if (kind === "nothing") return answer === undefined;
    if (kind === "list") return Array.isArray(answer) && answer.length === 0;
    return typeof answer === "object" && answer !== null && !Array.isArray(answer);
  }
});

describe("a plugin that hangs", () => {
  const hang = () => new Promise(() => undefined);

  test("is given up after the deadline with a 504, and its signal ends", async () => {
    const signals: AbortSignal[] = [];
    const { getJob } = guard(
      {
        getJob: (_id: string, signal: AbortSignal) => {
          signals.push(signal);
          return hang();
        },
      },
      0.02,
    );
    const error = await fail(() => getJob("job-1", never), "getJob");
    expect(error).toMatchObject({ status: 504, code: "plugin_timeout" });
    expect(signals[0]?.aborted).toBe(true);
  });

  test("is given up when its client goes, with the client's reason", async () => {
    const reason = new Error("gone");
    for (const [name, call] of Object.entries({
      getJob: (backend: Backend, signal: AbortSignal) => backend.getJob?.("job-1", signal),
      uploadFile: (backend: Backend, signal: AbortSignal) => backend.uploadFile(upload, signal),
      listJobs: (backend: Backend, signal: AbortSignal) =>
        Array.fromAsync(backend.listJobs({ limit: 1 }, signal)),
    })) {
      const member =
        name === "listJobs" ? () => ({ [Symbol.asyncIterator]: () => ({ next: hang }) }) : hang;
      const backend = guard({ [name]: member });
      const client = new AbortController();
      setTimeout(() => client.abort(reason), 10);
      expect(await catchError(async () => call(backend, client.signal))).toBe(reason);
      expect(await catchError(async () => call(backend, client.signal))).toBe(reason);
    }
  });

  test("is not called at all for a client that has gone", async () => {
    const { createJob } = guard({ createJob: async () => job });
    const reason = new Error("gone");
    expect(await catchError(() => createJob(request, AbortSignal.abort(reason)))).toBe(reason);
  });

  test("cannot hold up the end of a gateway, nor can one whose close() throws", async () => {
    const { close } = guard({ close: async () => Promise.reject(new Error("stuck")) });
    await close();
    expect(logLines.join("\n")).toContain('close() of plugin "acme" failed');
  });
});

describe("a list of a plugin", () => {
  const read = (listJobs: unknown, timeoutSeconds = 5) =>
    Array.fromAsync(guard({ listJobs }, timeoutSeconds).listJobs({ limit: 2 }, never));

  test("that is no async iterable is a 502", async () => {
    for (const list of [
      async () => [job],
      () => [job],
      () => undefined,
      () => "jobs",
      () => ({ [Symbol.asyncIterator]: () => 7 }),
    ]) {
      const error = await fail(() => read(list), "listJobs");
      expect(error.message).toContain("no async iterable");
    }
  });

  test("with an item that is nonsense gives the ones before it", async () => {
    const items: unknown[] = [];
    const { listJobs } = guard({
      async *listJobs() {
        yield job;
        yield { ...job, id: "job-2", created_at: 5e12 };
      },
    });
    const error = await fail(async () => {
      for await (const item of listJobs({ limit: 2 }, never)) items.push(item);
    }, "listJobs");
    expect(error.message).toContain("not milliseconds");
    expect(items).toHaveLength(1);
  });

  test("that repeats itself for ever is a 502", async () => {
    const error = await fail(
      () =>
        read(async function* () {
          for (;;) yield job;
        }),
      "listJobs",
    );
    expect(error.message).toContain('a list with "job-1" twice in it');
  });

  test("that never ends leaves the others their turn, and ends with its client", async () => {
    const { listJobs } = guard({
      async *listJobs() {
        for (let at = 0; ; at += 1) yield { ...job, id: `job-${at}` };
      },
    });
    const client = new AbortController();
    const reason = new Error("gone");
    setTimeout(() => client.abort(reason), 5);
    const list = listJobs({ limit: 1 }, client.signal);
    expect(await catchError(() => Array.fromAsync(list))).toBe(reason);
  });

  test("that never yields is a 504 after the deadline", async () => {
    const error = await fail(
      () =>
        read(
          () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
          0.02,
        ),
      "listJobs",
    );
    expect(error.status).toBe(504);
  });

  test("is ended when its reader has enough, even where that hangs or throws", async () => {
    let ended = 0;
    for (const end of [() => new Promise(() => {}), () => Promise.reject(new Error("no"))]) {
      const list = () => ({
        [Symbol.asyncIterator]: () => ({
          next: async () => ({ done: false, value: { ...job } }),
          return: () => {
            ended += 1;
            return end();
          },
        }),
      });
      for await (const item of guard({ listJobs: list }).listJobs({ limit: 1 }, never)) {
        expect(item).toEqual(job);
        break;
      }
    }
    expect(ended).toBe(2);
  });

  test("keeps the service's request id and its this", async () => {
    const { listJobs } = guard({
      listJobs() {
        const items = (async function* () {
          yield job;
        })();
        return withRequestId(items, "req-9");
      },
    });
    const list = listJobs({ limit: 1 }, never);
    await Array.fromAsync(list);
    expect(requestIdOf(list)).toBe("req-9");
  });
});
