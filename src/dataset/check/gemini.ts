import { describeValue, isObject, isPresent } from "../values.ts";
import type { ErrorCode } from "./codes.ts";
import { type Context, checkArray, checkString, type Fields, warnOtherKeys } from "./context.ts";
import { checkItems, type ExampleReport } from "./findings.ts";
import { checkImageBytes } from "./images.ts";

const commonKeys = ["contents", "systemInstruction", "system_instruction", "tools"];
const chatKeys = new Set([...commonKeys, "generationConfig", "generation_config"]);
const preferenceKeys = new Set([...chatKeys, "completions"]);
const reinforcementKeys = new Set([...chatKeys, "references"]);

/** Google's rule for the names of functions. */
const functionName = /^[A-Za-z0-9_.-]{1,64}$/;
const maximumContents = 10_000;

/** What a part can hold, in both spellings that protobuf's JSON takes. */
const partKinds = [
  "text",
  "fileData",
  "file_data",
  "inlineData",
  "inline_data",
  "functionCall",
  "function_call",
  "functionResponse",
  "function_response",
] as const;

/** Checks an example of supervised tuning in Gemini's format. */
export function checkGeminiChat(example: Fields, context: Context): void {
  const contents = checkPrompt(example, chatKeys, context);
  if (contents !== undefined) checkLast(contents, "model", context);
}

/** Checks an example of preference tuning in Gemini's format. */
export function checkGeminiPreference(example: Fields, context: Context): void {
  const { report } = context;
  const contents = checkPrompt(example, preferenceKeys, context);
  if (contents !== undefined) checkLast(contents, "user", context);
  const { completions } = example;
  if (!checkArray(completions, "completions", report)) return;
  if (completions.length < 2) {
    const sentence = "must be at least two, one of which is preferred";
    report.error("invalid_output", sentence, "completions");
  }
  report.enter("completions");
  checkItems(completions, report, (completion) => checkCompletion(completion, context));
  report.leave();
  compareCompletions(completions, report);
}

/** Checks an example of reinforcement tuning in Gemini's format. */
export function checkGeminiReinforcement(example: Fields, context: Context): void {
  const { report } = context;
  const contents = checkPrompt(example, reinforcementKeys, context);
  if (contents !== undefined) checkLast(contents, "user", context);
  const { references } = example;
  if (!isObject(references)) {
    const sentence = `must be an object of strings, not ${describeValue(references)}`;
    report.error("data_type", sentence, "references");
    return;
  }
  for (const key in references) {
    if (typeof references[key] === "string") continue;
    const sentence = `must be an object of strings, but the value of ${describeValue(key)} is ${describeValue(references[key])}`;
    report.error("data_type", sentence, "references");
    return;
  }
}

function checkPrompt(
  example: Fields,
  known: ReadonlySet<string>,
  context: Context,
): readonly unknown[] | undefined {
  const { report, tally } = context;
  warnOtherKeys(example, known, "unrecognized_key", report);
  checkInstruction(example, report);
  checkDeclarations(example, context);
  const { contents } = example;
  if (!Array.isArray(contents) || contents.length === 0) {
    const sentence = `must be an array of at least one content, not ${describeValue(contents)}`;
    report.error("missing_messages_list", sentence, "contents");
    return undefined;
  }
  if (contents.length > maximumContents) {
    const sentence = `must hold at most ${maximumContents} contents, not ${contents.length}`;
    report.error("too_many_messages", sentence, "contents");
    return undefined;
  }
  let images = 0;
  report.enter("contents");
  checkItems(contents, report, (content) => {
    images += checkContent(content, context);
  });
  report.leave();
  tally.images += images;
  const maximum = context.limits.maxImagesPerExample;
  if (maximum !== undefined && images > maximum) {
    const sentence = `have ${images} images, and an example may have at most ${maximum}`;
    report.error("too_many_images", sentence, "contents");
  }
  return contents;
}

function checkInstruction(example: Fields, report: ExampleReport): void {
  const key = isPresent(example.systemInstruction) ? "systemInstruction" : "system_instruction";
  const instruction = example[key];
  // In protobuf's JSON null is what is absent.
  if (!isPresent(instruction)) return;
  if (!isObject(instruction) || !Array.isArray(instruction.parts)) {
    report.error("data_type", "must be a content with parts", key);
    return;
  }
  report.enter(key);
  report.enter("parts");
  checkItems(instruction.parts, report, (part) => {
    if (isObject(part)) checkString(part, "text", "missing_content", report);
    else report.error("data_type", `must be a part, not ${describeValue(part)}`);
  });
  report.leave();
  report.leave();
}

function checkDeclarations(example: Fields, { report, tally }: Context): void {
  const { tools } = example;
  if (!isPresent(tools) || !checkArray(tools, "tools", report)) return;
  if (tools.length > 0) tally.toolExamples += 1;
  report.enter("tools");
  checkItems(tools, report, (tool) => {
    const declarations = isObject(tool)
      ? (tool.functionDeclarations ?? tool.function_declarations)
      : undefined;
    if (!Array.isArray(declarations)) {
      report.error("invalid_tool", "must be an object with functionDeclarations");
      return;
    }
    report.enter("functionDeclarations");
    checkItems(declarations, report, (declaration) => {
      if (!isObject(declaration)) report.error("invalid_tool", "must be an object with a name");
      else checkName(declaration, "invalid_tool", report);
    });
    report.leave();
  });
  report.leave();
}

/** Checks and counts one content; answers with the number of its images. */
function checkContent(content: unknown, context: Context): number {
  const { report } = context;
  if (!isObject(content)) {
    report.error("data_type", `must be a content object, not ${describeValue(content)}`);
    return 0;
  }
  const role = readRole(content);
  if (role !== "user" && role !== "model" && role !== "function") {
    report.error(
      "unrecognized_role",
      `must be "user" or "model", not ${describeValue(role)}`,
      "role",
    );
    return 0;
  }
  context.tally.countMessage(role);
  const { parts } = content;
  if (!Array.isArray(parts) || parts.length === 0) {
    const sentence = `must be an array of at least one part, not ${describeValue(parts)}`;
    report.error("missing_content", sentence, "parts");
    return 0;
  }
  let images = 0;
  let isEmpty = true;
  report.enter("parts");
  checkItems(parts, report, (part) => {
    if (!isObject(part)) {
      report.error("data_type", `must be a part, not ${describeValue(part)}`);
      return;
    }
    if (checkPart(part, context)) images += 1;
    if (typeof part.text !== "string" || part.text.trim() !== "") isEmpty = false;
  });
  report.leave();
  if (role === "model" && isEmpty) report.warn("empty_assistant_message", "is an empty answer");
  return images;
}

/** The role of a content; one without a role is the user's. */
function readRole(content: unknown): unknown {
  return isObject(content) ? (content.role ?? "user") : undefined;
}

/** Checks one part; true where it is an image. */
function checkPart(part: Fields, { report, limits }: Context): boolean {
  const kind = partKinds.find((name) => isPresent(part[name]));
  if (kind === undefined) {
    const known = `"text", "fileData", "functionCall" and "functionResponse"`;
    report.error("unrecognized_content_part", `must have one of ${known}`);
    return false;
  }
  if (kind === "text") {
    const text = checkString(part, "text", "missing_content", report);
    if (text === "") report.warn("empty_text", "is empty, which Gemini refuses", "text");
    return false;
  }
  const body = part[kind];
  if (!isObject(body)) {
    report.error("data_type", `must be an object, not ${describeValue(body)}`, kind);
    return false;
  }
  report.enter(kind);
  const isImage = checkBody(body, kind, { report, limits });
  report.leave();
  return isImage;
}

function checkBody(
  body: Fields,
  kind: string,
  { report, limits }: Pick<Context, "report" | "limits">,
): boolean {
  if (kind.startsWith("function")) {
    checkName(body, "invalid_tool_call", report);
    const key = kind.endsWith("esponse") ? "response" : "args";
    const value = body[key];
    if (!isObject(value) && (key === "response" || isPresent(value))) {
      report.error("invalid_tool_call", `must be an object, not ${describeValue(value)}`, key);
    }
    return false;
  }
  const camelCase = !kind.includes("_");
  const typeKey = camelCase || body.mime_type === undefined ? "mimeType" : "mime_type";
  const type = checkString(body, typeKey, "invalid_image", report);
  if (kind.startsWith("file")) {
    checkString(
      body,
      body.file_uri === undefined ? "fileUri" : "file_uri",
      "invalid_image",
      report,
    );
  } else {
    const data = checkString(body, "data", "invalid_image", report);
    if (data !== undefined) checkImageBytes(data.length, limits, report, "data");
    const sentence = "is not documented for tuning; fileData is";
    report.warn("unsupported_image", sentence);
  }
  return type?.startsWith("image/") === true;
}

function checkLast(contents: readonly unknown[], wanted: string, { report }: Context): void {
  const last = contents.length - 1;
  const role = readRole(contents[last]);
  const isPrompt = wanted === "user";
  if (role === wanted || (isPrompt && role === "function")) return;
  const code: ErrorCode = isPrompt
    ? "unexpected_last_message"
    : "example_missing_assistant_message";
  const sentence = `the last content must be from the ${wanted}, not ${describeValue(role)}`;
  report.error(code, sentence, "contents", last);
}

function checkCompletion(completion: unknown, context: Context): void {
  const { report } = context;
  if (!isObject(completion)) {
    report.error("invalid_output", `must be an object, not ${describeValue(completion)}`);
    return;
  }
  const { score, completion: content } = completion;
  if (typeof score !== "number") {
    report.error("invalid_output", `must be a number, not ${describeValue(score)}`, "score");
  }
  report.enter("completion");
  if (isObject(content) && content.role !== "model") {
    const sentence = `must be "model", not ${describeValue(content.role)}`;
    report.error("invalid_output", sentence, "role");
  }
  context.tally.images += checkContent(content, context);
  report.leave();
}

function compareCompletions(completions: readonly unknown[], report: ExampleReport): void {
  const objects = completions.filter(isObject);
  if (objects.length < 2) return;
  if (new Set(objects.map(({ score }) => score)).size < 2) {
    const sentence = "must have different scores";
    report.error("invalid_output", sentence, "completions");
  }
  const texts = objects.map(({ completion }) => JSON.stringify(completion));
  if (new Set(texts).size === texts.length) return;
  report.warn("equal_outputs", "has the same completion twice", "completions");
}

function checkName(fields: Fields, code: ErrorCode, report: ExampleReport): void {
  const name = checkString(fields, "name", code, report);
  if (name === undefined || functionName.test(name)) return;
  const sentence = `must be 1 to 64 letters, digits, "_", "." or "-", not ${describeValue(name)}`;
  report.error("invalid_function_name", sentence, "name");
}
