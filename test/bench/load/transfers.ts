import { type Content, hashContent, readContent } from "../content.ts";
import { exchange, writeHead } from "./exchange.ts";

/** Files to send or to fetch. */
export interface TransferLoad {
  readonly kind: "upload" | "download";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes of one file. */
  readonly size: number;
  /** How many files at once, each with a content of its own. */
  readonly parallel: number;
  /** How many times, one after the other. */
  readonly repeat: number;
  readonly filename: string;
  /** Whether to compare the SHA-256 of what was sent with that of what arrived. */
  readonly verify: boolean;
  readonly timeoutSeconds: number;
}

/** How long each repetition took until the last answer was complete, in seconds. */
export interface TransferResult {
  readonly seconds: readonly number[];
}

/** Sends or fetches files; throws where one answer is wrong. */
export async function runTransfers(load: TransferLoad): Promise<TransferResult> {
  const seconds: number[] = [];
  const transfer = load.kind === "upload" ? upload : download;
  for (let repetition = 0; repetition < load.repeat; repetition += 1) {
    const started = performance.now();
    const seeds = Array.from({ length: load.parallel }, (_, index) => index);
    await Promise.all(seeds.map((seed) => transfer(load, { size: load.size, seed })));
    seconds.push((performance.now() - started) / 1000);
  }
  return { seconds };
}

async function upload(load: TransferLoad, content: Content): Promise<void> {
  const answer: Buffer[] = [];
  const status = await exchange({
    url: load.url,
    timeoutSeconds: load.timeoutSeconds,
    next: writeUpload(load, content),
    onBody: (bytes) => void answer.push(Buffer.from(bytes)),
  });
  const text = Buffer.concat(answer).toString();
  if (status !== 200) throw new Error(`it answered ${status}: ${text.slice(0, 300)}`);
  const file: unknown = JSON.parse(text);
  const { bytes, id } = Object.assign({ bytes: undefined, id: "" }, file);
  if (bytes !== content.size) throw new Error(`${bytes} of ${content.size} bytes have arrived`);
  if (load.verify && !String(id).endsWith(hashContent(content))) {
    throw new Error("other bytes have arrived than were sent");
  }
}

/** The form as openai-node sends it: the file first, then the other fields. */
function writeUpload({ url, headers, filename }: TransferLoad, content: Content) {
  const boundary = "----formdata-0123456789";
  const disposition = "Content-Disposition: form-data;";
  const before = `--${boundary}\r\n${disposition} name="file"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const after = `\r\n--${boundary}\r\n${disposition} name="purpose"\r\n\r\nfine-tune\r\n--${boundary}--\r\n`;
  const head = writeHead("POST", url, {
    ...headers,
    "content-type": `multipart/form-data; boundary=${boundary}`,
    "content-length": String(before.length + content.size + after.length),
  });
  return joinPieces(Buffer.from(head + before), readContent(content), Buffer.from(after));
}

function joinPieces(before: Buffer, read: () => Buffer | undefined, after: Buffer) {
  const steps = [once(before), read, once(after)];
  return (): Buffer | undefined => {
    for (let step = steps[0]; step !== undefined; step = steps[0]) {
      const piece = step();
      if (piece !== undefined) return piece;
      steps.shift();
    }
    return undefined;
  };
}

function once(piece: Buffer): () => Buffer | undefined {
  let rest: Buffer | undefined = piece;
  return () => {
    const given = rest;
    rest = undefined;
    return given;
  };
}

async function download(load: TransferLoad, content: Content): Promise<void> {
  const hash = load.verify ? new Bun.CryptoHasher("sha256") : undefined;
  let bytes = 0;
  let text = "";
  const status = await exchange({
    url: load.url,
    timeoutSeconds: load.timeoutSeconds,
    next: once(Buffer.from(writeHead("GET", load.url, load.headers))),
    onBody(piece) {
      if (bytes === 0) text = piece.toString("latin1", 0, 300);
      bytes += piece.length;
      hash?.update(piece);
    },
  });
  if (status !== 200) throw new Error(`it answered ${status}: ${text}`);
  if (bytes !== content.size) throw new Error(`${bytes} of ${content.size} bytes have arrived`);
  if (hash !== undefined && hash.digest("hex") !== hashContent(content)) {
    throw new Error("other bytes have arrived than were sent");
  }
}
