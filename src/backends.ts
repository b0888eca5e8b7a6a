import { join } from "node:path";
import { type Assembly, createAssembly, type UploadOperations } from "./assembly.ts";
import { ApiError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Backend, FileFields, FileUpload, Provider, Runtime } from "./provider.ts";

/** One configured account of a provider; both instances are the same unless the lists differ. */
export interface NamedBackend {
  readonly name: string;
  /** What `custom_llm_provider` says in its entry. */
  readonly provider: string;
  readonly files: Backend;
  readonly jobs: Backend;
  /** The backend's own uploads in parts, or what the gateway does in their place. */
  readonly uploads: UploadOperations;
  /** What the gateway does in their place; absent where the backend has its own. */
  readonly assembly?: Assembly;
}

/** All backends in the order of `config.yaml`, and the one that uploads go to without a hint. */
export interface Backends {
  readonly all: readonly NamedBackend[];
  readonly fallback: NamedBackend;
}

/** A backend's entry in `config.yaml`, read and checked. */
export interface BackendConfig {
  readonly name: string;
  readonly provider: string;
  /** Options of the entry in `files_settings`, else of the one in `finetune_settings`. */
  readonly files: unknown;
  /** Options of the entry in `finetune_settings`, else of the one in `files_settings`. */
  readonly jobs: unknown;
}

/** What `createBackends` needs beside the entries. */
export interface BackendParts {
  readonly providers: Readonly<Record<string, Provider>>;
  /** The name of a backend or provider that uploads go to without a hint, if it is configured. */
  readonly preferred: string | undefined;
  readonly dataDirectory: string;
  readonly command: readonly string[];
  /** The configured keys and tokens. */
  readonly secrets: readonly string[];
  readonly log: Log;
  /** What takes files that were put together of parts; absent, they go to the backend as they are. */
  readonly store?: StoreUpload;
  /** Backends that are there already and stay as they are, in place of new ones of their names. */
  readonly kept?: readonly NamedBackend[];
}

/** Stores a file at a backend, as `StoreUpload` of `assembly.ts`. */
type StoreUpload = (
  backend: NamedBackend,
  upload: FileUpload,
  signal: AbortSignal,
  release: () => Promise<void>,
) => Promise<FileFields>;

/** Makes the backends of a checked configuration; it has at least one entry. */
export function createBackends(entries: readonly BackendConfig[], parts: BackendParts): Backends {
  const all = entries.map(
    (entry) =>
      parts.kept?.find(({ name }) => name === entry.name) ?? createNamedBackend(entry, parts),
  );
  const preferred = parts.preferred === undefined ? undefined : findHinted(all, parts.preferred);
  const fallback = preferred ?? all[0];
  if (fallback === undefined) throw new Error("createBackends() was given no entries");
  return { all, fallback };
}

function createNamedBackend(entry: BackendConfig, parts: BackendParts): NamedBackend {
  const { name, provider } = entry;
  const registered = parts.providers[provider];
  if (registered === undefined) throw new Error(`The provider "${provider}" is not registered`);
  const create = (options: unknown, serves: Runtime["serves"]): Backend =>
    registered.create(options, {
      name,
      directory: join(parts.dataDirectory, "backends", name),
      serves,
      command: parts.command,
      secrets: parts.secrets,
      log: (level, message, fields) =>
        parts.log.write(level, message, { backend: name, ...fields }),
    });
  const shared = entry.files === entry.jobs;
  const jobs = create(entry.jobs, { files: shared, jobs: true });
  const files = shared ? jobs : create(entry.files, { files: true, jobs: false });
  if (hasUploads(files)) return { name, provider, files, jobs, uploads: files };
  const store = parts.store ?? storeUnchecked;
  const assembly = createAssembly(
    join(parts.dataDirectory, "uploads", name),
    (upload, signal, release) => store(backend, upload, signal, release),
  );
  const backend: NamedBackend = { name, provider, files, jobs, uploads: assembly, assembly };
  return backend;
}

async function storeUnchecked(
  { files }: NamedBackend,
  upload: FileUpload,
  signal: AbortSignal,
  release: () => Promise<void>,
): Promise<FileFields> {
  try {
    return await files.uploadFile(upload, signal);
  } finally {
    await release();
  }
}

function hasUploads(backend: Backend): backend is Backend & UploadOperations {
  return backend.createUpload !== undefined;
}

/** The backend that a hint means: one of that name, else the first one of that provider. */
export function findHinted(all: readonly NamedBackend[], hint: string): NamedBackend | undefined {
  return all.find(({ name }) => name === hint) ?? all.find(({ provider }) => provider === hint);
}

/** The answer for an operation that a backend's service does not have. */
export function unsupported(backend: NamedBackend, operation: string): ApiError {
  return new ApiError(
    400,
    `Cannot ${operation} on backend "${backend.name}": its provider "${backend.provider}" has no such operation`,
    { code: "unsupported_operation", retry: false },
  );
}

/** The backends that have the operation `method` on their files or jobs side. */
export function backendsWith(
  backends: Backends,
  side: "files" | "jobs",
  method: keyof Backend,
): readonly NamedBackend[] {
  return backends.all.filter((backend) => backend[side][method] !== undefined);
}

/** The backend for a call that has no id to go by: the one for uploads, else the first able one. */
export function requireBackend(
  backends: Backends,
  side: "files" | "jobs",
  method: keyof Backend,
  operation: string,
): NamedBackend {
  const able = backendsWith(backends, side, method);
  const backend = able.find((one) => one === backends.fallback) ?? able[0];
  if (backend !== undefined) return backend;
  throw new ApiError(400, `Cannot ${operation}: no configured backend has this operation`, {
    code: "unsupported_operation",
    retry: false,
  });
}

/** Closes every instance once. */
export async function closeBackends(backends: Backends): Promise<void> {
  await Promise.all(instancesOf(backends.all).map((instance) => instance.close?.()));
}

/** The instances of backends, each once. */
export function instancesOf(backends: readonly NamedBackend[]): readonly Backend[] {
  return [...new Set(backends.flatMap(({ files, jobs }) => [files, jobs]))];
}
