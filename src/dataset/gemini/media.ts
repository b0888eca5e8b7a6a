import { describeValue } from "../values.ts";

/** Bytes that came inline, to be kept elsewhere. */
export interface Media {
  readonly bytes: Uint8Array;
  readonly mimeType: string;
}

/** Google's limit for one image; a document is held to it too. */
const maximumBytes = 20_000_000;
const tooLarge = { unsupported: "is larger than 20 MB" };

/** The images and documents that Gemini reads, by the extension of their names. */
const mimeTypes: ReadonlyMap<string, string> = new Map([
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["png", "image/png"],
  ["webp", "image/webp"],
  ["heic", "image/heic"],
  ["heif", "image/heif"],
  ["pdf", "application/pdf"],
]);
const knownTypes = new Set(mimeTypes.values());

/** The type that the extension of a name, or of the path of a URL, stands for. */
export function findMimeType(name: string): string | undefined {
  const path = name.split(/[?#]/, 1)[0] ?? "";
  return mimeTypes.get(path.slice(path.lastIndexOf(".") + 1).toLowerCase());
}

/** Whether a text is a `data:` URL. */
export function isDataUrl(url: string): boolean {
  return url.slice(0, 5).toLowerCase() === "data:";
}

/**
 * Decodes a `data:` URL in base64. Answers with the reason, as the end of a sentence, for what is
 * broken, or for what is sound but of another type or above 20 MB.
 */
export function readDataUrl(url: string): Media | { broken: string } | { unsupported: string } {
  const comma = url.indexOf(",");
  const [type = "", ...parameters] = url.slice(5, Math.max(comma, 5)).toLowerCase().split(";");
  if (comma === -1 || parameters.at(-1) !== "base64") {
    return { broken: `must be a data URL in base64, not ${describeValue(url)}` };
  }
  return decodeMedia(url.slice(comma + 1), type === "image/jpg" ? "image/jpeg" : type);
}

/** Decodes base64 of a known type; answers as `readDataUrl` does. */
export function decodeMedia(
  base64: string,
  mimeType: string,
): Media | { broken: string } | { unsupported: string } {
  if (!knownTypes.has(mimeType)) {
    const known = [...knownTypes].join(", ");
    return { unsupported: `is of type ${describeValue(mimeType)}, and Gemini reads ${known}` };
  }
  if (base64.length > maximumBytes * 1.5) return tooLarge;
  try {
    const bytes = Uint8Array.fromBase64(base64);
    if (bytes.length === 0) return { broken: "holds no bytes" };
    return bytes.length > maximumBytes ? tooLarge : { bytes, mimeType };
  } catch {
    return { broken: `must hold base64, not ${describeValue(base64)}` };
  }
}
