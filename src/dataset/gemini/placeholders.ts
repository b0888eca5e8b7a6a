import type { Media } from "./media.ts";

/** No text of a file holds it, not by intent either. */
const nonce = crypto.randomUUID();
const jsonPattern = new RegExp(`"${nonce}:json:(\\d+)"`, "g");
const mediaPattern = new RegExp(`"${nonce}:media:(\\d+)"`);

/** What the text of one example gets once its objects are written as JSON. */
export class Placeholders {
  #texts: string[] | undefined;
  #media: Media[] | undefined;

  /** Stands for a value that is kept as its JSON text. */
  addJson(text: string): string {
    this.#texts ??= [];
    return `${nonce}:json:${this.#texts.push(text) - 1}`;
  }

  /** Stands for the URI of what came inline. */
  addMedia(media: Media): string {
    this.#media ??= [];
    return `${nonce}:media:${this.#media.push(media) - 1}`;
  }

  /** The JSON text of `example`, in which only the URIs of media are still open. */
  write(example: unknown): { readonly text: string; readonly media: readonly Media[] } {
    const text = JSON.stringify(example);
    const texts = this.#texts;
    const media = this.#media ?? [];
    if (texts === undefined) return { text, media };
    return { text: text.replace(jsonPattern, (_, index) => texts[Number(index)] ?? "null"), media };
  }
}

/** Puts the URI of each of the media, asked for one after the other, into the text of a line. */
export async function fillMedia(
  text: string,
  media: readonly Media[],
  store: (item: Media) => Promise<string>,
): Promise<string> {
  const pieces = text.split(mediaPattern);
  for (let index = 1; index < pieces.length; index += 2) {
    const item = media[Number(pieces[index])];
    if (item !== undefined) pieces[index] = JSON.stringify(await store(item));
  }
  return pieces.join("");
}
