import { describeValue, isObject, isPresent } from "../values.ts";
import type { Context, Fields } from "./context.ts";
import { checkString, warnOtherKeys } from "./context.ts";
import { checkContent, hasText } from "./parts.ts";
import { checkFunctionCall, checkToolCalls, checkTools, type DeclaredNames } from "./tools.ts";

/** Far above any conversation that a model could read, and soon checked. */
const maximumMessages = 10_000;

const commonKeys = ["role", "content", "name"];
const assistantKeys = ["refusal", "audio", "tool_calls", "function_call", "weight"];
/** Reported where they stand in messages of others. */
const assistantOnly = ["weight", "tool_calls", "function_call"];

const roleKeys: ReadonlyMap<unknown, ReadonlySet<string>> = new Map([
  ["system", new Set([...commonKeys, ...assistantOnly])],
  ["developer", new Set([...commonKeys, ...assistantOnly])],
  ["user", new Set([...commonKeys, ...assistantOnly])],
  ["assistant", new Set([...commonKeys, ...assistantKeys])],
  ["tool", new Set([...commonKeys, ...assistantOnly, "tool_call_id"])],
  ["function", new Set([...commonKeys, ...assistantOnly])],
]);
const knownRoles = [...roleKeys.keys()].join(", ");

/** What is known of a conversation up to a message. */
export class Conversation {
  readonly context: Context;
  /** The names of its functions; undefined where it declares none. */
  readonly declared: DeclaredNames | undefined;
  /** By the id of a tool call, whether a result answered it. */
  readonly calls = new Map<string, boolean>();
  images = 0;
  #openCalls = 0;
  #hasBegun = false;

  constructor(context: Context, declared: DeclaredNames | undefined) {
    this.context = context;
    this.declared = declared;
  }

  addCall(id: string): void {
    if (this.calls.get(id) !== false) this.#openCalls += 1;
    this.calls.set(id, false);
  }

  /** False where no call before has the id. */
  answerCall(id: string): boolean {
    const isAnswered = this.calls.get(id);
    if (isAnswered === false) {
      this.#openCalls -= 1;
      this.calls.set(id, true);
    }
    return isAnswered !== undefined;
  }

  /** Warns about what is odd in a message of this role at this point. */
  startMessage(role: string): void {
    const { report } = this.context;
    if (role === "system" || role === "developer") {
      if (!this.#hasBegun) return;
      report.warn("late_system_message", `is from the ${role} after the conversation has begun`);
    } else this.#hasBegun = true;
    if (this.#openCalls === 0 || role === "tool") return;
    report.warn("unanswered_tool_call", "follows a tool call that has no result");
  }
}

/**
 * Checks tools and messages in OpenAI's chat format, which are in `fields`. Answers with the
 * messages where they are a list of 1 to 10,000.
 */
export function checkConversation(
  fields: Fields,
  context: Context,
  conversation = new Conversation(context, checkTools(fields, context)),
): readonly unknown[] | undefined {
  const { report } = context;
  const { messages } = fields;
  if (!Array.isArray(messages)) {
    const found = describeValue(messages);
    report.error("missing_messages_list", `must be an array of messages, not ${found}`, "messages");
    return undefined;
  }
  if (messages.length === 0) {
    report.error("missing_messages_list", "must hold at least one message", "messages");
    return undefined;
  }
  if (messages.length > maximumMessages) {
    const sentence = `must hold at most ${maximumMessages} messages, not ${messages.length}`;
    report.error("too_many_messages", sentence, "messages");
    return undefined;
  }
  report.enter("messages");
  for (let index = 0; index < messages.length && !report.isFull; index += 1) {
    report.enter(index);
    checkMessage(messages[index], conversation);
    report.leave();
  }
  report.leave();
  finishImages(conversation);
  return messages;
}

/** Checks one message and counts it. */
export function checkMessage(message: unknown, conversation: Conversation): void {
  const { context } = conversation;
  const { report } = context;
  if (!isObject(message)) {
    report.error("data_type", `must be a message object, not ${describeValue(message)}`);
    return;
  }
  const { role } = message;
  const keys = roleKeys.get(role);
  if (typeof role !== "string" || keys === undefined) {
    const code = role === undefined ? "message_missing_key" : "unrecognized_role";
    report.error(code, `must be one of ${knownRoles}, not ${describeValue(role)}`, "role");
    return;
  }
  context.tally.countMessage(role);
  conversation.startMessage(role);
  warnOtherKeys(message, keys, "message_unrecognized_key", report);
  checkContent(message, role, conversation);
  if (role === "assistant") checkAnswer(message, conversation);
  else checkOther(message, role, conversation);
}

/** The role of a message, or undefined where it is no message. */
export function readRole(message: unknown): unknown {
  return isObject(message) ? message.role : undefined;
}

/** True for an assistant message that is trained on. */
export function isTrained(message: unknown): boolean {
  return isObject(message) && message.role === "assistant" && message.weight !== 0;
}

function checkAnswer(message: Fields, conversation: Conversation): void {
  const { report } = conversation.context;
  const { weight, refusal, tool_calls: toolCalls, function_call: functionCall } = message;
  if (isPresent(message.name)) checkString(message, "name", "message_missing_key", report);
  if (isPresent(weight) && weight !== 0 && weight !== 1) {
    report.error("invalid_weight", `must be 0 or 1, not ${describeValue(weight)}`, "weight");
  }
  if (isPresent(refusal)) checkString(message, "refusal", "message_missing_key", report);
  if (isPresent(toolCalls)) checkToolCalls(toolCalls, conversation);
  else if (isPresent(functionCall)) {
    report.enter("function_call");
    checkFunctionCall(functionCall, conversation);
    report.leave();
  } else if (weight !== 0 && !isPresent(refusal) && !hasText(message.content)) {
    report.warn("empty_assistant_message", "is an empty answer");
  }
}

function checkOther(message: Fields, role: string, conversation: Conversation): void {
  const { report } = conversation.context;
  for (const field of assistantOnly) {
    if (!isPresent(message[field])) continue;
    report.error("misplaced_key", "is allowed in assistant messages only", field);
  }
  if (role === "tool") {
    const id = checkString(message, "tool_call_id", "message_missing_key", report);
    if (id !== undefined && !conversation.answerCall(id)) {
      const sentence = `is ${describeValue(id)}, which no tool call before it has`;
      report.error("unknown_tool_call_id", sentence, "tool_call_id");
    }
  }
  if (role === "function" || isPresent(message.name)) {
    checkString(message, "name", "message_missing_key", report);
  }
}

function finishImages({ context, images }: Conversation): void {
  if (images === 0) return;
  context.tally.images += images;
  const maximum = context.limits.maxImagesPerExample;
  if (maximum === undefined || images <= maximum) return;
  const sentence = `have ${images} images, and an example may have at most ${maximum}`;
  context.report.error("too_many_images", sentence, "messages");
}
