import type { DatasetFormat } from "../report.ts";
import { checkConversation, readRole } from "./chat.ts";
import type { Context, Fields } from "./context.ts";
import { type FindingList, formatError } from "./findings.ts";
import { chatKeys, describeLastRole, formatChecks } from "./formats.ts";

/** The methods of fine-tuning that OpenAI's API names; each has a format of its own. */
export type DatasetMethod = "supervised" | "dpo" | "reinforcement";

/** All formats, those in which OpenAI's API takes datasets first. */
export const datasetFormats: readonly DatasetFormat[] = [
  "chat",
  "preference",
  "reinforcement",
  "gemini_chat",
  "gemini_preference",
  "gemini_reinforcement",
];

const methodFormats: Readonly<Record<DatasetMethod, readonly DatasetFormat[]>> = {
  supervised: ["chat", "gemini_chat"],
  dpo: ["preference", "gemini_preference"],
  reinforcement: ["reinforcement", "gemini_reinforcement"],
};

const formatNames: Readonly<Record<DatasetFormat, string>> = {
  chat: "the chat format",
  preference: 'the preference format of the method "dpo"',
  reinforcement: "the reinforcement format",
  gemini_chat: "Gemini's chat format",
  gemini_preference: "Gemini's preference format",
  gemini_reinforcement: "Gemini's reinforcement format",
};

const preferenceMarks = [
  "input",
  "preferred_output",
  "non_preferred_output",
  "preferred_completion",
  "non_preferred_completion",
];
const guide = "https://platform.openai.com/docs/guides/fine-tuning/preparing-your-dataset";
const maximumKept = 100;

/** What a file is expected to be. */
export interface FormatRules {
  /** None are refused where it is absent. */
  readonly formats?: readonly DatasetFormat[] | undefined;
  /** OpenAI's name of the method that the file is for. */
  readonly method?: DatasetMethod | undefined;
  /** What a grader reads of each example for reinforcement, see `readItemFields`. */
  readonly itemFields?: readonly string[] | undefined;
}

interface Undecided {
  readonly line: number;
  readonly number: number;
  readonly last: number;
  readonly role: "user" | "developer";
}

/** Finds the format of a file by its first lines, and checks each example by it. */
export class FileFormat {
  readonly #context: Context;
  readonly #errors: FindingList;
  readonly #method: DatasetMethod | undefined;
  readonly #allowed: ReadonlySet<DatasetFormat>;
  readonly #itemFields: readonly string[];
  /** Examples that are prompts of reinforcement, or chats that lack their answer. */
  readonly #undecided: Undecided[] = [];
  #undecidedCount = 0;
  #format: DatasetFormat | null = null;
  #firstLine = 0;
  #isMixed = false;

  constructor(rules: FormatRules, context: Context, errors: FindingList) {
    this.#context = context;
    this.#errors = errors;
    this.#method = rules.method;
    const formats = rules.method === undefined ? datasetFormats : methodFormats[rules.method];
    const taken = rules.formats;
    this.#allowed = new Set(taken ? formats.filter((name) => taken.includes(name)) : formats);
    this.#itemFields = rules.itemFields ?? [];
  }

  /** Checks the example `number`, 1-based, on `line`. */
  check(example: Fields, line: number, number: number): void {
    const shape = readShape(example, this.#method);
    if (shape === undefined) {
      this.#reportUnknown(example);
      return;
    }
    const format = shape === "messages" ? this.#judgeMessages(example) : shape;
    if (format === undefined) this.#checkUndecided(example, line, number);
    else if (!this.#allowed.has(format)) {
      const sentence = `is in ${formatNames[format]}, not in ${this.#nameWanted(format)}`;
      this.#context.report.error("unsupported_format", sentence);
    } else {
      this.#settle(format, line);
      formatChecks[format](example, this.#context, this.#itemFields);
    }
  }

  /** The format of the file, as told by its first example; null where none could be understood. */
  finish(warnings: FindingList): DatasetFormat | null {
    if (this.#format === null && this.#undecidedCount > 0) {
      this.#format = "reinforcement";
      const message =
        "No example has an answer at its end, nor fields for a grader: the file is taken for prompts of reinforcement fine-tuning";
      warnings.add({ line: null, path: "", code: "missing_item_fields", message });
    }
    return this.#format;
  }

  /** Whether messages are a chat or a prompt; undefined where this example does not tell. */
  #judgeMessages(example: Fields): DatasetFormat | undefined {
    const takesPrompts = this.#allowed.has("reinforcement");
    if (!takesPrompts || !this.#allowed.has("chat")) {
      return takesPrompts ? "reinforcement" : "chat";
    }
    if (this.#format === "chat" || this.#format === "reinforcement") return this.#format;
    const { messages } = example;
    const role = Array.isArray(messages) ? readRole(messages.at(-1)) : undefined;
    if (role === "assistant") return "chat";
    for (const key in example) if (!chatKeys.has(key)) return "reinforcement";
    return this.#format === null ? undefined : "chat";
  }

  #checkUndecided(example: Fields, line: number, number: number): void {
    const messages = checkConversation(example, this.#context);
    if (messages === undefined) return;
    const last = messages.length - 1;
    const role = readRole(messages[last]);
    if (role !== "user" && role !== "developer") {
      const code = "example_missing_assistant_message";
      this.#context.report.error(code, describeLastRole(role), "messages", last);
      return;
    }
    if (this.#firstLine === 0) this.#firstLine = line;
    this.#undecidedCount += 1;
    if (this.#undecided.length < maximumKept) this.#undecided.push({ line, number, last, role });
  }

  #settle(format: DatasetFormat, line: number): void {
    if (this.#firstLine === 0) this.#firstLine = line;
    if (this.#format === null) {
      this.#format = this.#undecidedCount > 0 && format !== "chat" ? "reinforcement" : format;
      if (format === "chat") this.#reportUndecided();
    }
    if (format === this.#format || this.#isMixed) return;
    this.#isMixed = true;
    const first = `the first example (line ${this.#firstLine}) is in ${formatNames[this.#format]}`;
    this.#context.report.error("mixed_formats", `is in ${formatNames[format]}, but ${first}`);
  }

  /** The file has chats: those before without an answer lack it. */
  #reportUndecided(): void {
    for (const { line, number, last, role } of this.#undecided) {
      const path = `messages[${last}]`;
      const message = formatError(number, path, describeLastRole(role));
      this.#errors.add({ line, path, code: "example_missing_assistant_message", message });
    }
    this.#errors.addCount(this.#undecidedCount - this.#undecided.length);
  }

  #reportUnknown(example: Fields): void {
    const { report } = this.#context;
    const wanted = this.#method ?? "supervised";
    const name = { supervised: "chat", dpo: "preference", reinforcement: "reinforcement" }[wanted];
    if (example.prompt !== undefined && example.completion !== undefined) {
      const sentence = `is in the prompt-completion format, but ${name}-formatted data is required. See ${guide} for details.`;
      report.error("invalid_file_format", sentence);
      return;
    }
    const key = this.#nameMissingKey();
    const code = key === "messages" ? "missing_messages_list" : "example_missing_key";
    report.error(code, `is missing key "${key}".`);
  }

  #nameMissingKey(): string {
    const isAllowed = (name: DatasetFormat) => this.#allowed.has(name);
    const expected = this.#format ?? datasetFormats.find(isAllowed) ?? "chat";
    if (expected.startsWith("gemini")) return "contents";
    return expected === "preference" ? "input" : "messages";
  }

  /** The formats taken that are like `found`, or all of them. */
  #nameWanted(found: DatasetFormat): string {
    const isGemini = found.startsWith("gemini");
    const all = [...this.#allowed];
    const alike = all.filter((name) => name.startsWith("gemini") === isGemini);
    const names = (alike.length > 0 ? alike : all).map((name) => formatNames[name]);
    return names.length === 0 ? "one that is taken here" : names.join(" or ");
  }
}

/** Tells a line by its keys; messages may be a chat or a prompt. */
function readShape(
  example: Fields,
  method: DatasetMethod | undefined,
): DatasetFormat | "messages" | undefined {
  const hasPreference = preferenceMarks.some((key) => example[key] !== undefined);
  if (method === "dpo" && hasPreference) return "preference";
  if (example.messages !== undefined) return "messages";
  if (hasPreference) return "preference";
  if (example.contents === undefined) return undefined;
  if (example.completions !== undefined) return "gemini_preference";
  return example.references === undefined ? "gemini_chat" : "gemini_reinforcement";
}

const itemTemplate = /\{\{\s*item\.([A-Za-z0-9_-]+)/g;

/** The names of the item's fields that a grader's templates such as `{{item.answer}}` read. */
export function readItemFields(grader: unknown): readonly string[] {
  const names = new Set<string>();
  // A list of what is left, as a request may nest deeper than functions can.
  const values = [grader];
  while (values.length > 0) {
    const value = values.pop();
    if (typeof value === "string") {
      for (const [, name = ""] of value.matchAll(itemTemplate)) names.add(name);
    } else if (typeof value === "object" && value !== null) {
      for (const item of Object.values(value)) values.push(item);
    }
  }
  return [...names].toSorted();
}
