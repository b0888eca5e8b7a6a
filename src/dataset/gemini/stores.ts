import type { Media } from "./media.ts";
import { fillMedia } from "./placeholders.ts";

/** One line in Gemini's format. */
export interface ConvertedLine {
  readonly line: number;
  /** JSON text, with placeholders for the URIs of `media`. */
  readonly text: string;
  readonly media: readonly Media[];
}

type StoreMedia = (bytes: Uint8Array, mimeType: string, line: number) => Promise<string>;
type Outcome = { readonly text: string } | { readonly error: unknown };

interface Waiting {
  readonly bytes: number;
  readonly stores: boolean;
  readonly outcome: Outcome | Promise<Outcome>;
}

const maximumStores = 8;
const maximumBytes = 32 * 1024 * 1024;

/** Lines whose media are being stored and the lines after them, in the order of the file. */
export class StoreQueue {
  readonly #storeMedia: StoreMedia;
  readonly #waiting: Waiting[] = [];
  #hasEnded = false;
  #bytes = 0;
  #stores = 0;

  constructor(storeMedia: StoreMedia) {
    this.#storeMedia = storeMedia;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether a line has to be taken before the next is added, so that memory stays flat. */
  get isFull(): boolean {
    return this.#stores >= maximumStores || this.#bytes > maximumBytes;
  }

  add(converted: ConvertedLine): void {
    const { text, media } = converted;
    const bytes = media.reduce((sum, item) => sum + item.bytes.length, text.length);
    const stores = media.length > 0;
    const outcome = stores
      ? this.#store(converted).then(
          (stored) => ({ text: stored }),
          (error: unknown) => ({ error }),
        )
      : { text };
    this.#waiting.push({ bytes, stores, outcome });
    this.#bytes += bytes;
    if (stores) this.#stores += 1;
  }

  /** The text of the first line, once its media are stored; throws what `storeMedia` threw. */
  async take(): Promise<string> {
    const first = this.#waiting.shift();
    if (first === undefined) throw new Error("No line is waiting");
    const outcome = await first.outcome;
    this.#bytes -= first.bytes;
    if (first.stores) this.#stores -= 1;
    if ("error" in outcome) throw outcome.error;
    return outcome.text;
  }

  /** Begins no more stores and waits for those that run, whatever comes of them. */
  async settle(): Promise<void> {
    this.#hasEnded = true;
    await Promise.all(this.#waiting.map((waiting) => waiting.outcome));
  }

  #store({ line, text, media }: ConvertedLine): Promise<string> {
    return fillMedia(text, media, async (item) => {
      if (this.#hasEnded) throw new Error("The conversion has ended");
      return this.#storeMedia(item.bytes, item.mimeType, line);
    });
  }
}
