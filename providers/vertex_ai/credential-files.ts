import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { AnyObject } from "../../src/upstream/objects.ts";

/** A credential that cannot be used; the message completes a sentence and holds no secret. */
export class CredentialError extends Error {
  override readonly name = "CredentialError";
}

/** A credential as it was read: one of `credentialTypes`. */
export type Json = Readonly<Record<string, unknown>>;

/** The values of "type" that a credential may have. */
export const credentialTypes = ["service_account", "authorized_user", "external_account"];

/**
 * Reads a credential: a path, JSON, or undefined for the application default. Undefined where only
 * the metadata server is left. Throws `CredentialError`.
 */
export async function readCredential(credential: string | undefined): Promise<Json | undefined> {
  // Nothing of what is configured is repeated: what is meant for a path may be a pasted key.
  if (credential?.trim().startsWith("{")) {
    return parseCredential(credential, 'the JSON in "vertex_credentials"');
  }
  if (credential) return readPath(credential, 'the file that "vertex_credentials" names');
  const path = process.env.GOOGLE_APPLICATION_CREDENTIALS;
  if (path) return readPath(path, "the file that GOOGLE_APPLICATION_CREDENTIALS names");
  const defaultPath = join(findConfigDirectory(), "application_default_credentials.json");
  if (!(await Bun.file(defaultPath).exists())) return undefined;
  return readPath(defaultPath, "gcloud's application_default_credentials.json");
}

// https://cloud.google.com/docs/authentication/application-default-credentials#personal
function findConfigDirectory(): string {
  const { CLOUDSDK_CONFIG, APPDATA, HOME } = process.env;
  if (CLOUDSDK_CONFIG) return CLOUDSDK_CONFIG;
  if (process.platform === "win32" && APPDATA) return join(APPDATA, "gcloud");
  return join(HOME || homedir(), ".config", "gcloud");
}

async function readPath(path: string, where: string): Promise<Json> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${cause.code})` : "";
    throw new CredentialError(`${where} cannot be read${code}`);
  }
  return parseCredential(text, where);
}

/** A parser's message would repeat a part of the key, so none is kept. */
function parseCredential(text: string, where: string): Json {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw new CredentialError(`${where} is not JSON`);
  }
  if (!v.is(AnyObject, json)) throw new CredentialError(`${where} is not a JSON object`);
  if (credentialTypes.some((type) => type === json.type)) return json;
  const known = credentialTypes.map((name) => `"${name}"`).join(", ");
  throw new CredentialError(`${where} is no credential: its "type" must be one of ${known}`);
}
