// Signs a 64-bit Mach-O executable anew, "ad hoc": without a certificate, so that its pages are what
// they are said to be. The structures are those of Apple's <mach-o/loader.h> and <kern/cs_blobs.h>;
// those of the signature are big-endian.

const segmentCommand = 0x19;
const signatureCommand = 0x1d;
const pageBits = 12;
const pageSize = 1 << pageBits;
const hashSize = 32;
const blobHeader = 20;
const directoryHeader = 88;

/**
 * Replaces the signature of an executable, which must be at the end of the file as linkers put it.
 * Bun 1.4.5 leaves the one of its own executable for Intel Macs, which does not hold any more.
 */
export function signExecutable(file: Buffer, identifier: string): Buffer {
  const { signature, linkedit, text } = findCommands(file);
  const start = file.readUInt32LE(signature + 8);
  const slots = Math.ceil(start / pageSize);
  const hashes = directoryHeader + Buffer.byteLength(identifier) + 1;
  const size = alignUp(blobHeader + hashes + slots * hashSize, 16);
  const signed = Buffer.alloc(start + size);
  file.copy(signed, 0, 0, start);
  signed.writeUInt32LE(size, signature + 12);
  const linkeditSize = BigInt(start + size) - signed.readBigUInt64LE(linkedit + 40);
  signed.writeBigUInt64LE(BigInt(alignUp(Number(linkeditSize), pageSize)), linkedit + 32);
  signed.writeBigUInt64LE(linkeditSize, linkedit + 48);

  const blob = signed.subarray(start);
  const length = hashes + slots * hashSize;
  writeWords(blob, [0xfade0cc0, blobHeader + length, 1, 0, blobHeader]);
  const directory = blob.subarray(blobHeader);
  // Magic, length, version, flags (ad hoc), hashes, identifier, special slots, slots, limit.
  writeWords(directory, [0xfade0c02, length, 0x20400, 2, hashes, directoryHeader, 0, slots, start]);
  // Size and kind (SHA-256) of the hashes, platform, size of a page.
  directory.set([hashSize, 2, 0, pageBits], 36);
  directory.writeBigUInt64BE(signed.readBigUInt64LE(text + 40), 64);
  directory.writeBigUInt64BE(signed.readBigUInt64LE(text + 48), 72);
  // That this is a main program.
  directory.writeBigUInt64BE(1n, 80);
  directory.write(identifier, directoryHeader);
  for (let slot = 0; slot < slots; slot += 1) {
    const page = signed.subarray(slot * pageSize, Math.min((slot + 1) * pageSize, start));
    const hash = new Bun.CryptoHasher("sha256").update(page).digest();
    directory.set(hash, hashes + slot * hashSize);
  }
  return signed;
}

function findCommands(file: Buffer) {
  if (file.length < 32 || file.readUInt32LE(0) !== 0xfeedfacf) {
    throw new Error("Cannot sign: it is not a 64-bit Mach-O executable");
  }
  const found = new Map<string, number>();
  let offset = 32;
  for (let count = file.readUInt32LE(16); count > 0; count -= 1) {
    const command = file.readUInt32LE(offset);
    if (command === signatureCommand) found.set("signature", offset);
    if (command === segmentCommand) {
      const name = file.toString("latin1", offset + 8, offset + 24).replace(/\0+$/, "");
      found.set(name, offset);
    }
    offset += file.readUInt32LE(offset + 4);
  }
  const [signature, linkedit, text] = ["signature", "__LINKEDIT", "__TEXT"].map((name) =>
    found.get(name),
  );
  if (signature === undefined || linkedit === undefined || text === undefined) {
    throw new Error("Cannot sign: there is no room for a signature in it");
  }
  if (file.readUInt32LE(signature + 8) + file.readUInt32LE(signature + 12) !== file.length) {
    throw new Error("Cannot sign: its signature is not at its end");
  }
  return { signature, linkedit, text };
}

function writeWords(target: Buffer, words: readonly number[]): void {
  for (const [index, word] of words.entries()) target.writeUInt32BE(word, index * 4);
}

function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
