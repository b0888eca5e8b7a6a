import assert from "node:assert/strict";
import { ApiError } from "../../errors.ts";
import { type Call, callsOf, type Ids, makeIds, methodsWithId } from "../calls.ts";
import { type Fault, type FaultyService, startFaultyService } from "../faulty-service.ts";
import {
  backendName,
  type Check,
  catchFailure,
  checkSecrets,
  never,
  type Trial,
} from "../trial.ts";
import { checkAbsent } from "./files.ts";

// Each method is called at a service of its own that does one thing wrong, with ids that the true
// service has given.

/** One method, called at a faulty service. */
interface Attempt {
  readonly method: string;
  readonly faulty: FaultyService;
  /** What it throws. */
  call(signal?: AbortSignal): Promise<unknown>;
}

const refusalBody = '{"error":{"message":"Not like this","code":"odd","type":"odd_error"}}';
// What is not made of JSON at all, of too little, and of another kind than any answer.
const garbage = {
  html: "<!doctype html><title>Welcome</title>",
  "cut JSON": '{"id":"ftjob-1","object":"fine_',
  "a list": "[1,2]",
  null: "null",
  nothing: "",
};
/** Its answer is any text or any object, so that no such answer is wrong. */
const takesAnyText = ["readFile"];
const takesAnyObject = ["readFile", "runGrader", "validateGrader", "checkAccess"];
const timeoutSeconds = 0.3;
const patientSeconds = 5;

/** Calls every method at a faulty service at once; throws what `check` throws for any of them. */
async function tryAll(
  trial: Trial,
  fault: Fault | "closed",
  check: (attempt: Attempt) => Promise<void>,
  { except = [], timeout = patientSeconds }: { except?: readonly string[]; timeout?: number } = {},
): Promise<void> {
  const ids = await makeIds(trial);
  const problems = await Promise.all(
    callsOf(trial)
      .filter(([method]) => !except.includes(method))
      .map(([method, call]) => tryOne(trial, ids, method, call, fault, timeout, check)),
  );
  assert.equal(problems.join(""), "");
}

async function tryOne(
  trial: Trial,
  ids: Ids,
  method: string,
  call: Call,
  fault: Fault | "closed",
  timeout: number,
  check: (attempt: Attempt) => Promise<void>,
): Promise<string> {
  const faulty = await startFaultyService(fault === "closed" ? { kind: "reset" } : fault);
  if (fault === "closed") await faulty.stop();
  const { service, connect } = trial;
  const backend = connect(service.redirect?.(faulty.url, timeout));
  try {
    await check({
      method,
      faulty,
      call: (signal = never) => catchFailure(async () => call(backend, ids, trial, signal)),
    });
    return "";
  } catch (error) {
    return `\n${method}(): ${error instanceof Error ? error.message : error}`;
  } finally {
    if (fault !== "closed") await faulty.stop();
  }
}

/** Checks what holds for every failure, and that it has one of `statuses`; returns it. */
async function fail(
  trial: Trial,
  { call, faulty }: Attempt,
  statuses: readonly number[],
): Promise<ApiError> {
  const error = await call();
  assert.ok(error instanceof ApiError, `it throws no ApiError but ${Bun.inspect(error)}`);
  const { status, message, headers, param, code, retry } = error;
  checkSecrets(JSON.stringify({ message, headers, param, code }), trial.service, "the error");
  assert.ok(statuses.includes(status), `its status is ${status}: ${message}`);
  if (status >= 500) {
    assert.ok(message.includes(`"${backendName}"`), `it does not name the backend: ${message}`);
  }
  const changes = faulty.requests.filter((method) => method !== "GET");
  assert.ok(retry !== true || changes.length === 0, `it may be repeated, but ${changes} was sent`);
  return error;
}

const serverErrors = [500, 502, 503, 504];

function answer(status: number, headers: Readonly<Record<string, string>> = {}): Fault {
  return { kind: "answer", status, headers, body: refusalBody };
}

/** What becomes of a service's failures, in every method. */
export const failureChecks: readonly Check[] = [
  ...[400, 403, 409].map(
    (status): Check => ({
      name: `upstream ${status} keeps its status, in every method`,
      remote: true,
      run: (trial) =>
        tryAll(trial, answer(status), async (attempt) => {
          await fail(trial, attempt, [status]);
        }),
    }),
  ),
  {
    name: "upstream 401, which is about our credential, is a 502 that nobody repeats, in every method",
    remote: true,
    run: (trial) => {
      // As OpenAI does, which shows a part of the key.
      const body = (headers: Readonly<Record<string, unknown>>) =>
        JSON.stringify({ error: { message: `Incorrect key: ${JSON.stringify(headers)}` } });
      return tryAll(trial, { kind: "answer", status: 401, body }, async (attempt) => {
        const { retry } = await fail(trial, attempt, [502]);
        assert.equal(retry, false, "it may be repeated");
      });
    },
  },
  {
    name: "upstream 404 is a 404 where the call is about one object, in every method",
    remote: true,
    run: (trial) =>
      tryAll(trial, answer(404), async (attempt) => {
        if (methodsWithId.some((method) => method === attempt.method)) {
          checkAbsent(await attempt.call());
        } else await fail(trial, attempt, [400, 404, 502]);
      }),
  },
  {
    name: "upstream 429 keeps its status and its retry-after, in every method",
    remote: true,
    run: (trial) =>
      tryAll(trial, answer(429, { "retry-after": "17" }), async (attempt) => {
        const { headers } = await fail(trial, attempt, [429]);
        assert.equal(headers["retry-after"], "17");
      }),
  },
  ...[500, 503].map(
    (status): Check => ({
      name: `upstream ${status} is a 5xx that names the backend, in every method`,
      remote: true,
      run: (trial) =>
        tryAll(trial, answer(status), async (attempt) => {
          await fail(trial, attempt, serverErrors);
        }),
    }),
  ),
  {
    name: "a redirect is not followed, in every method",
    remote: true,
    async run(trial) {
      const elsewhere = await startFaultyService(answer(200));
      try {
        const fault = answer(307, { location: `${elsewhere.url}/there` });
        await tryAll(trial, fault, async (attempt) => {
          await fail(trial, attempt, serverErrors);
        });
        assert.deepEqual(elsewhere.requests, []);
      } finally {
        await elsewhere.stop();
      }
    },
  },
  ...Object.entries(garbage).map(
    ([what, body]): Check => ({
      name: `an answer of ${what} is a 502, in every method`,
      remote: true,
      run: (trial) =>
        tryAll(
          trial,
          { kind: "answer", status: 200, body },
          async (attempt) => {
            await fail(trial, attempt, [502]);
          },
          { except: takesAnyText },
        ),
    }),
  ),
  {
    name: "an answer whose fields are of other types is a 502, in every method",
    remote: true,
    run: (trial) =>
      tryAll(
        trial,
        { kind: "answer", status: 200, body: trial.service.mistyped },
        async (attempt) => {
          await fail(trial, attempt, [502]);
        },
        { except: takesAnyObject },
      ),
  },
  ...(["cut", "reset"] as const).map(
    (kind): Check => ({
      name: `a connection that is closed ${kind === "cut" ? "in" : "before"} the answer is a 502, in every method`,
      remote: true,
      run: (trial) =>
        tryAll(trial, { kind }, async (attempt) => {
          await fail(trial, attempt, [502]);
        }),
    }),
  ),
  {
    name: "a service that never answers is a 504, in every method",
    remote: true,
    run: (trial) =>
      tryAll(
        trial,
        { kind: "hang" },
        async (attempt) => {
          await fail(trial, attempt, [504]);
        },
        { timeout: timeoutSeconds },
      ),
  },
  {
    name: "a service that nobody can reach is a 502, in every method",
    remote: true,
    run: (trial) =>
      tryAll(trial, "closed", async (attempt) => {
        const { retry } = await fail(trial, attempt, [502]);
        assert.notEqual(retry, false, "it may not be repeated, although nothing was sent");
      }),
  },
  {
    name: "an abort before the call throws its reason, and changes nothing, in every method",
    remote: true,
    run: (trial) =>
      tryAll(trial, answer(404), async ({ call, faulty }) => {
        const reason = new Error("The client has gone");
        assert.equal(await call(AbortSignal.abort(reason)), reason);
        assert.deepEqual(
          faulty.requests.filter((method) => /^(POST|PUT|PATCH)$/.test(method)),
          [],
        );
      }),
  },
  {
    name: "an abort during the call throws its reason, in every method",
    remote: true,
    run: (trial) =>
      tryAll(trial, { kind: "hang" }, async ({ call, faulty }) => {
        const reason = new Error("The client has gone");
        const controller = new AbortController();
        let over = false;
        const calling = call(controller.signal).finally(() => {
          over = true;
        });
        while (faulty.requests.length === 0 && !over) await Bun.sleep(2);
        controller.abort(reason);
        assert.equal(await calling, reason);
      }),
  },
];
