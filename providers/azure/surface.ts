import type { Query } from "../../src/upstream/client.ts";

/** One of the two forms of the API. */
export interface Surface {
  readonly baseUrl: string;
  readonly query: Query;
  /** The version of the classic API, such as `2024-10-21`; undefined for v1. */
  readonly version: string | undefined;
  /** Whether it belongs to a Foundry project, whose tokens are for another audience. */
  readonly project: boolean;
}

/**
 * Where the API is. Endpoints that end in `/openai/v1` and those of projects have v1 only, and a
 * project's takes no `api-version`.
 */
export function findSurface(apiBase: string, apiVersion: string): Surface {
  const base = apiBase.replace(/\/+$/, "");
  const root = base.replace(/\/openai(\/v1)?$/, "");
  const project = /\/api\/projects\/[^/]+$/.test(root);
  if (/^\d/.test(apiVersion) && !base.endsWith("/openai/v1") && !project) {
    const query = { "api-version": apiVersion };
    return { baseUrl: `${root}/openai`, query, version: apiVersion, project };
  }
  const query = apiVersion === "preview" && !project ? { "api-version": "preview" } : {};
  return { baseUrl: `${root}/openai/v1`, query, version: undefined, project };
}

/** The first version of the classic API with `method`, `integrations`, `trainingType`, `expires_after`. */
export const methodVersion = "2025-04-01-preview";

/** Whether a surface is a classic API that is older than `methodVersion`. */
export function isOlder(surface: Surface): boolean {
  return surface.version !== undefined && surface.version.slice(0, 10) < methodVersion.slice(0, 10);
}
