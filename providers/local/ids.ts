const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// 7 digits of base 62 hold milliseconds until the year 2081.
const timeDigits = 7;
const randomDigits = 17;

let lastTime = 0;

/**
 * A new id: the prefix and 24 characters of base 62, as OpenAI's. The first 7 are the time, so that
 * ids sort as they were created; within a process none is equal to or less than an earlier one.
 */
export function createId(prefix: "file-" | "ftjob-"): string {
  lastTime = Math.max(Date.now(), lastTime + 1);
  return `${prefix}${formatNumber(lastTime, timeDigits)}${createRandomText(randomDigits)}`;
}

/** When an id of `createId` was made, in Unix seconds. */
export function readCreatedAt(id: string): number {
  const start = id.indexOf("-") + 1;
  return Math.floor(parseNumber(id.slice(start, start + timeDigits)) / 1000);
}

/** Whether a text from outside has the form of our file ids, and so can be no path. */
export function isFileId(text: string): boolean {
  return /^file-[0-9A-Za-z]{24}$/.test(text);
}

/** Whether a text from outside has the form of our job ids, and so can be no path. */
export function isJobId(text: string): boolean {
  return /^ftjob-[0-9A-Za-z]{24}$/.test(text);
}

/** Random characters of base 62. */
export function createRandomText(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 248 is the greatest multiple of 62 in a byte: beyond it some characters would be likelier.
      if (byte < 248 && text.length < length) text += alphabet.charAt(byte % 62);
    }
  }
  return text;
}

/** A number in base 62, as long as `digits` at least, so that texts sort as the numbers do. */
export function formatNumber(value: number, digits: number): string {
  let text = "";
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) {
    text = alphabet.charAt(rest % 62) + text;
  }
  return text.padStart(digits, "0");
}

/** Reads what `formatNumber` wrote. */
export function parseNumber(text: string): number {
  let value = 0;
  for (const character of text) value = value * 62 + alphabet.indexOf(character);
  return value;
}
