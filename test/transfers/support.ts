import { connect } from "node:net";
import { providers } from "../../providers/index.ts";
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { expectNoUploads } from "../support/open-files.ts";

/** A gateway in front of two fake accounts and the local backend; uploads go to `fake`. */
export interface Place {
  readonly gateway: TestGateway;
  readonly fake: FakeOpenAI;
  readonly other: FakeOpenAI;
  /** Fails where an upload has left something, or a fake was sent what it must not be. */
  stop(): Promise<void>;
}

/** Starts all three; `timeout` is that of the fakes' backends, in seconds. */
export async function startPlace({
  timeout = 60,
  idleSeconds = 60,
  maxFileMegabytes = 512,
} = {}): Promise<Place> {
  const fake = await startFakeOpenAI();
  const other = await startFakeOpenAI();
  const backend = (name: string, { url, apiKey }: FakeOpenAI) =>
    `  - { custom_llm_provider: openai, name: ${name}, api_key: ${apiKey}, api_base: "${url}", timeout: ${timeout} }\n`;
  const gateway = await startTestGateway({
    providers,
    config: `finetune_settings:
${backend("fake", fake)}${backend("other", other)}  - { custom_llm_provider: local }
general_settings: { default_provider: fake, idle_timeout_seconds: ${idleSeconds}, max_file_size_mb: ${maxFileMegabytes} }
`,
  });
  return {
    gateway,
    fake,
    other,
    async stop() {
      const seen = [...fake.violations, ...other.violations];
      try {
        await expectNoUploads(gateway.dataDirectory);
      } finally {
        await gateway.stop();
        await Promise.all([fake.stop(), other.stop()]);
      }
      if (seen.length > 0) throw new Error(seen.join());
    },
  };
}

/** A form that holds one file, by its bytes. */
export function makeForm(content: Uint8Array, field = "file"): { type: string; body: Buffer } {
  const boundary = "----------------------------735323031399963166993862";
  const purpose = `--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n`;
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="a.jsonl"\r\n\r\n`;
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([
      Buffer.from(`${field === "file" ? purpose : ""}${head}`),
      content,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  };
}

/** A bare connection whose peer may send what it wants, and when. */
export interface Connection {
  write(data: string | Uint8Array): void;
  /** Closes at once. */
  leave(): void;
  /** All that came back, once the connection is closed from either side. */
  readonly received: Promise<string>;
}

/** Connects to the gateway. */
export function openConnection(url: string): Connection {
  let text = "";
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("data", (data) => {
    text += data.toString("latin1");
  });
  // What was received before tells what there is to tell.
  socket.on("error", () => undefined);
  return {
    write: (data) => void socket.write(data),
    leave: () => void socket.destroy(),
    received: new Promise((resolve) => socket.on("close", () => resolve(text))),
  };
}

/** The head of a POST whose body has `length` bytes, or is chunked. */
export function makeHead(path: string, type: string, length?: number): string {
  const framing = length === undefined ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`;
}

/** Waits for a condition that other parties bring about. */
export async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(2);
}

/** The log's lines about requests to `path`. */
export function requestLines({ logLines }: TestGateway, path: string): { status: number }[] {
  return logLines
    .map((line) => JSON.parse(line))
    .filter((line) => line.message === "request" && line.path === path);
}
