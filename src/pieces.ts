/**
 * Collects bytes in pieces of memory that threads share: some are taken while the next one fills, and
 * all are used over and over.
 */
export interface Pieces {
  /** Copies bytes; nothing is waited for. */
  write(chunk: Uint8Array): void;
  /** Waits until few pieces are in memory; throws what `take` has thrown. */
  settle(): Promise<void>;
  /** Hands over the rest; throws what `take` has thrown. */
  end(): Promise<void>;
  /** Waits for the pieces that are being taken, whatever becomes of them. */
  abandon(): Promise<void>;
}

/**
 * Is given the pieces in order, before the ones before are done; each stays as it is until its promise
 * resolves.
 */
export type TakePiece = (piece: Uint8Array<SharedArrayBuffer>) => Promise<void>;

const pieceBytes = 256 * 1024;
const maxTaken = 3;

/** Makes pieces that `take` is given. */
export function createPieces(take: TakePiece): Pieces {
  const makePiece = () => new Uint8Array(new SharedArrayBuffer(pieceBytes));
  const spare: Uint8Array<SharedArrayBuffer>[] = [];
  const full: Uint8Array<SharedArrayBuffer>[] = [];
  let piece = makePiece();
  let filled = 0;
  const taken: Promise<void>[] = [];

  async function flush(buffer: Uint8Array<SharedArrayBuffer>, length: number): Promise<void> {
    await take(buffer.subarray(0, length));
    spare.push(buffer);
  }

  async function settle(): Promise<void> {
    for (let buffer = full.shift(); buffer !== undefined; buffer = full.shift()) {
      if (taken.length === maxTaken) await taken.shift();
      const taking = flush(buffer, pieceBytes);
      // Whoever settles later hears of a failure.
      taking.catch(() => undefined);
      taken.push(taking);
    }
  }

  return {
    write(chunk) {
      for (let start = 0; start < chunk.length; ) {
        const count = Math.min(pieceBytes - filled, chunk.length - start);
        piece.set(chunk.subarray(start, start + count), filled);
        filled += count;
        start += count;
        if (filled < pieceBytes) return;
        full.push(piece);
        piece = spare.pop() ?? makePiece();
        filled = 0;
      }
    },
    settle,
    async end() {
      await settle();
      taken.push(flush(piece, filled));
      await Promise.all(taken);
    },
    async abandon() {
      await Promise.allSettled(taken);
    },
  };
}
