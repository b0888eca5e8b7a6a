import { join } from "node:path";
import * as v from "valibot";
import type { RequestLoad, RequestResult } from "./load/requests.ts";
import type { TransferLoad, TransferResult } from "./load/transfers.ts";
import { type Layout, pinCommand, runProgram } from "./processes.ts";

const program = join(import.meta.dir, "load/main.ts");

const Failure = v.object({ failure: v.string() });
const Requests = v.object({
  perSecond: v.number(),
  p50: v.number(),
  p99: v.number(),
  cpuSeconds: v.number(),
  cpuShare: v.number(),
});
const Transfers = v.object({ seconds: v.array(v.number()) });

/** Starts the client in a process of its own for each load; throws what it found wrong. */
export function createClient(layout: Layout) {
  async function run<Result>(
    load: RequestLoad | TransferLoad,
    schema: v.GenericSchema<unknown, Result>,
  ): Promise<Result> {
    const text = await runProgram({
      command: pinCommand([process.execPath, program], layout.rest),
      directory: import.meta.dir,
      input: JSON.stringify(load),
    });
    const answer = v.parse(v.union([Failure, v.object({ result: schema })]), JSON.parse(text));
    if ("failure" in answer) throw new Error(answer.failure);
    return answer.result;
  }

  return {
    runRequests: (load: RequestLoad): Promise<RequestResult> => run(load, Requests),
    runTransfers: (load: TransferLoad): Promise<TransferResult> => run(load, Transfers),
  };
}

/** Runs loads. */
export type Client = ReturnType<typeof createClient>;
