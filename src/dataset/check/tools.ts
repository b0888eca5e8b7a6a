import { describeValue, isObject, isPresent } from "../values.ts";
import type { Conversation } from "./chat.ts";
import type { ErrorCode } from "./codes.ts";
import { type Context, checkArray, checkString, type Fields } from "./context.ts";
import { checkItems, type ExampleReport } from "./findings.ts";

/** The names of the functions that a conversation declares. */
export type DeclaredNames = ReadonlySet<string>;

/** OpenAI's rule for the names of functions. */
const functionName = /^[a-zA-Z0-9_-]{1,64}$/;
/** Far above what a model writes; parsing more of it, hidden in a string, fills memory. */
const maximumArguments = 1_000_000;

/**
 * Checks `tools`, `functions` and `parallel_tool_calls`, all optional, of one conversation. Answers
 * with the declared names; undefined where there is no list of any.
 */
export function checkTools(fields: Fields, { report, tally }: Context): DeclaredNames | undefined {
  const { tools, functions, parallel_tool_calls: parallel } = fields;
  if (isPresent(parallel) && typeof parallel !== "boolean") {
    const sentence = `must be true or false, not ${describeValue(parallel)}`;
    report.error("data_type", sentence, "parallel_tool_calls");
  }
  if (!isPresent(tools) && !isPresent(functions)) return undefined;
  const names = new Set<string>();
  if (isPresent(tools) && checkArray(tools, "tools", report)) {
    report.enter("tools");
    checkItems(tools, report, (tool) => checkTool(tool, names, report));
    report.leave();
    if (tools.length > 0) tally.toolExamples += 1;
  } else if (isPresent(functions)) tally.toolExamples += 1;
  if (isPresent(functions) && checkArray(functions, "functions", report)) {
    report.enter("functions");
    checkItems(functions, report, (definition) => checkDefinition(definition, names, report));
    report.leave();
  }
  return names;
}

/** Checks the calls of one assistant message and adds them to the conversation. */
export function checkToolCalls(calls: unknown, conversation: Conversation): void {
  const { report } = conversation.context;
  if (!checkArray(calls, "tool_calls", report)) return;
  report.enter("tool_calls");
  if (calls.length === 0) report.error("invalid_tool_call", "must not be empty");
  checkItems(calls, report, (call) => {
    if (!isObject(call)) {
      report.error("invalid_tool_call", `must be an object, not ${describeValue(call)}`);
      return;
    }
    const id = checkString(call, "id", "invalid_tool_call", report);
    if (id !== undefined) conversation.addCall(id);
    checkFunctionType(call.type, "invalid_tool_call", report);
    report.enter("function");
    checkFunctionCall(call.function, conversation);
    report.leave();
  });
  report.leave();
}

/** Checks the name and the arguments of a call, which are JSON text in a string. */
export function checkFunctionCall(call: unknown, conversation: Conversation): void {
  const { report } = conversation.context;
  if (!checkFunctionObject(call, "invalid_tool_call", report)) return;
  const name = checkName(call, "invalid_tool_call", report);
  const { declared } = conversation;
  if (name !== undefined && declared?.has(name) === false) {
    const sentence = `is ${describeValue(name)}, which is not among the tools of the example`;
    report.warn("undeclared_function", sentence, "name");
  }
  const text = checkString(call, "arguments", "invalid_tool_call", report);
  if (text === undefined || text.length > maximumArguments || isJsonObject(text)) return;
  report.warn("invalid_arguments", "are not a JSON object", "arguments");
}

function checkTool(tool: unknown, names: Set<string>, report: ExampleReport): void {
  if (!isObject(tool)) {
    report.error("invalid_tool", `must be an object, not ${describeValue(tool)}`);
    return;
  }
  checkFunctionType(tool.type, "invalid_tool", report);
  report.enter("function");
  checkDefinition(tool.function, names, report);
  report.leave();
}

function checkDefinition(definition: unknown, names: Set<string>, report: ExampleReport): void {
  if (!checkFunctionObject(definition, "invalid_tool", report)) return;
  const name = checkName(definition, "invalid_tool", report);
  if (name !== undefined) names.add(name);
  const { parameters } = definition;
  if (!isPresent(parameters) || isObject(parameters)) return;
  const sentence = `must be a JSON Schema object, not ${describeValue(parameters)}`;
  report.error("invalid_tool", sentence, "parameters");
}

function checkFunctionType(type: unknown, code: ErrorCode, report: ExampleReport): void {
  if (type === "function") return;
  report.error(code, `must be "function", not ${describeValue(type)}`, "type");
}

function checkFunctionObject(
  value: unknown,
  code: ErrorCode,
  report: ExampleReport,
): value is Fields {
  if (isObject(value)) return true;
  report.error(code, value === undefined ? "is missing" : "must be an object with a name");
  return false;
}

function checkName(value: Fields, code: ErrorCode, report: ExampleReport): string | undefined {
  const name = checkString(value, "name", code, report);
  if (name === undefined || functionName.test(name)) return name;
  const sentence = `must be 1 to 64 letters, digits, "_" or "-", not ${describeValue(name)}`;
  report.error("invalid_function_name", sentence, "name");
  return undefined;
}

function isJsonObject(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}
