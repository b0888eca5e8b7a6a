// Uploads files of many sizes at once with OpenAI's Node SDK on Node itself, in each of the ways
// that the SDK takes them; what arrives is looked at on the other side.
import assert from "node:assert/strict";
import { createReadStream, openAsBlob, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";

const { GATEWAY_URL, GATEWAY_KEY, TRANSFERS } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });

const kinds = [
  async (path, name) => new File([await openAsBlob(path)], name),
  (path) => createReadStream(path),
  (path, name) => toFile(readFileSync(path), name),
];

async function upload(name, kind) {
  const path = join(TRANSFERS, name);
  const file = await client.files.create({
    file: await kind(path, name),
    purpose: "user_data",
    custom_llm_provider: "openai",
  });
  assert.equal(file.bytes, statSync(path).size);
  assert.equal(file.filename, name);
}

try {
  // The large ones are last: each kind has its turn with them.
  for (const turn of kinds.keys()) {
    const names = readdirSync(TRANSFERS);
    await Promise.all(names.map((name, at) => upload(name, kinds[(at + turn) % kinds.length])));
  }
  console.log("ok node: eight uploads at once, of a File, a stream and a buffer");
} catch (error) {
  console.log(`not ok node: eight uploads at once\n${error.stack}`);
}
