import { describeValue } from "../values.ts";
import { checkString, type Fields, type ImageLimits } from "./context.ts";
import type { ExampleReport } from "./findings.ts";

const details: ReadonlySet<unknown> = new Set([undefined, null, "auto", "low", "high"]);
const imageHeader = /^data:([a-z]+\/[a-z0-9.+-]+)(?:;[^,;]*)*;base64,/i;
/** The types that OpenAI's guide for tuning on images names. */
const imageTypes: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/webp"]);
const reachable = /^(?:https?|gs):\/\/[^/]/i;
const maximumHeader = 200;

/** Checks the `image_url` of a content part; an image that is only linked is not fetched. */
export function checkImageUrl(body: Fields, limits: ImageLimits, report: ExampleReport): void {
  if (!details.has(body.detail)) {
    const sentence = `must be "auto", "low" or "high", not ${describeValue(body.detail)}`;
    report.error("invalid_image", sentence, "detail");
  }
  const url = checkString(body, "url", "invalid_image", report);
  if (url === undefined) return;
  if (url.slice(0, 5).toLowerCase() === "data:") checkDataUrl(url, limits, report);
  else if (!reachable.test(url)) {
    const sentence = `must start with "https://" or "data:image/", not ${describeValue(url)}`;
    report.error("invalid_image", sentence, "url");
  }
}

/** Checks the number of bytes that a text in base64 stands for, told from its length. */
export function checkImageBytes(
  base64Length: number,
  limits: ImageLimits,
  report: ExampleReport,
  key: string,
): void {
  const bytes = Math.floor((base64Length * 3) / 4);
  const maximum = limits.maxImageBytes;
  // Up to two bytes are padding.
  if (maximum === undefined || bytes - 2 <= maximum) return;
  const sentence = `is an image of ${bytes} bytes, and one may have at most ${maximum}`;
  report.error("image_too_large", sentence, key);
}

function checkDataUrl(url: string, limits: ImageLimits, report: ExampleReport): void {
  const header = imageHeader.exec(url.slice(0, maximumHeader));
  if (header === null) {
    const sentence = `must be "data:", the type of the image and ";base64,"`;
    report.error("invalid_image", sentence, "url");
    return;
  }
  const [start, type = ""] = header;
  if (!imageTypes.has(type.toLowerCase())) {
    const sentence = `is of the type ${describeValue(type)}, and JPEG, PNG and WEBP are published as taken`;
    report.warn("unsupported_image", sentence, "url");
  }
  checkImageBytes(url.length - start.length, limits, report, "url");
}
