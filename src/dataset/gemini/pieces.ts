const pieceBytes = 1024 * 1024;
/** Lines are encoded together, as each call costs as much as a short line. */
const batchUnits = 16 * 1024;
/** UTF-8 takes no more for one UTF-16 unit. */
const maximumUnitBytes = 3;
const encoder = new TextEncoder();

/** Encodes lines to UTF-8 in pieces of exactly 1 MiB; the last one is what is left. */
export class PieceWriter {
  #text = "";
  #piece = new Uint8Array(pieceBytes);
  #length = 0;
  #full: Uint8Array[] = [];

  /** Adds one line; `text` is without its line feed and holds no half of a surrogate pair. */
  add(text: string): void {
    this.#text += `${text}\n`;
    if (this.#text.length >= batchUnits) this.#encode();
  }

  /** The pieces that are full since the last call. */
  take(): readonly Uint8Array[] {
    const full = this.#full;
    if (full.length > 0) this.#full = [];
    return full;
  }

  /** The pieces that are left. */
  finish(): readonly Uint8Array[] {
    this.#encode();
    const rest = this.#piece.subarray(0, this.#length);
    return this.#length === 0 ? this.take() : [...this.take(), rest];
  }

  #encode(): void {
    const text = this.#text;
    this.#text = "";
    if (text.length * maximumUnitBytes <= pieceBytes - this.#length) {
      this.#length += encoder.encodeInto(text, this.#piece.subarray(this.#length)).written;
      return;
    }
    const bytes = encoder.encode(text);
    for (let start = 0; start < bytes.length; ) {
      const part = bytes.subarray(start, start + pieceBytes - this.#length);
      this.#piece.set(part, this.#length);
      this.#length += part.length;
      start += part.length;
      if (this.#length === pieceBytes) this.#startPiece();
    }
  }

  #startPiece(): void {
    this.#full.push(this.#piece);
    this.#piece = new Uint8Array(pieceBytes);
    this.#length = 0;
  }
}
