/** One of Gemini's parts. */
export type Part = Readonly<Record<string, unknown>>;

/** One of Gemini's contents. */
export interface Content {
  readonly role: "user" | "model";
  readonly parts: Part[];
}

type Turn = "user" | "model" | "results";

/**
 * The `contents` of one Gemini line. Parts of one kind of turn that follow each other become one
 * content, as Gemini wants turns to alternate; results of functions have a content of their own.
 */
export class Turns {
  readonly #contents: Content[] = [];
  #last: Turn | undefined;
  #trainedContents = 0;
  #trainedParts = 0;

  get contents(): readonly Content[] {
    return this.#contents;
  }

  get last(): Turn | undefined {
    return this.#last;
  }

  add(turn: Turn, parts: readonly Part[]): void {
    if (parts.length === 0) return;
    const before = turn === this.#last ? this.#contents.at(-1) : undefined;
    if (before !== undefined) {
      for (const part of parts) before.parts.push(part);
      return;
    }
    this.#last = turn;
    this.#contents.push({ role: turn === "model" ? "model" : "user", parts: [...parts] });
  }

  /** Notes that the model is to learn what was added last. */
  markTrained(): void {
    this.#trainedContents = this.#contents.length;
    this.#trainedParts = this.#contents.at(-1)?.parts.length ?? 0;
  }

  /** Drops what comes after the last part to be learnt, from which nothing is learnt. */
  dropUntrained(): void {
    this.#contents.length = this.#trainedContents;
    this.#contents.at(-1)?.parts.splice(this.#trainedParts);
  }
}
