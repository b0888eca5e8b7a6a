import { describeValue, isObject, isPresent } from "../values.ts";
import { reportOtherFields } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { readObjectText } from "./json-text.ts";
import type { Placeholders } from "./placeholders.ts";
import type { Part } from "./turns.ts";

type Fields = Readonly<Record<string, unknown>>;

/** One call of a function by the assistant. */
export interface FunctionCall {
  /** Undefined for a call in the older `function_call`. */
  readonly id: string | undefined;
  readonly name: string;
  readonly place: string;
  readonly part: Part;
}

const none: readonly FunctionCall[] = [];
/** Far above any turn; results look for their calls among all of them. */
const maximumCalls = 1000;
/** Google's rule for names of functions, which is stricter than OpenAI's about the first sign. */
const functionName = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const callFields = new Set(["id", "type", "function", "index"]);
const functionFields = new Set(["name", "arguments"]);

/** The calls of a message from the assistant at `place`; what cannot be carried is reported. */
export function readCalls(
  message: Fields,
  place: string,
  placeholders: Placeholders,
  findings: Findings,
): readonly FunctionCall[] {
  const { tool_calls: toolCalls, function_call: functionCall } = message;
  if (!isPresent(toolCalls) && !isPresent(functionCall)) return none;
  const calls: FunctionCall[] = [];
  if (isPresent(functionCall)) {
    const path = `${place}.function_call`;
    const call = readFunction(functionCall, undefined, path, placeholders, findings);
    if (call !== undefined) calls.push(call);
  }
  if (!isPresent(toolCalls)) return calls;
  if (!Array.isArray(toolCalls)) {
    findings.refuse(`${place}.tool_calls must be an array, not ${describeValue(toolCalls)}`);
    return calls;
  }
  if (toolCalls.length > maximumCalls) {
    findings.refuse(`${place}.tool_calls must hold at most ${maximumCalls} calls`);
    return calls;
  }
  for (const [index, toolCall] of toolCalls.entries()) {
    const call = readToolCall(toolCall, `${place}.tool_calls[${index}]`, placeholders, findings);
    if (call !== undefined) calls.push(call);
  }
  return calls;
}

/** Reports a name that Google's rule does not allow; false where it is no name at all. */
export function checkName(name: unknown, place: string, findings: Findings): name is string {
  if (typeof name !== "string") {
    findings.refuse(`${place}.name must be a string, not ${describeValue(name)}`);
    return false;
  }
  if (!functionName.test(name)) {
    const rule = `Gemini's functions have 1 to 64 letters, digits, "_", "." or "-", a letter or "_" first`;
    findings.leaveOut(
      "unsupported_function_name",
      `${place}.name is ${describeValue(name)}, and ${rule}`,
    );
  }
  return true;
}

function readToolCall(
  toolCall: unknown,
  place: string,
  placeholders: Placeholders,
  findings: Findings,
): FunctionCall | undefined {
  if (!isObject(toolCall)) {
    findings.refuse(`${place} must be an object, not ${describeValue(toolCall)}`);
    return undefined;
  }
  const { id, type } = toolCall;
  if (type === "custom") {
    findings.leaveOut("unsupported_tool_call", `${place} calls a custom tool`);
    return undefined;
  }
  if (type !== "function" || typeof id !== "string") {
    const [field, wanted, found] =
      type === "function" ? ["id", "a string", id] : ["type", '"function"', type];
    findings.refuse(`${place}.${field} must be ${wanted}, not ${describeValue(found)}`);
    return undefined;
  }
  reportOtherFields(toolCall, callFields, place, findings);
  return readFunction(toolCall.function, id, `${place}.function`, placeholders, findings);
}

function readFunction(
  call: unknown,
  id: string | undefined,
  place: string,
  placeholders: Placeholders,
  findings: Findings,
): FunctionCall | undefined {
  if (!isObject(call)) {
    findings.refuse(`${place} must be an object, not ${describeValue(call)}`);
    return undefined;
  }
  const { name, arguments: text } = call;
  if (!checkName(name, place, findings)) return undefined;
  if (typeof text !== "string") {
    findings.refuse(`${place}.arguments must be a string of JSON, not ${describeValue(text)}`);
    return undefined;
  }
  reportOtherFields(call, functionFields, place, findings);
  const args = readObjectText(text);
  if (args === undefined) {
    const sentence = `${place}.arguments must be the text of a JSON object of at most a million characters, not ${describeValue(text)}`;
    findings.leaveOut("unsupported_arguments", sentence);
  }
  const part = { functionCall: { name, args: placeholders.addJson(args ?? "{}") } };
  return { id, name, place, part };
}
