import { describeValue, isObject, isPresent } from "../values.ts";
import { checkName } from "./calls.ts";
import { reportOtherFields } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { convertParameters } from "./schema.ts";

type Fields = Readonly<Record<string, unknown>>;

const toolFields = new Set(["type", "function"]);
/** `strict` tells a service how to sample an answer, not what is learnt. */
const functionFields = new Set(["name", "description", "parameters", "strict"]);

/**
 * Converts `tools` and the older `functions` of the conversation at `path` to Gemini's `tools`;
 * undefined where there are none.
 */
export function convertTools(conversation: Fields, path: string, findings: Findings): unknown {
  const { tools, functions, parallel_tool_calls: parallel } = conversation;
  if (isPresent(parallel)) reportParallel(parallel, `${path}parallel_tool_calls`, findings);
  if (!isPresent(tools) && !isPresent(functions)) return undefined;
  const declarations: unknown[] = [];
  for (const [tool, place] of listItems(tools, `${path}tools`, findings)) {
    const declaration = convertTool(tool, place, findings);
    if (declaration !== undefined) declarations.push(declaration);
  }
  for (const [definition, place] of listItems(functions, `${path}functions`, findings)) {
    declarations.push(convertFunction(definition, place, findings));
  }
  return declarations.length === 0 ? undefined : [{ functionDeclarations: declarations }];
}

function reportParallel(parallel: unknown, place: string, findings: Findings): void {
  if (typeof parallel !== "boolean") {
    findings.refuse(`${place} must be true or false, not ${describeValue(parallel)}`);
    return;
  }
  const sentence = `${place} has no place in Gemini's format`;
  findings.report("unsupported_parallel_tool_calls", sentence, "it is left out");
}

function listItems(
  value: unknown,
  path: string,
  findings: Findings,
): readonly (readonly [item: unknown, place: string])[] {
  if (Array.isArray(value)) return value.map((item, index) => [item, `${path}[${index}]`]);
  if (isPresent(value)) findings.refuse(`${path} must be an array, not ${describeValue(value)}`);
  return [];
}

function convertTool(tool: unknown, place: string, findings: Findings): unknown {
  if (!isObject(tool)) {
    findings.refuse(`${place} must be an object, not ${describeValue(tool)}`);
    return undefined;
  }
  if (tool.type === "custom") {
    findings.report("unsupported_tool", `${place} is a custom tool`, "it is left out");
    return undefined;
  }
  if (tool.type !== "function") {
    findings.refuse(`${place}.type must be "function", not ${describeValue(tool.type)}`);
    return undefined;
  }
  reportOtherFields(tool, toolFields, place, findings);
  return convertFunction(tool.function, `${place}.function`, findings);
}

function convertFunction(definition: unknown, place: string, findings: Findings): unknown {
  if (!isObject(definition)) {
    findings.refuse(`${place} must be an object with a name, not ${describeValue(definition)}`);
    return undefined;
  }
  const { name, description, parameters } = definition;
  if (!checkName(name, place, findings)) return undefined;
  reportOtherFields(definition, functionFields, place, findings);
  if (isPresent(description) && typeof description !== "string") {
    findings.refuse(`${place}.description must be a string, not ${describeValue(description)}`);
  }
  const schema = isPresent(parameters)
    ? convertParameters(parameters, `${place}.parameters`, findings)
    : undefined;
  return { name, description: description ?? undefined, parameters: schema };
}
