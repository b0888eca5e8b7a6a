/** What has arrived of an uploaded file. */
export interface ReceivedFile {
  readonly filename: string;
  /** The length of its content alone. */
  readonly bytes: number;
  /** In hexadecimal, where the file's name asks for it. */
  readonly sha256: string | undefined;
}

/** Follows a multipart form with one file while it comes. */
export interface FormMeter {
  push(bytes: Buffer): void;
  /** The file's name once it is known. */
  filename(): string | undefined;
  /** Throws for a form without a file, a purpose or an end. */
  finish(): ReceivedFile;
}

// More than all fields and part headers before the file take, and more than those after it.
const margin = 4096;

/**
 * Finds the file in a form in constant memory: only the first and the last bytes are looked at, so
 * that it keeps up with any sender. A name that starts with "verify" has the content hashed.
 */
export function createFormMeter(contentType: string): FormMeter {
  const boundary = /boundary="?([^";]+)/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`no boundary in "${contentType}"`);
  let before: Buffer = Buffer.alloc(0);
  let filename: string | undefined;
  let bytes = 0;
  let hash: Bun.CryptoHasher | undefined;
  /** The last bytes so far, which may belong to the file or follow it. */
  let tail: Buffer = Buffer.alloc(0);

  function findFile(): void {
    const text = before.toString("latin1");
    const named = /filename="([^"]*)"/.exec(text);
    const start = named === null ? -1 : text.indexOf("\r\n\r\n", named.index);
    if (start === -1) {
      if (before.length > margin) throw new Error("no file at the beginning of the form");
      return;
    }
    filename = named?.[1] ?? "";
    if (filename.startsWith("verify")) hash = new Bun.CryptoHasher("sha256");
    const content = before.subarray(start + 4);
    before = before.subarray(0, start);
    take(content);
  }

  function take(piece: Buffer): void {
    const joined = piece.length < margin ? Buffer.concat([tail, piece]) : piece;
    if (joined === piece) keep(tail);
    const rest = Math.max(0, joined.length - margin);
    keep(joined.subarray(0, rest));
    tail = Buffer.from(joined.subarray(rest));
  }

  function keep(content: Buffer): void {
    bytes += content.length;
    hash?.update(content);
  }

  return {
    push(piece) {
      if (filename !== undefined) return take(piece);
      before = Buffer.concat([before, piece]);
      findFile();
    },
    filename: () => filename,
    finish() {
      const end = tail.indexOf(`\r\n--${boundary}`);
      if (filename === undefined || end === -1) throw new Error("the form has no whole file");
      if (!/name="purpose"/.test(before.toString("latin1") + tail.toString("latin1", end))) {
        throw new Error("the form has no purpose");
      }
      keep(tail.subarray(0, end));
      return { filename, bytes, sha256: hash?.digest("hex") };
    },
  };
}
