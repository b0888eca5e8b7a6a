import { openDataDirectory } from "../../src/data-directory.ts";
import type { DatasetReport } from "../../src/dataset/report.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import { createLog } from "../../src/log.ts";
import type { Fields } from "../../src/provider.ts";
import { createMemoryProvider, type MemoryState } from "../fakes/memory.ts";
import { makeDirectory } from "../support/directory.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { makePricing } from "./support.ts";

/** What is in a gateway whose backend `main` has the prices and rules of `support.ts`. */
export interface CostSetup {
  readonly state: MemoryState;
  /** Lines of `config.yaml` beside the backend. */
  readonly config?: string;
  /** The reports that its ledger has, by the file's id. */
  readonly reports?: Readonly<Record<string, DatasetReport>>;
}

/** Starts it; `stop` removes its directory too. */
export async function startCostGateway(setup: CostSetup): Promise<TestGateway> {
  const directory = makeDirectory();
  await writeReports(directory.path, "main", setup.reports ?? {});
  const { datasets, prices } = makePricing().providers.paid ?? {};
  const memory = createMemoryProvider({ main: setup.state });
  const paid = { ...memory, ...(datasets && { datasets }), ...(prices && { prices }) };
  const gateway = await startTestGateway({
    providers: { paid },
    config: `finetune_settings: [{ custom_llm_provider: paid, name: main }]\n${setup.config ?? ""}`,
    dataDirectory: directory.path,
  });
  return {
    ...gateway,
    async stop() {
      await gateway.stop();
      directory.remove();
    },
  };
}

/** Writes what is known of the files of a backend, as an earlier run of the gateway would have. */
export async function writeReports(
  path: string,
  backend: string,
  reports: Readonly<Record<string, DatasetReport>>,
): Promise<void> {
  const { ledgerFile, release } = await openDataDirectory(path);
  const log = createLog({ level: "error", format: "json", secrets: [], sink: () => {} });
  const ledger = await openLedger(ledgerFile, log);
  for (const [id, report] of Object.entries(reports)) await ledger.saveReport(backend, id, report);
  await ledger.close();
  await release();
}

/** Sends a job request. */
export async function postJob(
  { url }: Pick<TestGateway, "url">,
  request: Fields,
  query = "",
): Promise<Response> {
  const body = JSON.stringify(request);
  const headers = { "content-type": "application/json" };
  return await fetch(`${url}/v1/fine_tuning/jobs${query}`, { method: "POST", headers, body });
}
