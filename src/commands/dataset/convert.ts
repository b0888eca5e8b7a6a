import { rename, rm } from "node:fs/promises";
import { convertToGemini, detectFormat } from "../../dataset/gemini/convert.ts";
import { badRequest, StartError } from "../../errors.ts";
import { type FileWriter, writeFile } from "../../file-writer.ts";
import type { FileReport } from "../../provider.ts";
import type { DatasetArguments } from "./arguments.ts";
import { openDataset } from "./check.ts";

type ConvertArguments = Extract<DatasetArguments, { readonly action: "convert" }>;

/**
 * Writes a file of OpenAI's format in Gemini's. A file that is asked for by name is there whole or
 * not at all. Throws an `ApiError` that names the lines that cannot be converted.
 */
export async function convertFile(
  { file, out, onUnsupported }: ConvertArguments,
  write: (piece: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<FileReport> {
  const content = await openDataset(file);
  if ((await detectFormat(content, signal)) === "gemini") {
    throw new StartError(`Cannot convert "${file}": it is in Gemini's format already`);
  }
  const { lines, report } = convertToGemini(content, { onUnsupported, storeMedia }, signal);
  if (out === undefined) for await (const piece of lines) await write(piece);
  else await writeWhole(out, lines);
  return report();
}

async function writeWhole(path: string, lines: AsyncIterable<Uint8Array>): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}.part`;
  async function fill(writer: FileWriter): Promise<void> {
    for await (const piece of lines) {
      writer.write(piece);
      await writer.settle();
    }
  }
  try {
    await writeFile(draft, fill);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

async function storeMedia(_bytes: Uint8Array, _type: string, line: number): Promise<string> {
  throw badRequest(
    `Cannot convert line ${line}: it holds an image or a document itself, which Gemini takes from a bucket only; upload the file to a backend that has one`,
    "file",
  );
}
