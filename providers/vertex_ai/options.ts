import * as v from "valibot";
import { apiBase, headersOption, timeoutSeconds } from "../../src/upstream/settings.ts";

const text = v.pipe(v.string(), v.trim(), v.nonEmpty());

const project = v.pipe(
  text,
  v.regex(
    /^([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{2,61}[a-z0-9]$|^\d+$/,
    "must be the id or the number of a project",
  ),
);

const location = v.pipe(
  text,
  v.regex(/^[a-z][a-z0-9-]{0,40}$/, 'must be a location such as "us-central1"'),
);

// Names with a dot are those of domains; https://cloud.google.com/storage/docs/buckets
const bucket = v.pipe(
  text,
  v.regex(
    /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](\/|$)/,
    "must begin with the name of a bucket, without gs://",
  ),
  v.check(
    (name) => !/\/\/|(^|\/)\.{1,2}(\/|$)|[\r\n]/.test(name) && name.isWellFormed(),
    'must be "bucket" or "bucket/prefix", without empty parts, ".", ".." and line breaks',
  ),
  v.maxBytes(600, "must have at most 600 bytes"),
);

// https://cloud.google.com/vertex-ai/docs/general/labels: also in other scripts than Latin.
const labels = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.regex(
        /^\p{Ll}[\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u,
        "must begin with a small letter and have at most 63 small letters, digits, _ and -",
      ),
    ),
    v.pipe(
      v.string(),
      v.regex(
        /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u,
        "must have at most 63 small letters, digits, _ and -",
      ),
    ),
  ),
  v.check((all) => Object.keys(all).length <= 64, "must be at most 64"),
);

/** What an entry of `config.yaml` may hold. */
export const options = v.strictObject({
  vertex_project: v.pipe(project, v.description("The project in which models are tuned")),
  vertex_location: v.pipe(
    v.optional(location, "us-central1"),
    v.description("The location of the tuning jobs"),
  ),
  vertex_credentials: v.pipe(
    v.optional(text),
    v.description(
      "The path of a JSON file with a service account key, user credential or workload identity federation, or that JSON itself. Default: Google's application default credentials",
    ),
  ),
  gcs_bucket_name: v.pipe(
    v.optional(bucket),
    v.description(
      'The bucket in which files are kept, or "bucket/prefix". Default: the environment variable GCS_BUCKET_NAME',
    ),
  ),
  api_base: v.pipe(
    v.optional(apiBase),
    v.description(
      "Where Vertex AI is, without a version, such as a private endpoint. Default: Google's address for the location",
    ),
  ),
  storage_base: v.pipe(
    v.optional(apiBase, "https://storage.googleapis.com"),
    v.description("Where Cloud Storage is, such as a private endpoint or an emulator"),
  ),
  labels: v.pipe(v.optional(labels, {}), v.description("Labels that every tuning job gets")),
  service_account: v.pipe(
    v.optional(
      v.pipe(text, v.regex(/^[^\s@]+@[^\s@]+$/, "must be the e-mail address of an account")),
    ),
    v.description("The service account that tuning jobs run as"),
  ),
  encryption_key: v.pipe(
    v.optional(
      v.pipe(
        text,
        v.regex(
          /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/,
          'must be "projects/…/locations/…/keyRings/…/cryptoKeys/…"',
        ),
      ),
    ),
    v.description("The Cloud KMS key that protects tuned models"),
  ),
  timeout: v.pipe(
    v.optional(timeoutSeconds, 600),
    v.description("Seconds for one call; for a download, seconds without progress"),
  ),
  headers: headersOption,
});

/** The options of one backend as they were read. */
export type Settings = v.InferOutput<typeof options>;

/** Vertex AI's address for a location, without version; https://cloud.google.com/vertex-ai/docs/reference/rest#rest_endpoints */
export function findApiBase(location: string): string {
  if (location === "global") return "https://aiplatform.googleapis.com";
  if (location === "us" || location === "eu") {
    return `https://aiplatform.${location}.rep.googleapis.com`;
  }
  return `https://${location}-aiplatform.googleapis.com`;
}
