import { describeValue, isObject, isPresent } from "../values.ts";
import type { Conversation } from "./chat.ts";
import { checkString, type Fields } from "./context.ts";
import { checkItems, type ExampleReport } from "./findings.ts";
import { checkImageUrl } from "./images.ts";

/** The types of content parts that OpenAI's API reference allows for each role. */
const partTypes: ReadonlyMap<string, readonly string[]> = new Map([
  ["system", ["text"]],
  ["developer", ["text"]],
  ["user", ["text", "image_url", "input_audio", "file"]],
  ["assistant", ["text", "refusal"]],
  ["tool", ["text"]],
  ["function", []],
]);

/** Checks the content of a message, a string or parts, and counts its images. */
export function checkContent(message: Fields, role: string, conversation: Conversation): void {
  const { content } = message;
  if (typeof content === "string") return;
  const { report } = conversation.context;
  if (Array.isArray(content) && role !== "function") {
    report.enter("content");
    if (content.length === 0) report.error("missing_content", "must hold at least one part");
    checkItems(content, report, (part) => checkPart(part, role, conversation));
    report.leave();
    return;
  }
  if (isPresent(content)) {
    const parts = role === "function" ? "" : " or an array of parts";
    const sentence = `must be a string${parts}, not ${describeValue(content)}`;
    report.error("missing_content", sentence, "content");
    return;
  }
  if (role === "function" && content === null) return;
  if (role === "assistant" && hasOtherContent(message)) return;
  if (content === null) report.error("missing_content", "must not be null", "content");
  else report.error("message_missing_key", "is missing", "content");
}

/** Whether a content has any text that is not blank, or parts that are not text. */
export function hasText(content: unknown): boolean {
  if (typeof content === "string") return !isBlank(content);
  if (!Array.isArray(content)) return true;
  return content.some((part) => !isObject(part) || part.type !== "text" || hasText(part.text));
}

/** OpenAI's API reference: content is "required unless `tool_calls` or `function_call`" is there. */
function hasOtherContent(message: Fields): boolean {
  return (
    isPresent(message.tool_calls) || isPresent(message.function_call) || isPresent(message.refusal)
  );
}

/** Most texts are told by their first character. */
function isBlank(text: string): boolean {
  return text === "" || (text.charCodeAt(0) <= 0x20 && text.trim() === "");
}

function checkPart(part: unknown, role: string, conversation: Conversation): void {
  const { report } = conversation.context;
  if (!isObject(part)) {
    report.error("data_type", `must be a content part, not ${describeValue(part)}`);
    return;
  }
  const allowed = partTypes.get(role) ?? [];
  const type = allowed.find((name) => name === part.type);
  if (type === undefined) {
    const known = allowed.map((name) => `"${name}"`).join(", ");
    const choice = allowed.length === 1 ? known : `one of ${known}`;
    const sentence = `must be ${choice} in ${role} messages, not ${describeValue(part.type)}`;
    report.error("unrecognized_content_part", sentence, "type");
  } else if (type === "text" || type === "refusal") {
    checkString(part, type, "missing_content", report);
  } else {
    checkMedia(part, type, conversation);
  }
}

function checkMedia(part: Fields, type: string, conversation: Conversation): void {
  const { report, limits } = conversation.context;
  const body = part[type];
  if (!isObject(body)) {
    const sentence = body === undefined ? "is missing" : "must be an object";
    report.error(type === "image_url" ? "invalid_image" : "missing_content", sentence, type);
    return;
  }
  report.enter(type);
  if (type === "image_url") {
    conversation.images += 1;
    checkImageUrl(body, limits, report);
  } else if (type === "input_audio") checkAudio(body, report);
  report.leave();
}

function checkAudio(body: Fields, report: ExampleReport): void {
  checkString(body, "data", "missing_content", report);
  checkString(body, "format", "missing_content", report);
}
