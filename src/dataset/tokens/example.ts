import type { DatasetFormat } from "../report.ts";
import { isObject } from "../values.ts";
import type { CountText } from "./tokenizer.ts";

/** The tokens of one example. */
export interface ExampleTokens {
  /** Of all that the example holds. */
  readonly tokens: number;
  /** Of each text that is trained on: the conversation, or the prompt with each of its outputs. */
  readonly sequences: readonly number[];
  /** Images and other parts that are no text: what they cost is not published, so they count nothing. */
  readonly media: number;
}

// As in OpenAI's cookbook, "How to count tokens with tiktoken".
const tokensOfMessage = 3;
const tokensOfName = 1;
const tokensOfExample = 3;

/**
 * Counts an example of `format`; undefined where it is none, which the check reports. Messages count
 * as in OpenAI's cookbook. Definitions of tools count as their JSON: how a model reads them is not
 * published. Of Gemini's formats the same is counted by what they hold.
 */
export function countExample(
  example: unknown,
  format: DatasetFormat,
  countText: CountText,
): ExampleTokens | undefined {
  if (!isObject(example)) return undefined;
  const prompt = new Tally(countText);
  const outputs: Tally[] = [];
  const addOutput = (add: (tally: Tally) => void) => {
    const output = new Tally(countText);
    add(output);
    outputs.push(output);
  };
  if (format === "preference") {
    const { input } = example;
    if (!isObject(input) || !Array.isArray(input.messages)) return undefined;
    addConversation(input, prompt);
    for (const messages of [example.preferred_output, example.non_preferred_output]) {
      addOutput((output) => addMessages(messages, output));
    }
  } else if (format === "chat" || format === "reinforcement") {
    if (!Array.isArray(example.messages)) return undefined;
    addConversation(example, prompt);
  } else {
    if (!Array.isArray(example.contents)) return undefined;
    addGemini(example, prompt);
    if (format === "gemini_preference") {
      for (const item of listObjects(example.completions)) {
        addOutput((output) => addContent(item.completion, output));
      }
    }
  }
  return sum(prompt, outputs);
}

function sum(prompt: Tally, outputs: readonly Tally[]): ExampleTokens {
  const start = tokensOfExample + prompt.tokens;
  let { media } = prompt;
  let tokens = start;
  for (const output of outputs) {
    tokens += output.tokens;
    media += output.media;
  }
  const sequences = outputs.map((output) => start + output.tokens);
  return { tokens, sequences: sequences.length === 0 ? [tokens] : sequences, media };
}

/** Adds up what one part of an example holds. */
class Tally {
  readonly #countText: CountText;
  tokens = 0;
  media = 0;

  constructor(countText: CountText) {
    this.#countText = countText;
  }

  addText(value: unknown): void {
    if (typeof value === "string") this.tokens += this.#countText(value);
  }

  addName(value: unknown): void {
    if (typeof value === "string") this.tokens += tokensOfName;
    this.addText(value);
  }

  addJson(value: unknown): void {
    if (typeof value === "object" && value !== null) this.addText(writeJson(value));
  }
}

/** Empty for what is nested so deeply that it cannot be written: no model reads that. */
function writeJson(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return "";
    throw error;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function addConversation(conversation: Fields, tally: Tally): void {
  tally.addJson(conversation.tools);
  tally.addJson(conversation.functions);
  addMessages(conversation.messages, tally);
}

function addMessages(messages: unknown, tally: Tally): void {
  for (const message of listObjects(messages)) {
    tally.tokens += tokensOfMessage;
    tally.addText(message.role);
    tally.addName(message.name);
    addParts(message.content, tally);
    tally.addText(message.refusal);
    for (const call of listObjects(message.tool_calls)) addCall(call.function, tally);
    addCall(message.function_call, tally);
  }
}

function addParts(content: unknown, tally: Tally): void {
  tally.addText(content);
  for (const part of listObjects(content)) {
    if (part.type === "text") tally.addText(part.text);
    else if (part.type === "refusal") tally.addText(part.refusal);
    else tally.media += 1;
  }
}

function addCall(call: unknown, tally: Tally): void {
  if (!isObject(call)) return;
  tally.addText(call.name);
  tally.addText(call.arguments);
}

function addGemini(example: Fields, tally: Tally): void {
  tally.addJson(example.tools);
  if (example.systemInstruction !== undefined) addContent(example.systemInstruction, tally);
  for (const content of listObjects(example.contents)) addContent(content, tally);
}

function addContent(content: unknown, tally: Tally): void {
  if (!isObject(content)) return;
  tally.tokens += tokensOfMessage;
  tally.addText(content.role);
  for (const part of listObjects(content.parts)) {
    tally.addText(part.text);
    if (isObject(part.functionCall)) {
      tally.addText(part.functionCall.name);
      tally.addJson(part.functionCall.args);
    }
    if (isObject(part.functionResponse)) {
      tally.addText(part.functionResponse.name);
      tally.addJson(part.functionResponse.response);
    }
    if (isObject(part.fileData) || isObject(part.inlineData)) tally.media += 1;
  }
}

function listObjects(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
