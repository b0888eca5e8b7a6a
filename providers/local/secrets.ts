const namedVariables = ["TUNEGATE_MASTER_KEY", "LITELLM_MASTER_KEY"];
/** A shorter one stands in too much that is none. */
const shortestMasked = 8;

/** Replaces the secrets of 8 characters or more in a text by `[secret]`. */
export type Mask = (text: string) => string;

/** Makes a `Mask` of the configured keys and tokens. */
export function createMask(secrets: readonly string[]): Mask {
  // The longest first, so that a secret that contains another is masked whole.
  const masked = secrets
    .filter((secret) => secret.length >= shortestMasked)
    .sort((a, b) => b.length - a.length);
  return (text) => masked.reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
}

/** The gateway's own environment without its keys, under whatever name they stand. */
export function withholdSecrets(
  environment: NodeJS.ProcessEnv,
  secrets: readonly string[],
): NodeJS.ProcessEnv {
  const withheld = new Set(secrets.map((secret) => secret.trim()));
  withheld.delete("");
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name, value]) => !namedVariables.includes(name) && !withheld.has(value?.trim() ?? ""),
    ),
  );
}
