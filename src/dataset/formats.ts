import { checkMessage, checkMessages, isTrained, readRole } from "./messages.ts";
import { checkTools } from "./tools.ts";
import { describeValue, isObject, type Report } from "./values.ts";

/** The methods of fine-tuning that OpenAI's API names; each has a format of its own. */
export type DatasetMethod = "supervised" | "dpo" | "reinforcement";

type Example = Readonly<Record<string, unknown>>;

/** How the format of each method is named in sentences. */
const formatNames = {
  supervised: "chat",
  dpo: "preference",
  reinforcement: "reinforcement",
} as const;

const guide = "https://platform.openai.com/docs/guides/fine-tuning/preparing-your-dataset";

/** Checks one example against the format of `method`. */
export function checkExample(example: Example, method: DatasetMethod, report: Report): void {
  if (method === "dpo") {
    checkPreference(example, report);
    return;
  }
  if (example.messages === undefined) {
    reportOtherFormat(example, method, report);
    return;
  }
  checkTools(example, "", report);
  if (!checkMessages(example.messages, "messages", report)) return;
  if (method === "supervised") checkAnswers(example.messages, report);
  else checkPrompt(example.messages, report);
}

function checkAnswers(messages: readonly unknown[], report: Report): void {
  const last = messages.length - 1;
  const role = readRole(messages[last]);
  if (role !== "assistant") {
    report.add(
      `messages[${last}]`,
      `the last message must be from the assistant, not ${describeValue(role)}`,
    );
  } else if (!messages.some(isTrained)) {
    report.add("messages", "at least one message from the assistant must have weight 1");
  }
}

function checkPrompt(messages: readonly unknown[], report: Report): void {
  const last = messages.length - 1;
  const role = readRole(messages[last]);
  if (role === "user" || role === "developer") return;
  report.add(
    `messages[${last}]`,
    `the last message must be from the user or developer, not ${describeValue(role)}`,
  );
}

function checkPreference(example: Example, report: Report): void {
  const { input } = example;
  if (input === undefined && example.preferred_output === undefined) {
    reportOtherFormat(example, "dpo", report);
    return;
  }
  if (!isObject(input)) {
    report.add(
      "input",
      input === undefined
        ? "is missing"
        : `must be an object with messages, not ${describeValue(input)}`,
    );
  } else {
    checkTools(input, "input.", report);
    checkMessages(input.messages, "input.messages", report);
  }
  for (const side of ["preferred", "non_preferred"]) checkOutput(example, side, report);
}

function checkOutput(example: Example, side: string, report: Report): void {
  const key = `${side}_output`;
  const output = example[key];
  if (output === undefined) {
    // OpenAI's API reference of 2025 has these keys; its guide, samples and service do not.
    const alias = `${side}_completion`;
    const hint = example[alias] === undefined ? "" : `; rename "${alias}" to "${key}"`;
    report.add("", `is missing key "${key}"${hint}.`);
    return;
  }
  if (!Array.isArray(output) || output.length !== 1) {
    report.add(key, "must be an array of exactly one message from the assistant");
    return;
  }
  const role = readRole(output[0]);
  checkMessage(output[0], `${key}[0]`, new Set(), report);
  if (typeof role === "string" && role !== "assistant") {
    report.add(`${key}[0]`, `must be from the assistant, not ${describeValue(role)}`);
  }
}

function reportOtherFormat(example: Example, method: DatasetMethod, report: Report): void {
  const wanted = formatNames[method];
  const missing = method === "dpo" ? "input" : "messages";
  if (example.prompt !== undefined && example.completion !== undefined) {
    report.add(
      "",
      `is in the prompt-completion format, but ${wanted}-formatted data is required. See ${guide} for details.`,
    );
  } else if (method !== "dpo" && example.input !== undefined) {
    report.add("", `is in the preference format of the method "dpo", not in the ${wanted} format`);
  } else if (method === "dpo" && example.messages !== undefined) {
    report.add("", `is in the chat format, not in the ${wanted} format of the method "dpo"`);
  } else {
    report.add("", `is missing key "${missing}".`);
  }
}
