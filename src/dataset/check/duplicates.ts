import { isObject } from "../values.ts";

/** Far above any dataset; what nests deeper is refused by most readers of JSON. */
const maximumDepth = 200;
/** From here on a native hash of the text is faster than a loop. */
const longString = 24;
const firstSeed = 0x9e3779b9;
const secondSeed = 0x7f4a7c15;
const tags = { array: 0x51ed270b, object: 0x2545f491, null: 3, true: 5, false: 7 } as const;

const float = new Float64Array(1);
const floatWords = new Uint32Array(float.buffer);

/**
 * 64 bits of a JSON value's content: the same whatever the order of keys, the spaces and the escapes
 * in its text.
 */
export class ContentHash {
  /** The halves, as signed integers of 32 bits. */
  high = 0;
  low = 0;
  #isTooDeep = false;

  /** False where the value is nested more than 200 deep and the hash means nothing. */
  compute(value: unknown): boolean {
    this.#start();
    this.#isTooDeep = false;
    this.#visit(value, 0);
    this.#finish();
    return !this.#isTooDeep;
  }

  #start(): void {
    this.high = firstSeed | 0;
    this.low = secondSeed | 0;
  }

  #visit(value: unknown, depth: number): void {
    if (typeof value === "string") this.#mixString(value);
    else if (typeof value === "number") {
      float[0] = value;
      this.#mix(floatWords[0] ?? 0);
      this.#mix(floatWords[1] ?? 0);
    } else if (typeof value !== "object") this.#mix(value === true ? tags.true : tags.false);
    else if (value === null) this.#mix(tags.null);
    else if (depth >= maximumDepth) this.#isTooDeep = true;
    else if (Array.isArray(value)) {
      this.#mix(tags.array);
      this.#mix(value.length);
      for (const item of value) this.#visit(item, depth + 1);
    } else if (isObject(value)) this.#visitObject(value, depth);
  }

  /** The hashes of the entries are added up: their order does not count. */
  #visitObject(fields: Readonly<Record<string, unknown>>, depth: number): void {
    const { high, low } = this;
    let highSum = 0;
    let lowSum = 0;
    for (const key in fields) {
      this.#start();
      this.#mixString(key);
      this.#visit(fields[key], depth + 1);
      this.#finish();
      highSum = (highSum + this.high) | 0;
      lowSum = (lowSum + this.low) | 0;
    }
    this.high = high;
    this.low = low;
    this.#mix(tags.object);
    this.#mix(highSum);
    this.#mix(lowSum);
  }

  #mixString(text: string): void {
    if (text.length >= longString) {
      this.#mix(Bun.hash.xxHash32(text, firstSeed));
      this.#mix(Bun.hash.xxHash32(text, secondSeed));
    } else {
      const pairs = text.length & ~1;
      for (let index = 0; index < pairs; index += 2) {
        this.#mix(text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16));
      }
      if (pairs < text.length) this.#mix(text.charCodeAt(pairs));
    }
    this.#mix(text.length);
  }

  #mix(word: number): void {
    const high = Math.imul(this.high ^ word, 0x85ebca6b);
    this.high = (high << 13) | (high >>> 19);
    const low = Math.imul(this.low ^ word ^ 0x27d4eb2f, 0xc2b2ae35);
    this.low = (((low << 15) | (low >>> 17)) + this.high) | 0;
  }

  /** Spreads the last words over all bits, as MurmurHash3 does. */
  #finish(): void {
    this.high = spread(this.high);
    this.low = spread(this.low ^ this.high);
  }
}

function spread(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const firstSize = 1 << 12;
/** 50 MB (and half of it again while it grows) with room for three million examples. */
const maximumSize = 1 << 22;

/** The lines of the first examples of each content, by 64 bits of it; flat memory. */
export class SeenExamples {
  readonly #maximum: number;
  #size: number;
  #words: Int32Array;
  #lines: Uint32Array;
  #count = 0;
  #isCut = false;

  /** `maximum` is the number of places, a power of two, of which three quarters are used. */
  constructor(maximum = maximumSize) {
    this.#maximum = maximum;
    this.#size = Math.min(firstSize, maximum);
    this.#words = new Int32Array(this.#size * 2);
    this.#lines = new Uint32Array(this.#size);
  }

  /** The number of contents that are kept. */
  get count(): number {
    return this.#count;
  }

  /** Whether a content that was new found no room. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** The line that had the content first, or 0; then it is kept, if there is room. */
  add(hash: ContentHash, line: number): number {
    let index = this.#findPlace(hash.high, hash.low);
    const known = this.#lines[index] ?? 0;
    if (known !== 0) return known;
    if (this.#count >= (this.#size / 4) * 3) {
      if (this.#size === this.#maximum) {
        this.#isCut = true;
        return 0;
      }
      this.#grow();
      index = this.#findPlace(hash.high, hash.low);
    }
    this.#put(index, hash.high, hash.low, line);
    this.#count += 1;
    return 0;
  }

  /** The line that had the content first, or 0. */
  find(hash: ContentHash): number {
    return this.#lines[this.#findPlace(hash.high, hash.low)] ?? 0;
  }

  #findPlace(high: number, low: number): number {
    const mask = this.#size - 1;
    let index = low & mask;
    while (this.#lines[index] !== 0) {
      if (this.#words[index * 2] === high && this.#words[index * 2 + 1] === low) break;
      index = (index + 1) & mask;
    }
    return index;
  }

  #put(index: number, high: number, low: number, line: number): void {
    this.#words[index * 2] = high;
    this.#words[index * 2 + 1] = low;
    this.#lines[index] = line;
  }

  #grow(): void {
    const words = this.#words;
    const lines = this.#lines;
    this.#size *= 2;
    this.#words = new Int32Array(this.#size * 2);
    this.#lines = new Uint32Array(this.#size);
    for (const [index, line] of lines.entries()) {
      if (line === 0) continue;
      const high = words[index * 2] ?? 0;
      const low = words[index * 2 + 1] ?? 0;
      this.#put(this.#findPlace(high, low), high, low, line);
    }
  }
}
