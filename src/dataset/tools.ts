import { checkItems, checkString, describeValue, isObject, type Report } from "./values.ts";

/** OpenAI's rule for the names of functions. */
const functionName = /^[a-zA-Z0-9_-]{1,64}$/;

/** Checks `tools`, `functions` and `parallel_tool_calls`, all optional, of one conversation. */
export function checkTools(
  conversation: Readonly<Record<string, unknown>>,
  path: string,
  report: Report,
): void {
  const { tools, functions, parallel_tool_calls: parallel } = conversation;
  if (tools !== undefined && checkArray(tools, `${path}tools`, report)) {
    checkItems(tools, `${path}tools`, report, (tool, place) => checkTool(tool, place, report));
  }
  if (functions !== undefined && checkArray(functions, `${path}functions`, report)) {
    checkItems(functions, `${path}functions`, report, (definition, place) => {
      checkFunction(definition, place, report);
    });
  }
  if (parallel !== undefined && typeof parallel !== "boolean") {
    report.add(
      `${path}parallel_tool_calls`,
      `must be true or false, not ${describeValue(parallel)}`,
    );
  }
}

/** Checks the calls of one assistant message and adds their ids to `callIds`. */
export function checkToolCalls(
  calls: unknown,
  path: string,
  callIds: Set<string>,
  report: Report,
): void {
  if (!checkArray(calls, path, report)) return;
  if (calls.length === 0) report.add(path, "must not be empty");
  checkItems(calls, path, report, (call, place) => {
    if (!isObject(call)) {
      report.add(place, `must be an object, not ${describeValue(call)}`);
      return;
    }
    if (checkString(call.id, `${place}.id`, report)) callIds.add(call.id);
    checkFunctionType(call.type, place, report);
    checkFunctionCall(call.function, `${place}.function`, report);
  });
}

/** Checks the name and the arguments of a call, which are JSON text in a string. */
export function checkFunctionCall(call: unknown, path: string, report: Report): void {
  if (!checkFunction(call, path, report)) return;
  checkString(call.arguments, `${path}.arguments`, report);
}

function checkTool(tool: unknown, path: string, report: Report): void {
  if (!isObject(tool)) {
    report.add(path, `must be an object, not ${describeValue(tool)}`);
    return;
  }
  checkFunctionType(tool.type, path, report);
  checkFunction(tool.function, `${path}.function`, report);
}

function checkFunctionType(type: unknown, path: string, report: Report): void {
  if (type === "function") return;
  report.add(`${path}.type`, `must be "function", not ${describeValue(type)}`);
}

function checkFunction(
  value: unknown,
  path: string,
  report: Report,
): value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) {
    report.add(path, value === undefined ? "is missing" : "must be an object with a name");
    return false;
  }
  if (checkString(value.name, `${path}.name`, report) && !functionName.test(value.name)) {
    report.add(
      `${path}.name`,
      `must be 1 to 64 letters, digits, "_" or "-", not ${describeValue(value.name)}`,
    );
  }
  return true;
}

function checkArray(value: unknown, path: string, report: Report): value is readonly unknown[] {
  if (Array.isArray(value)) return true;
  report.add(path, `must be an array, not ${describeValue(value)}`);
  return false;
}
