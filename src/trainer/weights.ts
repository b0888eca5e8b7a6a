import { rename } from "node:fs/promises";
import * as v from "valibot";
import { StartError } from "../errors.ts";
import {
  countValues,
  createParameters,
  describeTensors,
  type Network,
  type Shape,
} from "./network.ts";

const positiveText = v.pipe(
  v.string(),
  v.regex(/^[1-9][0-9]{0,5}$/, "must be a whole number in a string"),
  v.transform(Number),
);

/** safetensors allows text only in `__metadata__`. */
const headerSchema = v.looseObject({
  __metadata__: v.object({
    format: v.literal("tiny-lm"),
    context: positiveText,
    embedding: positiveText,
    hidden: positiveText,
  }),
});

const lengthBytes = 8;
const floatBytes = Float32Array.BYTES_PER_ELEMENT;

/**
 * Writes the weights to `path` in the safetensors format (github.com/huggingface/safetensors),
 * which Python reads too: 8 bytes of header length, a JSON header, little-endian floats. The file
 * appears under its name once it is complete.
 */
export async function saveNetwork(path: string, network: Network): Promise<void> {
  const header = encodeHeader(network.shape);
  const length = new DataView(new ArrayBuffer(lengthBytes));
  length.setBigUint64(0, BigInt(header.length), true);
  const partial = `${path}.partial`;
  await Bun.write(partial, new Blob([length, header, network.parameters.all]));
  await rename(partial, path);
}

/** Reads what `saveNetwork` wrote; throws `StartError` for any other file. */
export async function loadNetwork(path: string): Promise<Network> {
  const content = await Bun.file(path).arrayBuffer();
  try {
    return decodeNetwork(content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`Cannot load the network "${path}": ${reason}`, { cause: error });
  }
}

function decodeNetwork(content: ArrayBuffer): Network {
  if (content.byteLength < lengthBytes) throw new Error("it is cut off");
  const length = Number(new DataView(content).getBigUint64(0, true));
  const start = lengthBytes + length;
  if (start > content.byteLength) throw new Error("it is cut off or no safetensors file");
  const header = new Uint8Array(content, lengthBytes, length);
  const { __metadata__: metadata } = v.parse(
    headerSchema,
    JSON.parse(new TextDecoder().decode(header)),
  );
  const { context, embedding, hidden } = metadata;
  const shape = { context, embedding, hidden };
  if (!Buffer.from(header).equals(encodeHeader(shape))) {
    throw new Error("its header does not describe this kind of network");
  }
  const sizes = Object.values(describeTensors(shape)).map(countValues);
  const size = sizes.reduce((sum, count) => sum + count * floatBytes, 0);
  if (content.byteLength !== start + size) throw new Error("it is cut off or too long");
  const parameters = createParameters(shape);
  parameters.all.set(new Float32Array(content.slice(start)));
  return { shape, parameters };
}

/** The header, filled up with spaces to a multiple of 8 bytes as the format asks for. */
function encodeHeader(shape: Shape): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {
    __metadata__: {
      format: "tiny-lm",
      context: String(shape.context),
      embedding: String(shape.embedding),
      hidden: String(shape.hidden),
    },
  };
  let offset = 0;
  for (const [name, dimensions] of Object.entries(describeTensors(shape))) {
    const end = offset + countValues(dimensions) * floatBytes;
    header[name] = { dtype: "F32", shape: dimensions, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  return new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
}
