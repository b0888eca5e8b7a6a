import type { CheckOptions } from "../../../src/dataset/check/check.ts";
import { checkDataset } from "../../../src/dataset/check/check.ts";
import type { DatasetFormat, Finding } from "../../../src/dataset/report.ts";

const signal = new AbortController().signal;

/** A blob whose stream gives its bytes in pieces that end at `cuts`. */
export class CutBlob extends Blob {
  readonly #cuts: readonly number[];

  constructor(bytes: Uint8Array<ArrayBuffer>, cuts: readonly number[]) {
    super([bytes]);
    this.#cuts = cuts;
  }

  override stream() {
    const whole = this.arrayBuffer();
    const cuts = this.#cuts;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async start(controller) {
        const bytes = new Uint8Array(await whole);
        let start = 0;
        for (const end of [...cuts, bytes.length]) {
          if (end > start) controller.enqueue(bytes.slice(start, end));
          start = Math.max(start, end);
        }
        controller.close();
      },
    });
  }
}

export function check(
  content: string | Uint8Array<ArrayBuffer> | Blob,
  options: CheckOptions = {},
) {
  const blob = content instanceof Blob ? content : new Blob([content]);
  return checkDataset(blob, options, signal);
}

/** Checks values, one on each line. */
export function checkValues(values: readonly unknown[], options: CheckOptions = {}) {
  return check(values.map((value) => JSON.stringify(value)).join("\n"), options);
}

/** Where and what the findings are, without their sentences. */
export function listFindings(findings: { readonly first: readonly Finding[] }) {
  return findings.first.map(({ line, path, code }) => `${line} ${path || "-"} ${code}`);
}

const weather = {
  type: "function",
  function: {
    name: "read_weather",
    description: "The weather of a town",
    parameters: { type: "object", properties: { town: { type: "string" } } },
  },
};
const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };

/** One example of each format that uses most of what the format has; `index` makes it another. */
export const makers: Readonly<Record<DatasetFormat, (index: number) => unknown>> = {
  chat: (index) => ({
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", name: "ada", content: [{ type: "text", text: `Sun in ${index}?` }, image] },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          {
            id: "call_1",
            type: "function",
            function: { name: "read_weather", arguments: `{"town":"${index}"}` },
          },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "sun" },
      { role: "assistant", content: "Yes.", weight: 1 },
      { role: "user", content: "Sure?" },
      { role: "assistant", content: [{ type: "text", text: "Quite." }], weight: 0 },
    ],
    tools: [weather],
    parallel_tool_calls: false,
  }),
  preference: (index) => ({
    input: { messages: [{ role: "user", content: `Is it ${index}?` }], tools: [weather] },
    preferred_output: [{ role: "assistant", content: "It is." }],
    non_preferred_output: [{ role: "assistant", content: "No idea." }],
  }),
  reinforcement: (index) => ({
    messages: [
      { role: "developer", content: "Count." },
      { role: "user", content: `Two and ${index}?` },
    ],
    tools: [weather],
    target: { sum: 2 + index },
  }),
  gemini_chat: (index) => ({
    systemInstruction: { role: "system", parts: [{ text: "Be brief." }] },
    contents: [
      {
        role: "user",
        parts: [
          { text: `Sun in ${index}?` },
          { fileData: { mimeType: "image/png", fileUri: "gs://a/b.png" } },
        ],
      },
      {
        role: "model",
        parts: [{ functionCall: { name: "read_weather", args: { town: "Basel" } } }],
      },
      { parts: [{ functionResponse: { name: "read_weather", response: { sky: "sun" } } }] },
      { role: "model", parts: [{ text: "Yes." }] },
    ],
    tools: [{ functionDeclarations: [{ name: "read_weather" }] }],
    generationConfig: { mediaResolution: "MEDIA_RESOLUTION_LOW" },
  }),
  gemini_preference: (index) => ({
    contents: [{ role: "user", parts: [{ text: `Is it ${index}?` }] }],
    completions: [
      { score: 1, completion: { role: "model", parts: [{ text: "It is." }] } },
      { score: 0, completion: { role: "model", parts: [{ text: "No idea." }] } },
    ],
  }),
  gemini_reinforcement: (index) => ({
    contents: [{ role: "user", parts: [{ text: `Two and ${index}?` }] }],
    references: { sum: String(2 + index) },
  }),
};

/** Twelve different examples of a format. */
export function makeSample(format: DatasetFormat): unknown[] {
  return Array.from({ length: 12 }, (_, index) => makers[format](index));
}
