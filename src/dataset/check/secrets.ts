/** The kinds that `hintSecrets` tells apart, as bits. */
const tokenHint = 1;
const cardHint = 2;
const emailHint = 4;

const apiKeys = [
  // A name in prose such as "sk-learn-compatible-estimators" has no digit.
  "sk-(?=[A-Za-z_-]{0,80}[0-9])[A-Za-z0-9_-]{20,200}",
  "[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
  "A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
  "gh[pousr]_[A-Za-z0-9]{36,}",
  "github_pat_[A-Za-z0-9_]{22,}",
  "glpat-[A-Za-z0-9_-]{20,}",
  "hf_[A-Za-z0-9]{30,}",
  "xox[abeoprs]-[A-Za-z0-9-]{15,}",
  "AIza[A-Za-z0-9_-]{35}",
].join("|");
const privateKey = "-----BEGIN [A-Z ]{0,40}PRIVATE KEY";
const webToken = "eyJ[A-Za-z0-9_-]{10,}\\.eyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*";
const email = "[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\\.){1,8}[A-Za-z]{2,24}";
/** Groups of four as most cards have them, or of four, six and the rest; the lengths are checked. */
const card =
  "\\d{4}([ -]?)\\d{4}\\1\\d{4}\\1\\d{1,7}(?!\\d)|\\d{4}([ -])\\d{6}\\2\\d{4,5}(?![0-9])";
const wordStart = "(?<![A-Za-z0-9])";

const tokenPatterns: readonly (readonly [code: SecretCode, pattern: RegExp])[] = [
  ["secret_api_key", new RegExp(`${wordStart}(?:${apiKeys})`)],
  ["secret_private_key", new RegExp(privateKey)],
  ["secret_jwt", new RegExp(`(?<![A-Za-z0-9_-])${webToken}`)],
];
/** Numbers after a point are fractions. */
const cardPattern = new RegExp(`(?<!\\d|\\d\\.)(?:${card})`, "g");
const emailDomain = /@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}/y;
const emailUser = /[A-Za-z0-9._%+-]/;

/** A run of these that is shorter is no token; of a web token one of its parts is longer. */
const tokenCharacters = markCharacters(/[A-Za-z0-9_-]/);
const shortestToken = 20;
const cardCharacters = markCharacters(/[0-9 -]/);
const shortestCard = 13;
/** Tells long names from secrets; `wordStart` does not hold in JSON, where `\n` may come before. */
const tokenHints =
  /sk-[A-Za-z0-9_-]{16}|[rs]k_(?:live|test)_|A[KS]IA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_|glpat-|hf_[A-Za-z0-9]{30}|xox[abeoprs]-|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{10}/;
const cardHints = /\d{4}[ -]?\d{4}[ -]?\d{4}|\d{4}[ -]\d{6}[ -]\d{4}/;

const masks = [
  new RegExp(`${privateKey}[^]*`, "g"),
  new RegExp(`${webToken}|${apiKeys}|${email}`, "g"),
  new RegExp(card, "g"),
];
/** Enough for any excerpt; what is masked gets shorter, but not by so much. */
const maximumMaskedLength = 1000;

/** What a warning of each code says. */
const sentences = {
  secret_api_key: "holds what looks like an API key",
  secret_private_key: "holds a private key",
  secret_jwt: "holds what looks like a JSON web token",
  personal_card_number: "holds what looks like a card number",
  personal_email: "holds an e-mail address",
} as const;

/** The codes of secrets and personal data. */
export type SecretCode = keyof typeof sentences;

/** Says what a finding means, without the secret. */
export function describeSecret(code: SecretCode): string {
  return sentences[code];
}

/** Kinds of secrets that the text of a line may hold, as bits for `findSecrets`; 0 for most. */
export function hintSecrets(text: string): number {
  const hasToken =
    hasRun(text, tokenCharacters, shortestToken, tokenHints) || text.includes("-----BEGIN");
  const hasCard = hasRun(text, cardCharacters, shortestCard, cardHints);
  return (
    (hasToken ? tokenHint : 0) | (hasCard ? cardHint : 0) | (text.includes("@") ? emailHint : 0)
  );
}

/** The kinds of secrets in a text, each at most once, as far as `hints` allows. */
export function findSecrets(text: string, hints: number): readonly SecretCode[] {
  const found: SecretCode[] = [];
  if ((hints & tokenHint) !== 0) {
    for (const [code, pattern] of tokenPatterns) {
      if (pattern.test(text)) found.push(code);
    }
  }
  if ((hints & cardHint) !== 0 && hasCardNumber(text)) found.push("personal_card_number");
  if ((hints & emailHint) !== 0 && hasEmail(text)) found.push("personal_email");
  return found;
}

/** The first 1000 characters of a text, with `[masked]` in place of each secret. */
export function maskSecrets(text: string): string {
  let masked = text.slice(0, maximumMaskedLength);
  for (const mask of masks) masked = masked.replace(mask, "[masked]");
  return masked;
}

/**
 * Whether a run of at least `shortest` marked characters matches. Looks at the last place of a run
 * first, and from there backwards: of most text it sees a fraction, where a pattern sees it all.
 */
function hasRun(text: string, marks: Uint8Array, shortest: number, pattern: RegExp): boolean {
  for (let start = 0; start + shortest <= text.length; ) {
    let index = start + shortest - 1;
    while (index >= start && marks[text.charCodeAt(index)] === 1) index -= 1;
    if (index >= start) {
      start = index + 1;
      continue;
    }
    let end = start + shortest;
    while (end < text.length && marks[text.charCodeAt(end)] === 1) end += 1;
    if (pattern.test(text.slice(start, end))) return true;
    start = end + 1;
  }
  return false;
}

function markCharacters(pattern: RegExp): Uint8Array {
  // For all of UTF-16: a place that is not there would be slow to ask for.
  const marks = new Uint8Array(0x10000);
  for (let code = 0; code < 128; code += 1) {
    if (pattern.test(String.fromCharCode(code))) marks[code] = 1;
  }
  return marks;
}

function hasCardNumber(text: string): boolean {
  for (const [match] of text.matchAll(cardPattern)) {
    if (isCardNumber(match.replace(/[ -]/g, ""))) return true;
  }
  return false;
}

/** Looks around each "@" only: a pattern that starts with the name would try at every character. */
function hasEmail(text: string): boolean {
  for (let at = text.indexOf("@", 1); at !== -1; at = text.indexOf("@", at + 1)) {
    emailDomain.lastIndex = at;
    if (emailUser.test(text.charAt(at - 1)) && emailDomain.test(text)) return true;
  }
  return false;
}

/** The issuers' ranges (ISO/IEC 7812) and the Luhn digit: one of 10 long numbers passes the latter. */
const issuers =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d|35\d\d)\d{12})$/;

function isCardNumber(digits: string): boolean {
  if (!issuers.test(digits)) return false;
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48;
    const doubled = digit * 2;
    sum += index % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
