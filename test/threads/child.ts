import { countTokens } from "../../src/dataset/tokens/count.ts";

// Nothing but the task keeps this process, and nothing after it: see pool.test.ts.
const line = JSON.stringify({ messages: [{ role: "user", content: "Hello" }] });
const options = { tokenizer: "cl100k_base", limit: null, format: "chat" } as const;
const { signal } = new AbortController();
const { total } = await countTokens(new Blob([line]), options, () => undefined, signal);
await Bun.write(Bun.stdout, `${total}`);
