import type { DatasetFormat } from "../report.ts";
import { describeValue, isObject, isPresent } from "../values.ts";
import { Conversation, checkConversation, checkMessage, isTrained, readRole } from "./chat.ts";
import { type Context, type Fields, warnOtherKeys } from "./context.ts";
import { checkGeminiChat, checkGeminiPreference, checkGeminiReinforcement } from "./gemini.ts";
import { checkTools } from "./tools.ts";

/** Keys of a line in OpenAI's chat format; others are items for graders, or a mistake. */
export const chatKeys: ReadonlySet<string> = new Set([
  "messages",
  "tools",
  "functions",
  "parallel_tool_calls",
]);
const preferenceKeys = new Set(["input", "preferred_output", "non_preferred_output"]);
const inputKeys = new Set(["messages", "tools", "functions", "parallel_tool_calls"]);

type FormatCheck = (example: Fields, context: Context, itemFields: readonly string[]) => void;

/** Checks one example by the format it is in. */
export const formatChecks: Readonly<Record<DatasetFormat, FormatCheck>> = {
  chat: checkChat,
  preference: checkPreference,
  reinforcement: checkReinforcement,
  gemini_chat: checkGeminiChat,
  gemini_preference: checkGeminiPreference,
  gemini_reinforcement: checkGeminiReinforcement,
};

/** What is wrong with a chat example whose last message is from `role`. */
export function describeLastRole(role: unknown): string {
  return `the last message must be from the assistant, not ${describeValue(role)}`;
}

function checkChat(example: Fields, context: Context): void {
  const { report } = context;
  warnOtherKeys(example, chatKeys, "unrecognized_key", report);
  const messages = checkConversation(example, context);
  if (messages === undefined) return;
  const last = messages.length - 1;
  const role = readRole(messages[last]);
  const code = "example_missing_assistant_message";
  if (role !== "assistant") report.error(code, describeLastRole(role), "messages", last);
  else if (!messages.some(isTrained)) {
    const sentence = "at least one message from the assistant must have weight 1";
    report.error(code, sentence, "messages");
  }
}

function checkReinforcement(
  example: Fields,
  context: Context,
  itemFields: readonly string[],
): void {
  const { report } = context;
  const messages = checkConversation(example, context);
  if (messages !== undefined) {
    const last = messages.length - 1;
    const role = readRole(messages[last]);
    if (role !== "user" && role !== "developer") {
      const sentence = `the last message must be from the user or developer, not ${describeValue(role)}`;
      report.error("unexpected_last_message", sentence, "messages", last);
    }
  }
  for (const field of itemFields) {
    if (example[field] !== undefined) continue;
    const sentence = `is missing key "${field}", which the grader reads as {{item.${field}}}`;
    report.error("missing_item_field", sentence);
  }
}

function checkPreference(example: Fields, context: Context): void {
  const { report } = context;
  const { input } = example;
  const declared = isObject(input) ? checkInput(input, context) : undefined;
  if (!isObject(input)) {
    const sentence =
      input === undefined
        ? "is missing"
        : `must be an object with messages, not ${describeValue(input)}`;
    report.error(input === undefined ? "example_missing_key" : "data_type", sentence, "input");
  }
  const conversation = new Conversation(context, declared);
  const preferred = checkOutput(example, "preferred", conversation);
  const other = checkOutput(example, "non_preferred", conversation);
  if (preferred !== undefined && other !== undefined && isEqual(preferred, other)) {
    report.warn("equal_outputs", "has the same preferred and non-preferred output");
  }
  // Known by another name: the error about the missing output has the hint.
  if (!hasAlias(example)) warnOtherKeys(example, preferenceKeys, "unrecognized_key", report);
}

function checkInput(input: Fields, context: Context): ReadonlySet<string> | undefined {
  const { report } = context;
  report.enter("input");
  warnOtherKeys(input, inputKeys, "unrecognized_key", report);
  const declared = checkTools(input, context);
  checkConversation(input, context, new Conversation(context, declared));
  report.leave();
  return declared;
}

/** The one message of an output, as far as there is one. */
function checkOutput(example: Fields, side: string, conversation: Conversation): unknown {
  const { report } = conversation.context;
  const key = `${side}_output`;
  const output = example[key];
  if (output === undefined) {
    // OpenAI's API reference of 2025 has these keys; its guide, samples and service do not.
    const alias = `${side}_completion`;
    const hint = example[alias] === undefined ? "" : `; rename "${alias}" to "${key}"`;
    report.error("example_missing_key", `is missing key "${key}"${hint}.`);
    return undefined;
  }
  if (!Array.isArray(output) || output.length !== 1) {
    const sentence = "must be an array of exactly one message from the assistant";
    report.error("invalid_output", sentence, key);
    return undefined;
  }
  const message: unknown = output[0];
  const role = readRole(message);
  report.enter(key);
  report.enter(0);
  checkMessage(message, new Conversation(conversation.context, conversation.declared));
  if (typeof role === "string" && role !== "assistant") {
    report.error("invalid_output", `must be from the assistant, not ${describeValue(role)}`);
  }
  report.leave();
  report.leave();
  return message;
}

function hasAlias(example: Fields): boolean {
  return isPresent(example.preferred_completion) || isPresent(example.non_preferred_completion);
}

function isEqual(one: unknown, other: unknown): boolean {
  if (!isObject(one) || !isObject(other)) return false;
  // Nearly all differ in their texts; the whole comparison is rare.
  if (typeof one.content === "string" && one.content !== other.content) return false;
  return JSON.stringify(one) === JSON.stringify(other);
}
