import { describe, expect, test } from "bun:test";
import { encode as encodeCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { encode as encodeO200k } from "gpt-tokenizer/encoding/o200k_base";
import { loadTokenizer } from "../../../src/dataset/tokens/tokenizer.ts";

const plain = { disallowedSpecial: new Set<string>() };
const tokenizers = [
  { name: "o200k_base", encode: encodeO200k },
  { name: "cl100k_base", encode: encodeCl100k },
] as const;

const texts = [
  "",
  " ",
  "Hello, world!",
  "It's John's; we'll see. IT'S 12345678 o'clock",
  "Ärger mit Größe: Straße, naïve façade",
  "Привет, как дела?",
  "Καλημέρα κόσμε",
  "你好，世界。今天天气怎么样？",
  "こんにちは世界、カタカナとひらがな",
  "안녕하세요 세계",
  "مرحبا بالعالم كيف حالك",
  "שלום עולם",
  "नमस्ते दुनिया, कैसे हो?",
  "สวัสดีชาวโลก",
  "Xin chào thế giới",
  "👩‍👩‍👧‍👦 🇩🇪 👍🏽 𝒳𝒴 𠮷野家",
  "a\u0301e\u0300 \u200d\ufeff\u00a0x",
  "tab\tand\r\nlines\n\n\n  indented\n",
  "    \n  \t\n   end   ",
  "function f(x) { return `x` ?? [\"a\", 'b']; } // path/to/file.ts\n",
  "https://example.com/a/b?c=d&e=%20#f",
  "half \ud83d pair, other half \ude00, end \ud83d",
  "<|endoftext|> and <|fim_prefix|><|im_start|>user<|im_end|><|endofprompt|>",
];

/** Characters between which the encodings' patterns decide in many ways. */
const characters = [..."aA1 .,;'\n\r\t/-é漢字かกิ\u0301😀\u00a0\ud800<|>s"];

function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe.each(tokenizers)("counting in $name", ({ name, encode }) => {
  test("gives the length of what the package itself encodes, in many scripts", async () => {
    const countText = await loadTokenizer(name);
    for (const text of texts) {
      expect({ text, tokens: countText(text) }).toEqual({
        text,
        tokens: encode(text, plain).length,
      });
    }
  });

  test("cuts long texts where it changes nothing", async () => {
    const countText = await loadTokenizer(name);
    const long = texts.map((text) => `${text}. `.repeat(200));
    const random = makeRandom(5);
    for (let index = 0; index < 60; index += 1) {
      // Words of few characters each, so that there is a break within 1,000 of them.
      const some = characters.filter(() => random() < 0.4).concat("a", " ", ",");
      const pick = () => some[Math.floor(random() * some.length)];
      long.push(Array.from({ length: 5_000 }, pick).join(""));
    }
    long.push(...long.map((text) => text.replaceAll(/ +/g, "")).filter((text) => /a,/.test(text)));
    for (const [index, text] of long.entries()) {
      expect({ index, tokens: countText(text) }).toEqual({
        index,
        tokens: encode(text, plain).length,
      });
    }
  });

  test("is wrong by two tokens at most for each cut of a run without a break", async () => {
    const countText = await loadTokenizer(name);
    const random = makeRandom(9);
    const letters = [..."abcdefghij漢字仮名交"];
    for (const length of [999, 1_000, 1_001, 2_500, 5_000]) {
      const pick = () => letters[Math.floor(random() * letters.length)] ?? "";
      const text = Array.from({ length }, pick).join("");
      const error = Math.abs(countText(text) - encode(text, plain).length);
      expect({ length, error: error <= 2 * Math.floor(text.length / 1_000) }).toEqual({
        length,
        error: true,
      });
    }
  });

  test("ends soon for a megabyte without a break, and parts no character", async () => {
    const countText = await loadTokenizer(name);
    const size = 1_000_000;
    const random = makeRandom(3);
    const pick = () => String.fromCharCode(0x4e00 + Math.floor(random() * 0x5000));
    const ideographs = Array.from({ length: size / 3 }, pick).join("");
    expect(countText(ideographs)).toBeGreaterThan(size / 6);
    for (const run of ["a", "-", " ", "\n", "\u0301", "漢字仮名交文", "😀", "a\ud800"]) {
      const text = run.repeat(size / run.length);
      const tokens = countText(text);
      expect({ run, some: tokens > 0 && tokens <= 3 * size }).toEqual({ run, some: true });
    }
    const unit = encode("😀", plain).length;
    expect(countText(`a${"😀".repeat(5_000)}`)).toBeLessThanOrEqual(1 + 5_000 * unit);
  }, 60_000);
});
