import * as v from "valibot";
import { StartError } from "../errors.ts";
import { endOfMessage } from "./network.ts";

/** One conversation as the network learns it. */
export interface Example {
  /**
   * The answers that are trained on, each with the tokens before it: as many as the context is
   * long, ends of message where the conversation is shorter.
   */
  readonly answers: readonly Uint16Array[];
  /** Tokens that are predicted: the bytes of the answers and their ends. */
  readonly trainedTokens: number;
  /** True where the answers were longer than `maximumTrainedTokens`. */
  readonly isCut: boolean;
  /** The fields of messages that the network does not learn from. */
  readonly ignoredFields: readonly string[];
}

/** Where a long example ends, as a hosted model's context limit does. */
export const maximumTrainedTokens = 4096;

const partSchema = v.object({
  type: v.string(),
  text: v.nullish(v.string()),
  refusal: v.nullish(v.string()),
});

const messageSchema = v.looseObject({
  role: v.string(),
  name: v.nullish(v.string()),
  content: v.nullish(v.union([v.string(), v.array(partSchema)])),
  refusal: v.nullish(v.string()),
  weight: v.nullish(v.number()),
  tool_calls: v.nullish(v.array(v.unknown())),
  function_call: v.optional(v.unknown()),
  tool_call_id: v.optional(v.unknown()),
});

const exampleSchema = v.object({
  messages: v.array(messageSchema),
  tools: v.optional(v.unknown()),
  functions: v.optional(v.unknown()),
});

type Part = v.InferOutput<typeof partSchema>;
type Message = v.InferOutput<typeof messageSchema>;

const knownFields = new Set(Object.keys(messageSchema.entries));
const encoder = new TextEncoder();

/**
 * Renders a line of a checked dataset as `role: text` and an end of message for each message.
 * Assistant messages whose weight is not 0 are trained on, calls of tools as their JSON text.
 * `place` names the line in errors.
 */
export function renderExample(value: unknown, context: number, place: string): Example {
  const { messages, tools, functions } = parseExample(value, place);
  const answers: Uint16Array[] = [];
  const ignoredFields = new Set<string>();
  let before: Uint16Array = new Uint16Array(context).fill(endOfMessage);
  let trainedTokens = 0;
  let isCut = false;
  for (const definitions of [tools, functions]) {
    if (definitions === undefined) continue;
    before = joinTokens(before, `tools: ${JSON.stringify(definitions)}`, true).slice(-context);
  }
  for (const [index, message] of messages.entries()) {
    for (const key of Object.keys(message)) if (!knownFields.has(key)) ignoredFields.add(key);
    const text = readText(message, `messages[${index}]`, place);
    const named = message.name ? `${message.role} ${message.name}` : message.role;
    before = joinTokens(before, `${named}: `, false).slice(-context);
    const whole = joinTokens(before, text, true);
    before = whole.slice(-context);
    if (message.role !== "assistant" || message.weight === 0) continue;
    const answer = whole.slice(0, context + maximumTrainedTokens - trainedTokens);
    if (answer.length < whole.length) isCut = true;
    if (answer.length > context) answers.push(answer);
    trainedTokens += answer.length - context;
  }
  return { answers, trainedTokens, isCut, ignoredFields: [...ignoredFields] };
}

function parseExample(value: unknown, place: string): v.InferOutput<typeof exampleSchema> {
  const parsed = v.safeParse(exampleSchema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new StartError(`Cannot learn from ${place}: ${v.getDotPath(issue)}: ${issue.message}`);
}

function joinTokens(before: Uint16Array, text: string, ends: boolean): Uint16Array {
  const bytes = encoder.encode(text);
  const tokens = new Uint16Array(before.length + bytes.length + (ends ? 1 : 0));
  tokens.set(before);
  tokens.set(bytes, before.length);
  if (ends) tokens[tokens.length - 1] = endOfMessage;
  return tokens;
}

function readText(message: Message, path: string, place: string): string {
  const { content, refusal, tool_calls: toolCalls, function_call: functionCall } = message;
  const pieces: string[] = [];
  if (typeof content === "string") pieces.push(content);
  else if (content) pieces.push(readParts(content, path, place));
  if (refusal) pieces.push(refusal);
  if (toolCalls) pieces.push(JSON.stringify(toolCalls));
  if (functionCall) pieces.push(JSON.stringify(functionCall));
  return pieces.join("\n");
}

function readParts(parts: readonly Part[], path: string, place: string): string {
  let joined = "";
  for (const [index, part] of parts.entries()) {
    const text = readPart(part);
    if (typeof text !== "string") {
      throw new StartError(
        `Cannot learn from ${place}: ${path}.content[${index}] is of the type "${part.type}", tiny-lm learns from text only`,
      );
    }
    joined += text;
  }
  return joined;
}

function readPart(part: Part): string | null | undefined {
  if (part.type === "text") return part.text;
  return part.type === "refusal" ? part.refusal : undefined;
}
