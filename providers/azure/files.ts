import { fileNotFound } from "../../src/errors.ts";
import {
  type Fields,
  type FileFields,
  type FileQuery,
  type FileUpload,
  requestIdOf,
  withRequestId,
} from "../../src/provider.ts";
import type { Upstream } from "../../src/upstream/client.ts";
import { listPages } from "../../src/upstream/pages.ts";
import { isDeleted, StoredFile, translateFile } from "./objects.ts";
import { lacking } from "./request.ts";
import { isOlder, type Surface } from "./surface.ts";

/** One file; throws OpenAI's 404 for one that Azure still shows but has deleted. */
export async function getFile(
  upstream: Upstream,
  id: string,
  signal: AbortSignal,
): Promise<FileFields> {
  const file = await upstream.get(["files", id], {}, StoredFile, signal);
  if (isDeleted(file)) throw fileNotFound(id);
  return withRequestId(translateFile(file), requestIdOf(file) ?? null);
}

/** Azure has no order, limit or cursor for files, and few of them: all are read and sorted. */
export function listFiles(
  upstream: Upstream,
  query: FileQuery,
  signal: AbortSignal,
): AsyncIterable<FileFields> {
  const list = listPages(upstream, ["files"], { purpose: query.purpose }, StoredFile, signal);
  const files: AsyncIterable<FileFields> = sortFiles();
  return files;

  async function* sortFiles(): AsyncGenerator<FileFields> {
    const stored = await Array.fromAsync(list);
    withRequestId(files, requestIdOf(list) ?? null);
    const sign = query.order === "asc" ? 1 : -1;
    const present = stored.filter((file) => !isDeleted(file));
    // The id decides between files of one second, so that each call has the same order.
    present.sort(
      (one, other) => sign * (one.created_at - other.created_at || (one.id < other.id ? -1 : 1)),
    );
    yield* present.map(translateFile);
  }
}

/** Refuses the expiry of a file that is to be uploaded or imported, where Azure would keep it. */
export function checkExpiry(
  action: string,
  { expires_after }: Pick<FileUpload, "expires_after"> | Fields,
  surface: Surface,
): void {
  if (expires_after !== undefined && expires_after !== null && isOlder(surface)) {
    throw lacking(action, "expires_after", surface);
  }
}
