import type { ModelRules } from "../../provider.ts";

/** The encodings of OpenAI's models that a text can be counted in. */
export type TokenizerName = ModelRules["tokenizer"];

/** The number of tokens of a text; what looks like a special token is text too. */
export type CountText = (text: string) => number;

/**
 * A run without a break of this many UTF-16 units is cut: the time for one run grows with its square.
 * Each cut can add a token, and in rare cases take one away.
 */
const longestRun = 1_000;

/** How many words that are no tokens are remembered: few words are most of a text. */
const rememberedWords = 10_000;

const nothingIsSpecial = { disallowedSpecial: new Set<string>() };

/**
 * Loads the tables of an encoding, tens of megabytes: to be called in a thread that ends. Counts are
 * those of the package, which takes U+FEFF within a text for white space, and OpenAI's own code not:
 * that can make a difference of one token.
 */
export async function loadTokenizer(name: TokenizerName): Promise<CountText> {
  const { countTokens, setMergeCacheSize, clearMergeCache } = await loadEncoding(name);
  // A remembered word keeps the text that it was found in, so they are forgotten from time to time.
  clearMergeCache();
  setMergeCacheSize(rememberedWords);
  return (text) => {
    let tokens = 0;
    for (let start = 0; start < text.length; ) {
      const end = findCut(text, start);
      tokens += countTokens(text.slice(start, end), nothingIsSpecial);
      start = end;
    }
    return tokens;
  };
}

function loadEncoding(name: TokenizerName) {
  return name === "o200k_base"
    ? import("gpt-tokenizer/encoding/o200k_base")
    : import("gpt-tokenizer/encoding/cl100k_base");
}

/**
 * The end of a piece of `text` that can be counted by itself. Before they look for tokens both
 * encodings split a text by a pattern, and wherever one of its matches surely ends a cut changes
 * nothing: before a space that comes after something else than white space, and before a line feed
 * or a sign that comes after a letter, but for the apostrophe of "it's".
 */
function findCut(text: string, start: number): number {
  const limit = start + longestRun;
  if (limit >= text.length) return text.length;
  const space = findSpace(text, start, limit);
  if (space > start) return space;
  const sign = findSign(text, start, limit);
  if (sign > start) return sign;
  return isSecondHalf(text, limit) ? limit - 1 : limit;
}

function findSpace(text: string, start: number, limit: number): number {
  let space = text.lastIndexOf(" ", limit);
  while (space > start && /\s/.test(text.charAt(space - 1))) {
    space = text.lastIndexOf(" ", space - 1);
  }
  return space;
}

function findSign(text: string, start: number, limit: number): number {
  let last = start;
  for (const { index } of text.slice(start, limit).matchAll(/(?<=\p{L})[\n\p{P}\p{S}]/gu)) {
    if (text[start + index] !== "'") last = start + index;
  }
  return last;
}

/** Whether a cut at `index` would part a surrogate pair. */
function isSecondHalf(text: string, index: number): boolean {
  return (text.codePointAt(index - 1) ?? 0) > 0xffff;
}
