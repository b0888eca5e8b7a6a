import { type FakeAzure, startFakeAzure } from "../fakes/azure.ts";
import { type FakeEntra, startFakeEntra } from "../fakes/entra.ts";
import { type FakeGoogle, startFakeGoogle } from "../fakes/google/cloud.ts";
import type { FakeTokens } from "../fakes/google/token.ts";

/** Two resources of Azure, the classic API with a key and v1 with Entra ID, and a Google project. */
export interface Clouds {
  readonly entra: FakeEntra;
  readonly classic: FakeAzure;
  readonly sweden: FakeAzure;
  readonly google: FakeGoogle;
  /** What `config` refers to. */
  readonly environment: Readonly<Record<string, string>>;
  /** The entries for both lists of `config.yaml`, as in LiteLLM's sample. */
  readonly entries: string;
  /** What no answer and no log may show. */
  listSecrets(): readonly string[];
  stop(): Promise<void>;
}

/** The model that each of these backends can tune, by the backend's name. */
export const cloudModels = {
  azure: "gpt-4o-mini-2024-07-18",
  sweden: "gpt-4o-mini-2024-07-18",
  vertex_ai: "gemini-2.5-flash",
} as const;

/** Starts the fakes; Google's token server may be shared. */
export async function startClouds(tokens?: FakeTokens): Promise<Clouds> {
  const entra = await startFakeEntra();
  const classic = await startFakeAzure({ apiKey: "key-of-the-classic-resource" });
  const sweden = await startFakeAzure({ acceptsToken: entra.accepts });
  for (const { state } of [classic, sweden]) state.importing = ["running", "processed"];
  const google = await startFakeGoogle(tokens);
  const { vertex_credentials = "", ...vertex } = google.describe("tuning");
  const { tenantId, clientId, accepted } = entra;
  return {
    entra,
    classic,
    sweden,
    google,
    environment: {
      AZURE_API_KEY: classic.apiKey,
      AZURE_CLIENT_SECRET: accepted.secret,
      VERTEX_CREDENTIALS: vertex_credentials,
    },
    entries: `  - custom_llm_provider: azure
    api_base: ${classic.url}
    api_key: os.environ/AZURE_API_KEY
    api_version: "2023-03-15-preview"
  - custom_llm_provider: azure
    name: sweden
    api_base: ${sweden.url}/openai/v1
    tenant_id: ${tenantId}
    client_id: ${clientId}
    client_secret: os.environ/AZURE_CLIENT_SECRET
    authority_host: ${entra.url}
  - custom_llm_provider: vertex_ai
    vertex_credentials: os.environ/VERTEX_CREDENTIALS
${Object.entries(vertex)
  .map(([name, value]) => `    ${name}: ${value}\n`)
  .join("")}`,
    listSecrets: () => [
      classic.apiKey,
      accepted.secret,
      ...google.tokens.tokens,
      ...(google.tokens.serviceAccount.private_key ?? "")
        .split("\n")
        .filter((line) => line.length > 20),
    ],
    async stop() {
      await Promise.all([entra, classic, sweden, google].map((server) => server.stop()));
    },
  };
}
