/** The bytes of files that are sent and fetched: JSONL that repeats after a prime number of bytes. */
const block = createBlock(1_048_573);

function createBlock(length: number): Buffer {
  const lines: string[] = [];
  let size = 0;
  for (let number = 0; size < length; number += 1) {
    const question = `What is ${number} + ${number * 7}? -- Show your work,\r\n-- line by line.`;
    const answer = `${number} + ${number * 7} = ${number * 8}. ${"It adds up. ".repeat(number % 40)}`;
    const messages = [
      { role: "user", content: question },
      { role: "assistant", content: answer },
    ];
    const line = `${JSON.stringify({ messages })}\r\n`;
    lines.push(line);
    size += line.length;
  }
  return Buffer.from(lines.join("")).subarray(0, length);
}

/** The content of one file; files of different `seed` differ from the first bytes on. */
export interface Content {
  readonly size: number;
  readonly seed: number;
}

/** Makes a function that gives a file's next piece at each call, undefined at its end. */
export function readContent({ size, seed }: Content): () => Buffer | undefined {
  let position = 0;
  return () => {
    if (position >= size) return undefined;
    const start = (position + seed * 65_537) % block.length;
    const piece = block.subarray(start, start + Math.min(block.length - start, size - position));
    position += piece.length;
    return piece;
  };
}

/** The SHA-256 of a file's content, in hexadecimal. */
export function hashContent(content: Content): string {
  const hash = new Bun.CryptoHasher("sha256");
  const next = readContent(content);
  for (let piece = next(); piece !== undefined; piece = next()) hash.update(piece);
  return hash.digest("hex");
}
