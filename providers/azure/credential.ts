import { StartError } from "../../src/errors.ts";
import type { Runtime } from "../../src/provider.ts";
import type { UpstreamOptions } from "../../src/upstream/client.ts";
import type { Settings } from "./options.ts";
import type { Surface } from "./surface.ts";
import { createTokenCache } from "./token-cache.ts";
import { fetchToken } from "./token-client.ts";
import {
  type Environment,
  makeEntraRequest,
  makeIdentityRequest,
  type TokenRequest,
} from "./token-requests.ts";

type Option = keyof Settings;

interface Way {
  /** The option that chooses it. */
  readonly option: Option;
  readonly needs: readonly Option[];
  readonly takes: readonly Option[];
}

const registration: Omit<Way, "option"> = {
  needs: ["tenant_id", "client_id"],
  takes: ["authority_host", "azure_scope"],
};
const ways: readonly Way[] = [
  { option: "api_key", needs: [], takes: [] },
  { option: "azure_ad_token", needs: [], takes: [] },
  { option: "client_secret", ...registration },
  { option: "federated_token_file", ...registration },
  { option: "managed_identity", needs: [], takes: ["client_id", "azure_scope"] },
];
const companions = [...registration.needs, ...registration.takes];

/** A quick service; who waits for a token waits for the whole request. */
const mostTokenSeconds = 30;

/** What calls are sent with: a header that stays, or one that is renewed. */
export type Credential = Pick<UpstreamOptions, "headers" | "authorize">;

/**
 * Makes the credential of the one way to authenticate that is configured; contacts nothing. Throws
 * a `StartError` that names the options where there is none, more than one, or half of one.
 * `environment` holds what Azure tells a process of its managed identity.
 */
export function makeCredential(
  settings: Settings,
  surface: Surface,
  runtime: Pick<Runtime, "name" | "log">,
  environment: Environment,
): Credential {
  checkWay(settings, runtime.name);
  if (settings.api_key !== undefined) return { headers: { "api-key": settings.api_key } };
  const { azure_ad_token: token } = settings;
  if (token !== undefined) return { headers: { authorization: `Bearer ${token}` } };
  const makeRequest = chooseRequest(settings, surface, runtime.name, environment);
  const seconds = Math.min(settings.timeout, mostTokenSeconds);
  const getToken = createTokenCache({
    backend: runtime.name,
    fetchToken: () => fetchToken(runtime.name, makeRequest, seconds),
    reportFailure(reason) {
      runtime.log("warn", "Cannot renew a token that is about to expire", { reason });
    },
  });
  return {
    headers: {},
    async authorize(refused, signal) {
      return { authorization: `Bearer ${await getToken(refused, signal)}` };
    },
  };
}

function chooseRequest(
  settings: Settings,
  surface: Surface,
  backend: string,
  environment: Environment,
): () => Promise<TokenRequest> {
  const { tenant_id, client_id, client_secret, federated_token_file } = settings;
  const { authority_host = "https://login.microsoftonline.com" } = settings;
  const { azure_scope: scope = defaultScope(surface) } = settings;
  if (tenant_id === undefined || client_id === undefined) {
    const request = makeIdentityRequest({ clientId: client_id, scope, backend, environment });
    return async () => request;
  }
  const proof =
    client_secret === undefined
      ? { tokenFile: federated_token_file ?? "" }
      : { secret: client_secret };
  return () =>
    makeEntraRequest({
      authority: authority_host,
      tenantId: tenant_id,
      clientId: client_id,
      scope,
      proof,
      backend,
    });
}

function defaultScope(surface: Surface): string {
  const audience = surface.project ? "https://ai.azure.com" : "https://cognitiveservices.azure.com";
  return `${audience}/.default`;
}

function checkWay(settings: Settings, backend: string): void {
  const isGiven = (option: Option) => settings[option] !== undefined && settings[option] !== false;
  const [way, other] = ways.filter(({ option }) => isGiven(option));
  const fail = (problem: string) =>
    new StartError(`Cannot set up backend "${backend}": ${problem}`);
  if (way === undefined) {
    throw fail(
      'it has no way to authenticate; give "api_key", "azure_ad_token", "managed_identity", or "tenant_id" and "client_id" with either "client_secret" or "federated_token_file"',
    );
  }
  if (other !== undefined) {
    throw fail(
      `"${way.option}" and "${other.option}" are two ways to authenticate; remove one of them`,
    );
  }
  const missing = way.needs.find((option) => !isGiven(option));
  if (missing !== undefined) throw fail(`"${way.option}" needs "${missing}" beside it; add it`);
  const known = [...way.needs, ...way.takes];
  const extra = companions.find((option) => isGiven(option) && !known.includes(option));
  if (extra !== undefined) {
    throw fail(`"${extra}" means nothing beside "${way.option}"; remove one of them`);
  }
}
