import { describeValue, isObject, isPresent } from "../values.ts";
import { type Answer, Conversation } from "./conversation.ts";
import { reportOtherFields } from "./fields.ts";
import type { Findings } from "./findings.ts";
import type { Media } from "./media.ts";
import { Placeholders } from "./placeholders.ts";
import { convertTools } from "./tools.ts";

/** What the lines of a training file hold: OpenAI's chat or preference format, or Gemini's. */
export type ExampleFormat = "chat" | "preference" | "gemini";

type Example = Readonly<Record<string, unknown>>;

/** One example as JSON text, with placeholders for the URIs of `media`. */
export interface ConvertedExample {
  readonly text: string;
  readonly media: readonly Media[];
}

const chatFields = new Set(["messages", "tools", "functions", "parallel_tool_calls"]);
const preferenceFields = new Set(["input", "preferred_output", "non_preferred_output"]);
const toolsReason = "Gemini's preference format has no tools";
const outputs = [
  ["preferred_output", 1],
  ["non_preferred_output", 0],
] as const;

/** Tells the format by the keys; undefined where they are those of none. */
export function readFormat(example: Example): ExampleFormat | undefined {
  if (example.messages !== undefined) return "chat";
  if (example.input !== undefined || example.preferred_output !== undefined) return "preference";
  return example.contents === undefined ? undefined : "gemini";
}

/** Converts one example of a supervised file; what it returns counts only if nothing was found. */
export function convertChat(example: Example, findings: Findings): ConvertedExample {
  reportOtherFields(example, chatFields, "", findings);
  const placeholders = new Placeholders();
  const conversation = new Conversation(placeholders, findings, true);
  conversation.addMessages(example.messages, "messages");
  const isComplete = conversation.finishSupervised();
  const { systemInstruction, contents, generationConfig } = conversation.toFields();
  const tools = isComplete ? convertTools(example, "", findings) : undefined;
  return placeholders.write({ systemInstruction, contents, tools, generationConfig });
}

/** Converts one pair of a preference file; what it returns counts only if nothing was found. */
export function convertPreference(example: Example, findings: Findings): ConvertedExample {
  reportOtherFields(example, preferenceFields, "", findings);
  const { input } = example;
  if (!isObject(input)) {
    findings.refuse(`input must be an object with messages, not ${describeValue(input)}`);
    return { text: "", media: [] };
  }
  reportOtherFields(input, chatFields, "input", findings);
  for (const field of ["tools", "functions"]) {
    const tools = input[field];
    if (!isPresent(tools) || (Array.isArray(tools) && tools.length === 0)) continue;
    findings.leaveOut("unsupported_tools", `input.${field}: ${toolsReason}`);
  }
  convertTools({ parallel_tool_calls: input.parallel_tool_calls }, "input.", findings);
  const placeholders = new Placeholders();
  const conversation = new Conversation(placeholders, findings, false);
  conversation.addMessages(input.messages, "input.messages");
  if (conversation.finishPrompt()) findings.leaveOut("unsupported_tools", toolsReason);
  const completions = outputs.map(([key, score]) => {
    const answer = convertOutput(example, key, placeholders, findings);
    if (answer?.hasCalls) findings.leaveOut("unsupported_tools", `${key}: ${toolsReason}`);
    return { score, completion: { role: "model", parts: answer?.parts } };
  });
  return placeholders.write({ ...conversation.toFields(), completions });
}

function convertOutput(
  example: Example,
  key: string,
  placeholders: Placeholders,
  findings: Findings,
): Answer | undefined {
  const output = example[key];
  if (!Array.isArray(output) || output.length !== 1) {
    // OpenAI's API reference of 2025 has these keys; its guide, samples and service do not.
    const alias = key.replace("output", "completion");
    const hint = example[alias] === undefined ? "" : `; rename "${alias}" to "${key}"`;
    findings.refuse(`${key} must be an array of exactly one message from the assistant${hint}`);
    return undefined;
  }
  const [message] = output;
  if (!isObject(message) || message.role !== "assistant") {
    findings.refuse(`${key}[0] must be a message from the assistant`);
    return undefined;
  }
  const { weight } = message;
  if (isPresent(weight) && weight !== 1) {
    const sentence = `${key}[0].weight is ${describeValue(weight)}, and Gemini learns both answers`;
    findings.report("unsupported_weight", sentence, "it is left out");
  }
  return new Conversation(placeholders, findings, false).readAnswer(message, `${key}[0]`);
}
