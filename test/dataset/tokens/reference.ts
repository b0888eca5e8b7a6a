import { encode as encodeCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { encode as encodeO200k } from "gpt-tokenizer/encoding/o200k_base";

/** Counts a text in one go, by the package itself. */
export type Count = (text: string) => number;

const plain = { disallowedSpecial: new Set<string>() };

/** The counters of both encodings. */
export const counts = {
  o200k_base: (text: string) => encodeO200k(text, plain).length,
  cl100k_base: (text: string) => encodeCl100k(text, plain).length,
} as const satisfies Record<string, Count>;

/** A message of an example in the tests; what is counted of it is written down in `countMessage`. */
export interface Message {
  readonly role: string;
  readonly name?: string;
  readonly content?: string | null | readonly { readonly type: string; readonly text?: string }[];
  readonly refusal?: string | null;
  readonly tool_calls?: readonly { readonly function: Call }[];
  readonly function_call?: Call;
  readonly weight?: number;
  readonly tool_call_id?: string;
}

interface Call {
  readonly name: string;
  readonly arguments: string;
}

/** OpenAI's cookbook: 3 a message and 1 a name, and the tokens of what it says. */
export function countMessage(message: Message, count: Count): number {
  const { role, name, content, refusal, tool_calls: calls, function_call: call } = message;
  let tokens = 3 + count(role);
  if (name !== undefined) tokens += 1 + count(name);
  if (typeof content === "string") tokens += count(content);
  else for (const part of content ?? []) tokens += count(part.text ?? "");
  tokens += count(refusal ?? "");
  for (const { function: made } of calls ?? []) tokens += count(made.name) + count(made.arguments);
  return call === undefined ? tokens : tokens + count(call.name) + count(call.arguments);
}

/** A conversation with its tools, without the 3 tokens of an example. */
export function countConversation(
  { messages, tools }: { readonly messages: readonly Message[]; readonly tools?: unknown },
  count: Count,
): number {
  const definitions = tools === undefined ? 0 : count(JSON.stringify(tools));
  return messages.reduce((sum, message) => sum + countMessage(message, count), definitions);
}

/** Conversations of many kinds. */
export const conversations: readonly {
  readonly messages: readonly Message[];
  readonly tools?: unknown;
}[] = [
  { messages: [] },
  {
    messages: [
      { role: "system", content: "You are kind." },
      { role: "user", name: "Zoë_1", content: "Grüße! 你好 👋🏽" },
      { role: "assistant", content: "Hello <|endoftext|> there", weight: 0 },
      { role: "user", content: "" },
      { role: "assistant", content: null, refusal: "I cannot do that" },
    ],
  },
  {
    messages: [
      { role: "developer", content: [{ type: "text", text: "Use the tool." }] },
      { role: "user", content: [{ type: "text", text: "Weather?" }, { type: "image_url" }] },
      {
        role: "assistant",
        tool_calls: [
          { function: { name: "get_weather", arguments: '{"place": "Zürich"}' } },
          { function: { name: "get_time", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: '{"temperature": 21}' },
      { role: "assistant", content: "It is warm." },
    ],
    tools: [
      { type: "function", function: { name: "get_weather", parameters: { type: "object" } } },
      { type: "function", function: { name: "get_time", description: "The time now" } },
    ],
  },
  {
    messages: [
      { role: "user", content: `long ${"word ".repeat(3_000)}` },
      { role: "assistant", function_call: { name: "f", arguments: "not json" } },
      { role: "function", name: "f", content: "half \ud83d" },
    ],
  },
];
