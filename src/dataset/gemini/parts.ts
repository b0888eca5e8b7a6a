import { describeValue, isObject, isPresent } from "../values.ts";
import { reportOtherFields } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { readObjectText } from "./json-text.ts";
import { decodeMedia, findMimeType, isDataUrl, readDataUrl } from "./media.ts";
import type { Placeholders } from "./placeholders.ts";
import type { Part } from "./turns.ts";

type Fields = Readonly<Record<string, unknown>>;

const none: readonly Part[] = [];
/** Google's limit for one example. */
const maximumImages = 30;
const textFields = new Set(["type", "text"]);
const refusalFields = new Set(["type", "refusal"]);
const imageFields = new Set(["type", "image_url"]);
const imageUrlFields = new Set(["url", "detail"]);
const fileFields = new Set(["type", "file"]);
const fileBodyFields = new Set(["file_data", "filename", "file_id"]);

/** Reads the contents of the messages of one example as Gemini's parts. */
export class ContentReader {
  readonly #findings: Findings;
  readonly #placeholders: Placeholders;
  #images = 0;
  #details: Set<string> | undefined;

  constructor(placeholders: Placeholders, findings: Findings) {
    this.#placeholders = placeholders;
    this.#findings = findings;
  }

  /** Gemini's `mediaResolution` for all images of the example, which it cannot set for one. */
  readResolution(): string | undefined {
    if (this.#details === undefined) return undefined;
    const [detail, ...others] = this.#details;
    if (others.length > 0) {
      const sentence = "the images have different details, and Gemini has one for all of them";
      this.#findings.report("unsupported_detail", sentence, "the model's default is used");
      return undefined;
    }
    return detail === "auto" || detail === undefined
      ? undefined
      : `MEDIA_RESOLUTION_${detail.toUpperCase()}`;
  }

  /** The content of a system or developer message. */
  readTexts({ content }: Fields, place: string): readonly Part[] {
    if (typeof content === "string") return writeText(content);
    return this.#readParts(content, `${place}.content`, (part, partPlace) =>
      this.#readTextPart(part, partPlace, "text"),
    );
  }

  /** The content of a message from the user. */
  readQuestion({ content }: Fields, place: string): readonly Part[] {
    if (typeof content === "string") return writeText(content);
    return this.#readParts(content, `${place}.content`, (part, partPlace) => {
      if (part.type === "image_url") return this.#readImage(part, partPlace);
      if (part.type === "file") return this.#readFile(part, partPlace);
      if (part.type !== "input_audio") {
        return this.#readTextPart(part, partPlace, "text, image_url, input_audio or file");
      }
      this.#findings.leaveOut("unsupported_audio", `${partPlace} is audio`);
      return none;
    });
  }

  /** The content and the refusal of a message from the assistant. */
  readAnswer({ content, refusal }: Fields, place: string): readonly Part[] {
    if (typeof content === "string" && !isPresent(refusal)) return writeText(content);
    const refused = isPresent(refusal) ? this.#readRefusal({ refusal }, place) : none;
    if (!isPresent(content)) return refused;
    if (typeof content === "string") return [...writeText(content), ...refused];
    const parts = this.#readParts(content, `${place}.content`, (part, partPlace) =>
      part.type === "refusal"
        ? this.#readRefusal(part, partPlace)
        : this.#readTextPart(part, partPlace, "text or refusal"),
    );
    return refused.length === 0 ? parts : [...parts, ...refused];
  }

  /** The result in a tool or function message as Gemini's response. */
  readResult({ content, role }: Fields, place: string): unknown {
    if (content === null && role === "function") return { output: null };
    if (typeof content === "string") return this.#writeResult(content);
    const texts: string[] = [];
    this.#readParts(content, `${place}.content`, (part, partPlace) => {
      this.#readTextPart(part, partPlace, "text");
      if (typeof part.text === "string") texts.push(part.text);
      return none;
    });
    return this.#writeResult(texts.join(""));
  }

  #readParts(
    content: unknown,
    place: string,
    read: (part: Fields, place: string) => readonly Part[],
  ): readonly Part[] {
    if (!Array.isArray(content)) {
      this.#findings.refuse(
        `${place} must be a string or an array of parts, not ${describeValue(content)}`,
      );
      return none;
    }
    const parts: Part[] = [];
    for (const [index, part] of content.entries()) {
      if (isObject(part)) parts.push(...read(part, `${place}[${index}]`));
      else {
        const found = describeValue(part);
        this.#findings.refuse(`${place}[${index}] must be a content part, not ${found}`);
      }
    }
    return parts;
  }

  #readTextPart(part: Fields, place: string, types: string): readonly Part[] {
    if (part.type !== "text") {
      this.#findings.refuse(`${place}.type must be ${types}, not ${describeValue(part.type)}`);
      return none;
    }
    reportOtherFields(part, textFields, place, this.#findings);
    if (typeof part.text === "string") return writeText(part.text);
    this.#findings.refuse(`${place}.text must be a string, not ${describeValue(part.text)}`);
    return none;
  }

  #readRefusal(part: Fields, place: string): readonly Part[] {
    const { refusal } = part;
    if (typeof refusal !== "string") {
      this.#findings.refuse(`${place}.refusal must be a string, not ${describeValue(refusal)}`);
      return none;
    }
    reportOtherFields(part, refusalFields, place, this.#findings);
    const sentence = `${place}.refusal: Gemini's format does not tell a refusal from text`;
    this.#findings.report("unsupported_refusal", sentence, "it becomes text");
    return writeText(refusal);
  }

  #readImage(part: Fields, place: string): readonly Part[] {
    const image = part.image_url;
    if (!isObject(image) || typeof image.url !== "string") {
      this.#findings.refuse(`${place}.image_url must be an object with a url`);
      return none;
    }
    reportOtherFields(part, imageFields, place, this.#findings);
    reportOtherFields(image, imageUrlFields, `${place}.image_url`, this.#findings);
    this.#addDetail(image.detail ?? "auto", place);
    this.#images += 1;
    if (this.#images > maximumImages) {
      const sentence = `${place}: Gemini takes ${maximumImages} images in an example`;
      this.#findings.leaveOut("too_many_images", sentence);
    }
    const where = `${place}.image_url.url`;
    const { url } = image;
    if (isDataUrl(url)) return this.#addMedia(readDataUrl(url), "image/", where);
    return this.#referTo(url, "image/", where);
  }

  #addDetail(detail: unknown, place: string): void {
    if (detail !== "auto" && detail !== "low" && detail !== "high") {
      const found = describeValue(detail);
      this.#findings.refuse(`${place}.image_url.detail must be auto, low or high, not ${found}`);
      return;
    }
    this.#details ??= new Set();
    this.#details.add(detail);
  }

  #readFile(part: Fields, place: string): readonly Part[] {
    const { file } = part;
    if (!isObject(file)) {
      this.#findings.refuse(`${place}.file must be an object, not ${describeValue(file)}`);
      return none;
    }
    reportOtherFields(part, fileFields, place, this.#findings);
    reportOtherFields(file, fileBodyFields, `${place}.file`, this.#findings);
    const { file_data: data, file_id: id, filename } = file;
    if (typeof data === "string") {
      const type = typeof filename === "string" ? findMimeType(filename) : undefined;
      const media = isDataUrl(data) ? readDataUrl(data) : decodeMedia(data, type ?? "");
      return this.#addMedia(media, "application/", `${place}.file.file_data`);
    }
    if (typeof id === "string") return this.#referTo(id, "application/", `${place}.file.file_id`);
    this.#findings.refuse(`${place}.file must have file_data or file_id`);
    return none;
  }

  #referTo(uri: string, kind: "image/" | "application/", place: string): readonly Part[] {
    const mimeType = findMimeType(uri);
    const isReachable = /^(?:https|gs):\/\//i.test(uri);
    if (isReachable && mimeType?.startsWith(kind)) {
      return [{ fileData: { mimeType, fileUri: uri } }];
    }
    const wanted = kind === "image/" ? ".jpg, .jpeg, .png, .webp, .heic or .heif" : ".pdf";
    const sentence = `${place} is ${describeValue(uri)}, which is not fetched: it must be an https or gs URL that ends in ${wanted}`;
    this.#findings.leaveOut("unsupported_media", sentence);
    return none;
  }

  #addMedia(
    media: ReturnType<typeof readDataUrl>,
    kind: "image/" | "application/",
    place: string,
  ): readonly Part[] {
    if ("broken" in media) {
      this.#findings.refuse(`${place} ${media.broken}`);
      return none;
    }
    if ("unsupported" in media || !media.mimeType.startsWith(kind)) {
      const reason = "unsupported" in media ? media.unsupported : `is of type ${media.mimeType}`;
      this.#findings.leaveOut("unsupported_media", `${place} ${reason}`);
      return none;
    }
    const fileUri = this.#placeholders.addMedia(media);
    return [{ fileData: { mimeType: media.mimeType, fileUri } }];
  }

  #writeResult(text: string): unknown {
    const object = readObjectText(text);
    return object === undefined ? { output: text } : this.#placeholders.addJson(object);
  }
}

/** Gemini refuses parts whose text is empty. */
function writeText(text: string): readonly Part[] {
  return text === "" ? none : [{ text }];
}
