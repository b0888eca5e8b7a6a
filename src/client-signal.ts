const releases = new WeakMap<AbortSignal, () => void>();

/**
 * A signal for an upload: it ends with its client, so that nothing goes on being sent that nobody
 * waits for, or with `stopping`. After `outliveClient` only `stopping` ends it.
 */
export function followClient(client: AbortSignal, stopping: AbortSignal): AbortSignal {
  const leaving = new AbortController();
  const leave = () => leaving.abort(client.reason);
  if (client.aborted) leave();
  else client.addEventListener("abort", leave, { once: true });
  const signal = AbortSignal.any([leaving.signal, stopping]);
  releases.set(signal, () => client.removeEventListener("abort", leave));
  return signal;
}

/**
 * To be called when all bytes of an upload are on their way: the service may store the file from
 * here on, and a file that is stored must become known. Other signals are left as they are.
 */
export function outliveClient(signal: AbortSignal): void {
  releases.get(signal)?.();
}
