import { checkFunctionCall, checkToolCalls } from "./tools.ts";
import {
  checkItems,
  checkString,
  describeValue,
  isObject,
  isPresent,
  type Report,
} from "./values.ts";

type Message = Readonly<Record<string, unknown>>;

/** Far above any conversation that a model could read, and soon checked. */
const maximumMessages = 10_000;

/** The types of content parts that OpenAI's API reference allows for each role. */
const partTypes: ReadonlyMap<unknown, readonly string[]> = new Map([
  ["system", ["text"]],
  ["developer", ["text"]],
  ["user", ["text", "image_url", "input_audio", "file"]],
  ["assistant", ["text", "refusal"]],
  ["tool", ["text"]],
  ["function", []],
]);

/** Checks a conversation in OpenAI's chat format; false where it is no list of 1 to 10,000. */
export function checkMessages(
  messages: unknown,
  path: string,
  report: Report,
): messages is readonly unknown[] {
  if (!Array.isArray(messages)) {
    report.add(path, `must be an array of messages, not ${describeValue(messages)}`);
    return false;
  }
  if (messages.length === 0) {
    report.add(path, "must hold at least one message");
    return false;
  }
  if (messages.length > maximumMessages) {
    report.add(path, `must hold at most ${maximumMessages} messages, not ${messages.length}`);
    return false;
  }
  const callIds = new Set<string>();
  checkItems(messages, path, report, (message, place) => {
    checkMessage(message, place, callIds, report);
  });
  return true;
}

/** Checks one message; `callIds` holds the ids of the tool calls before it and takes its own. */
export function checkMessage(
  message: unknown,
  path: string,
  callIds: Set<string>,
  report: Report,
): void {
  if (!isObject(message)) {
    report.add(path, `must be a message object, not ${describeValue(message)}`);
    return;
  }
  const role = message.role;
  if (!partTypes.has(role)) {
    const known = [...partTypes.keys()].join(", ");
    report.add(`${path}.role`, `must be one of ${known}, not ${describeValue(role)}`);
    return;
  }
  checkContent(message, path, report);
  checkAssistantFields(message, path, callIds, report);
  if (role === "tool") checkToolResult(message, path, callIds, report);
  if (role === "function") checkString(message.name, `${path}.name`, report);
  else if (isPresent(message.name)) checkString(message.name, `${path}.name`, report);
}

/** The role of a message, or undefined where it is no message. */
export function readRole(message: unknown): unknown {
  return isObject(message) ? message.role : undefined;
}

/** True for an assistant message that is trained on. */
export function isTrained(message: unknown): boolean {
  return isObject(message) && message.role === "assistant" && message.weight !== 0;
}

function checkAssistantFields(
  message: Message,
  path: string,
  callIds: Set<string>,
  report: Report,
): void {
  const { role, weight, refusal, tool_calls: toolCalls, function_call: functionCall } = message;
  if (role !== "assistant") {
    for (const field of ["weight", "tool_calls", "function_call"]) {
      if (!isPresent(message[field])) continue;
      report.add(`${path}.${field}`, "is allowed in assistant messages only");
    }
    return;
  }
  if (weight !== undefined && weight !== 0 && weight !== 1) {
    report.add(`${path}.weight`, `must be 0 or 1, not ${describeValue(weight)}`);
  }
  if (isPresent(refusal)) {
    checkString(refusal, `${path}.refusal`, report);
  }
  if (isPresent(toolCalls)) {
    checkToolCalls(toolCalls, `${path}.tool_calls`, callIds, report);
  }
  if (isPresent(functionCall)) {
    checkFunctionCall(functionCall, `${path}.function_call`, report);
  }
}

function checkToolResult(
  message: Message,
  path: string,
  callIds: ReadonlySet<string>,
  report: Report,
): void {
  const place = `${path}.tool_call_id`;
  const id = message.tool_call_id;
  if (!checkString(id, place, report) || callIds.has(id)) return;
  report.add(place, `is ${describeValue(id)}, which no tool call before it has`);
}

function checkContent(message: Message, path: string, report: Report): void {
  const { content, role } = message;
  const place = `${path}.content`;
  if (typeof content === "string") return;
  if (Array.isArray(content) && role !== "function") {
    if (content.length === 0) report.add(place, "must hold at least one part");
    checkItems(content, place, report, (part, partPlace) => {
      checkPart(part, role, partPlace, report);
    });
    return;
  }
  if (isPresent(content)) {
    report.add(
      place,
      `must be a string${role === "function" ? "" : " or an array of parts"}, not ${describeValue(content)}`,
    );
    return;
  }
  if (role === "function" && content === null) return;
  if (role === "assistant" && hasOtherContent(message)) return;
  report.add(place, content === null ? "must not be null" : "is missing");
}

/** OpenAI's API reference: content is "required unless `tool_calls` or `function_call`" is there. */
function hasOtherContent(message: Message): boolean {
  return [message.tool_calls, message.function_call, message.refusal].some(isPresent);
}

function checkPart(part: unknown, role: unknown, path: string, report: Report): void {
  if (!isObject(part)) {
    report.add(path, `must be a content part, not ${describeValue(part)}`);
    return;
  }
  const allowed = partTypes.get(role) ?? [];
  const type = allowed.find((name) => name === part.type);
  if (type === undefined) {
    const known = allowed.map((name) => `"${name}"`).join(", ");
    report.add(
      `${path}.type`,
      `must be ${allowed.length === 1 ? "" : "one of "}${known} in ${role} messages, not ${describeValue(part.type)}`,
    );
    return;
  }
  if (type === "text" || type === "refusal") {
    checkString(part[type], `${path}.${type}`, report);
    return;
  }
  const body = part[type];
  if (!isObject(body))
    report.add(`${path}.${type}`, body === undefined ? "is missing" : "must be an object");
  else if (type === "image_url") checkString(body.url, `${path}.image_url.url`, report);
}
