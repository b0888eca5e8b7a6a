import { type ApiError, badRequest } from "../errors.ts";
import type { UploadForm } from "../provider.ts";
import { ContentError, encodeFields, encodeFormHead } from "../upstream/form.ts";
import type { DigestSink } from "./digest-sink.ts";
import { hintField } from "./exchange.ts";
import type { Collector, FilePart, FormFields } from "./form-parts.ts";

/** When a form may be passed on while it still comes. */
export interface RelayRules {
  /** Whether a large file may, by what came before it. */
  mayRelay(before: FormFields): boolean;
  /** Throws for a form that cannot be taken; called before anybody has the whole of it. */
  check(form: FormFields): void;
}

/** A form that is passed on while it still comes. */
export interface FormRelay {
  /** What came before its file. */
  readonly before: FormFields;
  readonly form: UploadForm;
  /** Why the form could not be read to its end, if so: the client's fault, not the service's. */
  failure(): unknown;
  /** The SHA-256 of the file in hexadecimal; throws where `form` was not read to its end. */
  sha256(): string;
  /** Reads what is left of the form: many clients hear no answer before they have sent all. */
  drain(): Promise<void>;
  /** To be called on every way out. */
  discard(): Promise<void>;
}

/** A form that is read up to where its file begins. */
export interface FormSource {
  readonly boundary: string;
  /** Of the whole form, in bytes. */
  readonly length: number;
  readonly file: FilePart;
  readonly before: FormFields;
  /** The piece in which the file begins, and where that piece ends in the form. */
  readonly chunk: Uint8Array;
  readonly end: number;
  /** The next piece, of which the collector has heard then; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Passes over the next piece; false at the end. */
  skip(): Promise<boolean>;
  /** Reads no further. */
  close(): Promise<void>;
}

/**
 * Makes a relay of a form. What comes from its file on is passed on as it is, so that the length is
 * known although nobody knows where the file will end.
 */
export function openRelay(
  source: FormSource,
  collector: Collector,
  rules: RelayRules,
  digest: DigestSink,
): FormRelay {
  const { boundary, length, file, before } = source;
  const head = encodeFormHead(boundary, before.fields, file);
  let failure: unknown;
  let sha256: string | undefined;

  async function* readPieces(): AsyncGenerator<Uint8Array, void> {
    yield head;
    try {
      yield* readRest();
    } catch (error) {
      failure = error;
      throw new ContentError("Cannot read the form that is to be sent", { cause: error });
    }
  }

  async function* readRest(): AsyncGenerator<Uint8Array, void> {
    let passed = file.start;
    let kept: Uint8Array[] = [];
    const rest = source.chunk.subarray(source.chunk.length - (source.end - file.start));
    for (
      let piece: Uint8Array | undefined = rest;
      piece !== undefined;
      piece = await source.read()
    ) {
      if (collector.hasLookalike()) throw ambiguous();
      await digest.settle();
      kept.push(piece);
      // What could be the end of the file is not passed on before all that follows is known to be good.
      const sure = file.start + collector.fileBytes() - passed;
      if (sure === 0) continue;
      const [whole = piece] = kept.length > 1 ? [Buffer.concat(kept)] : kept;
      passed += sure;
      kept = [whole.subarray(sure)];
      yield whole.subarray(0, sure);
    }
    const form = collector.finish();
    rules.check(form);
    // Before the service has the whole form, for this too can fail.
    sha256 = await digest.finish();
    const tail = Buffer.concat(kept);
    const late = form.fields.slice(before.fields.length);
    yield form.hint === before.hint ? tail : withoutHint(boundary, tail, late);
  }

  return {
    before,
    form: {
      contentType: `multipart/form-data; boundary=${quoteBoundary(boundary)}`,
      length: head.length + length - file.start,
      pieces: readPieces(),
    },
    failure: () => failure,
    sha256() {
      if (sha256 === undefined) throw new Error("The backend did not read the form to its end");
      return sha256;
    },
    async drain() {
      if (failure !== undefined) return;
      let more = true;
      // A client that breaks off now hears no answer, whatever it is.
      while (more) more = await source.skip().catch(() => false);
    },
    async discard() {
      await source.close();
      await digest.discard();
    },
  };
}

/**
 * What follows the file in a form, without the hint, which is not the service's to know; as long as
 * before, for that is what it was announced as.
 */
function withoutHint(boundary: string, tail: Buffer, fields: FormFields["fields"]): Buffer {
  const end = Buffer.from(`\r\n${encodeFields(boundary, fields)}--${boundary}--\r\n`);
  if (end.length > tail.length) {
    const message = `Cannot take the field "${hintField}" there: send it before the file`;
    throw badRequest(message, hintField);
  }
  // What follows the last boundary means nothing (RFC 2046, section 5.1.1).
  return Buffer.concat([end, Buffer.alloc(tail.length - end.length, " ")]);
}

/** Other readers of the form could take that line for the end of the file. */
function ambiguous(): ApiError {
  const message = "Cannot pass the file on: a line of it begins with the boundary of its own form";
  return badRequest(message, null);
}

function quoteBoundary(boundary: string): string {
  return /^[\w'+.-]+$/.test(boundary) ? boundary : `"${boundary}"`;
}
