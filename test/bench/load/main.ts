import { type RequestLoad, runRequests } from "./requests.ts";
import { runTransfers, type TransferLoad } from "./transfers.ts";

// The client, as a process of its own: reads what to do from standard input as JSON, and prints
// the result, or why there is none, as JSON.

/** What the client can do. */
export type Load = RequestLoad | TransferLoad;

if (import.meta.main) {
  const load: Load = await Bun.stdin.json();
  try {
    const result = await (load.kind === "requests" ? runRequests(load) : runTransfers(load));
    process.stdout.write(JSON.stringify({ result }));
  } catch (error) {
    process.stdout.write(
      JSON.stringify({ failure: error instanceof Error ? error.message : String(error) }),
    );
  }
  process.exit(0);
}
