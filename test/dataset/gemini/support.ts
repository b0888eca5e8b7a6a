import { expect } from "bun:test";
import { type ConvertOptions, convertToGemini } from "../../../src/dataset/gemini/convert.ts";
import { ApiError } from "../../../src/errors.ts";
import type { FileReport } from "../../../src/provider.ts";

export const signal = new AbortController().signal;
export const user = { role: "user", content: "Which river runs through Basel?" };
export const answer = { role: "assistant", content: "The Rhine." };

/** What came out of a conversion: the text, and a line of it parsed each. */
export interface Converted {
  readonly text: string;
  readonly lines: readonly unknown[];
  readonly report: FileReport;
}

/** A call of a function with its arguments as text. */
export function makeCall(id: string, name: string, text = "{}") {
  return { id, type: "function", function: { name, arguments: text } };
}

/** Reads the whole conversion of a file; media are named by their count. */
export async function convertContent(
  content: Blob,
  onUnsupported: "refuse" | "warn" = "refuse",
  storeMedia: ConvertOptions["storeMedia"] = refuseMedia,
): Promise<Converted> {
  const conversion = convertToGemini(content, { onUnsupported, storeMedia }, signal);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of conversion.lines) pieces.push(new Uint8Array(piece));
  const text = new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(pieces).bytes());
  const lines = text.split("\n").slice(0, -1);
  return { text, lines: lines.map((line) => JSON.parse(line)), report: conversion.report() };
}

/** Converts examples, which become one line each. */
export function convertExamples(
  examples: readonly unknown[],
  onUnsupported: "refuse" | "warn" = "refuse",
  storeMedia: ConvertOptions["storeMedia"] = refuseMedia,
): Promise<Converted> {
  const text = examples.map((example) => `${JSON.stringify(example)}\n`).join("");
  return convertContent(new Blob([text]), onUnsupported, storeMedia);
}

/** Converts one conversation to one line. */
export async function convertMessages(messages: readonly unknown[], fields: object = {}) {
  const { lines } = await convertExamples([{ messages, ...fields }]);
  return lines[0];
}

/** The refusal of a file, which is to be a 400 about the field `file`. */
export async function findRefusal(conversion: Promise<unknown>): Promise<ApiError> {
  const error = await conversion.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError) || error.status !== 400 || error.param !== "file") {
    throw new Error("The file was not refused", { cause: error });
  }
  return error;
}

/** Converts a conversation twice: the refusal, and what is done where it is allowed. */
export async function findUnsupported(messages: readonly unknown[], fields: object = {}) {
  const example = { messages, ...fields };
  const error = await findRefusal(convertExamples([example]));
  expect(error.code).toBe("unsupported_dataset_feature");
  // The second example keeps the file from being refused as one of which nothing is left.
  const carried = await convertExamples([example, { messages: [user, answer] }], "warn");
  const codes = carried.report.warnings.map(({ line, code }) => `${line} ${code}`);
  return { message: error.message, codes, lines: carried.lines.slice(0, -1) };
}

/** A file whose bytes arrive in pieces that end at `cuts`. */
export class CutBlob extends Blob {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #cuts: readonly number[];

  constructor(bytes: Uint8Array<ArrayBuffer>, cuts: readonly number[]) {
    super([bytes]);
    this.#bytes = bytes;
    this.#cuts = cuts;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const ends = [...this.#cuts, this.#bytes.length];
    let start = 0;
    return new ReadableStream({
      pull: (controller) => {
        const end = ends.shift();
        if (end === undefined) {
          controller.close();
          return;
        }
        // A piece of its own memory, which the reader cannot look beyond.
        controller.enqueue(this.#bytes.slice(start, end));
        start = end;
      },
    });
  }
}

/** Numbers from 0 to below 1, the same ones for a seed. */
export function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function refuseMedia(): Promise<string> {
  return Promise.reject(new Error("No media were expected"));
}
