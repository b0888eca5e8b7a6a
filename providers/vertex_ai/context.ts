import { StartError } from "../../src/errors.ts";
import type { Runtime } from "../../src/provider.ts";
import { connectUpstream, type Upstream } from "../../src/upstream/client.ts";
import { type Credentials, createCredentials } from "./credentials.ts";
import { makeErrorReader, tuningAdvice } from "./google-errors.ts";
import { type Folder, parseFolder } from "./ids.ts";
import { findApiBase, type Settings } from "./options.ts";
import { connectStorage, type Storage } from "./storage.ts";

/** What the operations of one backend work with. */
export interface Context {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly credentials: Credentials;
  /** Vertex AI's API, version 1; its paths begin with `projects`. */
  readonly tuning: Upstream;
  /** The bucket for files; undefined for a backend that serves only jobs. */
  readonly storage: Storage | undefined;
}

/** Puts together what a backend needs; contacts nothing. `retryPauses` are those of its storage. */
export function createContext(
  settings: Settings,
  runtime: Runtime,
  retryPauses?: readonly number[],
): Context {
  const credentials = createCredentials({
    backend: runtime.name,
    credential: settings.vertex_credentials,
  });
  const tuning = connectUpstream({
    backend: runtime.name,
    baseUrl: `${(settings.api_base ?? findApiBase(settings.vertex_location)).replace(/\/+$/, "")}/v1`,
    headers: settings.headers,
    authorize: credentials.authorize,
    timeout: settings.timeout,
    readError: makeErrorReader(tuningAdvice),
  });
  const folder = findFolder(settings, runtime);
  const storage =
    folder &&
    connectStorage({
      backend: runtime.name,
      folder,
      baseUrl: settings.storage_base.replace(/\/+$/, ""),
      headers: settings.headers,
      timeout: settings.timeout,
      credentials,
      ...(retryPauses === undefined ? {} : { retryPauses }),
    });
  return { settings, runtime, credentials, tuning, storage };
}

function findFolder(settings: Settings, runtime: Runtime): Folder | undefined {
  const name = settings.gcs_bucket_name ?? process.env.GCS_BUCKET_NAME;
  if (name) return parseFolder(name);
  if (!runtime.serves.files) return undefined;
  throw new StartError(
    `Cannot keep files in backend "${runtime.name}": it has no bucket; set "gcs_bucket_name", or GCS_BUCKET_NAME in the environment`,
  );
}
