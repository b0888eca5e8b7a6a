import * as v from "valibot";

// Messages complete a sentence that begins with the setting's name; none repeats the value.

/** A header's value: visible characters of ASCII; spaces around it are cut off. */
export const headerValue = v.pipe(
  v.string(),
  v.trim(),
  v.nonEmpty(),
  v.regex(/^[\x20-\x7e]*$/, "must have only the characters that a header may have"),
);

/** An API key; white space around it is cut off. */
export const apiKey = v.pipe(
  v.string(),
  v.trim(),
  v.nonEmpty(),
  v.regex(/^[\x21-\x7e]*$/, "must be a key: letters, digits and signs without spaces"),
);

/** The address that paths are appended to; a slash at its end makes no difference. */
export const apiBase = v.pipe(
  v.string(),
  v.trim(),
  v.check(isPlainUrl, "must be an http or https URL without user name, query or fragment"),
);

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return false;
  return url.username === "" && url.password === "" && !/[?#]/.test(text);
}

/** Seconds of a deadline: more than none, at most a day. */
export const timeoutSeconds = v.pipe(v.number(), v.gtValue(0), v.maxValue(86_400));

// What the client of the service sets itself, or what describes a connection and not a call.
const reservedHeaders = [
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "host",
  "transfer-encoding",
];

/** Headers by name, without those that are not the operator's to set. */
export const extraHeaders = v.record(
  v.pipe(
    v.string(),
    v.regex(/^[\w!#$%&'*+.^`|~-]+$/, "must be the name of a header"),
    v.check(
      (name) => !reservedHeaders.includes(name.toLowerCase()),
      `must be none of ${reservedHeaders.join(", ")}`,
    ),
  ),
  headerValue,
);

/** The option `timeout` of a service whose calls are those of `Upstream`. */
export const timeoutOption = v.pipe(
  v.optional(timeoutSeconds, 600),
  v.description("Seconds for one call; for an upload or a download, seconds without progress"),
);

/** The option `headers`. */
export const headersOption = v.pipe(
  v.optional(extraHeaders, {}),
  v.description("More headers for every call, such as those that a proxy in between wants"),
);
