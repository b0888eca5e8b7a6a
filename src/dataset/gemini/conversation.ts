import { describeValue, isObject, isPresent } from "../values.ts";
import { readCalls } from "./calls.ts";
import { reportOtherFields } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { ContentReader } from "./parts.ts";
import type { Placeholders } from "./placeholders.ts";
import { Results } from "./results.ts";
import { type Content, type Part, Turns } from "./turns.ts";

type Message = Readonly<Record<string, unknown>>;

/** One turn of the assistant. */
export interface Answer {
  readonly parts: readonly Part[];
  readonly hasCalls: boolean;
}

interface ConversationFields {
  readonly systemInstruction:
    | { readonly role: "system"; readonly parts: readonly Part[] }
    | undefined;
  readonly contents: readonly Content[];
  readonly generationConfig: { readonly mediaResolution: string } | undefined;
}

const maximumMessages = 10_000;
const plainFields: ReadonlySet<string> = new Set(["role", "content", "name"]);
const messageFields: ReadonlyMap<unknown, ReadonlySet<string>> = new Map([
  ["system", plainFields],
  ["developer", plainFields],
  ["user", plainFields],
  [
    "assistant",
    new Set([...plainFields, "weight", "refusal", "audio", "tool_calls", "function_call"]),
  ],
  ["tool", new Set([...plainFields, "tool_call_id"])],
  ["function", plainFields],
]);

/** Converts the messages of one example, in their order, to what Gemini's format has for them. */
export class Conversation {
  readonly #placeholders: Placeholders;
  readonly #findings: Findings;
  readonly #isLearnt: boolean;
  readonly #turns = new Turns();
  readonly #content: ContentReader;
  #results: Results | undefined;
  readonly #instructions: Part[] = [];
  #lastRole: unknown;
  #hasTools = false;
  #hasUntrained = false;
  #hasTrained = false;

  /** `isLearnt` says whether the assistant's turns are learnt, or are the prompt only. */
  constructor(placeholders: Placeholders, findings: Findings, isLearnt: boolean) {
    this.#placeholders = placeholders;
    this.#findings = findings;
    this.#isLearnt = isLearnt;
    this.#content = new ContentReader(placeholders, findings);
  }

  /** Adds all messages of a conversation, which is at `path`. */
  addMessages(messages: unknown, path: string): void {
    if (!Array.isArray(messages) || messages.length === 0 || messages.length > maximumMessages) {
      const found = Array.isArray(messages) ? `${messages.length}` : describeValue(messages);
      this.#findings.refuse(
        `${path} must be an array of 1 to ${maximumMessages} messages, not ${found}`,
      );
      return;
    }
    for (let index = 0; index < messages.length; index += 1) {
      const message: unknown = messages[index];
      const place = `${path}[${index}]`;
      if (isObject(message)) this.#addMessage(message, place);
      else {
        this.#findings.refuse(`${place} must be a message object, not ${describeValue(message)}`);
      }
    }
  }

  /** Ends an example of which the assistant's turns are learnt; false where that is none. */
  finishSupervised(): boolean {
    const findings = this.#findings;
    if (this.#lastRole !== "assistant") {
      findings.refuse("the last message must be from the assistant");
      return false;
    }
    if (this.#hasUntrained && !this.#hasTrained) {
      findings.leaveOut("unsupported_weight", "no message from the assistant has weight 1");
    }
    if (this.#hasUntrained) this.#turns.dropUntrained();
    return true;
  }

  /** Ends the prompt of a preference pair; true where it holds calls of functions. */
  finishPrompt(): boolean {
    this.#finishResults();
    if (this.#turns.last === "model") {
      const sentence = "input.messages: the last message is not from the user";
      this.#findings.leaveOut("unsupported_turns", sentence);
    }
    if (this.#turns.last === undefined) {
      this.#findings.refuse("input.messages must hold a message from the user");
    }
    return this.#hasTools;
  }

  /** Gemini's fields of the example; those that are undefined are not there. */
  toFields(): ConversationFields {
    const parts = this.#instructions;
    const mediaResolution = this.#content.readResolution();
    return {
      systemInstruction: parts.length === 0 ? undefined : { role: "system", parts },
      contents: this.#turns.contents,
      generationConfig: mediaResolution === undefined ? undefined : { mediaResolution },
    };
  }

  /** The parts of a message from the assistant, at `place`. */
  readAnswer(message: Message, place: string): Answer {
    this.#reportFields(message, place);
    const findings = this.#findings;
    if (isPresent(message.audio)) {
      findings.leaveOut("unsupported_audio", `${place}.audio: Gemini does not learn to speak`);
    }
    const parts = this.#content.readAnswer(message, place);
    const calls = readCalls(message, place, this.#placeholders, findings);
    if (calls.length > 0) {
      this.#results ??= new Results(findings);
      this.#results.expect(calls);
    }
    if (parts.length + calls.length === 0) {
      findings.leaveOut("unsupported_empty_message", `${place} holds no text and no call`);
    }
    return {
      parts: calls.length === 0 ? parts : [...parts, ...calls.map((call) => call.part)],
      hasCalls: calls.length > 0,
    };
  }

  #addMessage(message: Message, place: string): void {
    const { role } = message;
    this.#lastRole = role;
    switch (role) {
      case "system":
      case "developer":
        this.#reportFields(message, place);
        this.#addInstructions(message, place);
        return;
      case "user":
        this.#reportFields(message, place);
        this.#addQuestion(message, place);
        return;
      case "assistant":
        this.#addAnswer(message, place);
        return;
      case "tool":
      case "function":
        this.#reportFields(message, place);
        this.#hasTools = true;
        this.#results ??= new Results(this.#findings);
        this.#results.add(message, place, this.#content.readResult(message, place));
        return;
      default: {
        const known = [...messageFields.keys()].join(", ");
        this.#findings.refuse(`${place}.role must be one of ${known}, not ${describeValue(role)}`);
      }
    }
  }

  #addInstructions(message: Message, place: string): void {
    const parts = this.#content.readTexts(message, place);
    if (this.#turns.last === undefined) {
      for (const part of parts) this.#instructions.push(part);
      return;
    }
    if (parts.length === 0) return;
    const sentence = `${place} is a ${message.role} message after the start of the conversation`;
    this.#findings.report("unsupported_system_message", sentence, "it becomes text of the user");
    this.#addUserParts(parts);
  }

  #addQuestion(message: Message, place: string): void {
    const parts = this.#content.readQuestion(message, place);
    if (parts.length === 0) {
      this.#findings.leaveOut("unsupported_empty_message", `${place} holds no text`);
    }
    this.#addUserParts(parts);
  }

  #addUserParts(parts: readonly Part[]): void {
    this.#finishResults();
    this.#turns.add("user", parts);
  }

  #addAnswer(message: Message, place: string): void {
    this.#finishResults();
    const { parts, hasCalls } = this.readAnswer(message, place);
    if (hasCalls) this.#hasTools = true;
    this.#turns.add("model", parts);
    this.#addWeight(message, place);
  }

  #addWeight({ weight }: Message, place: string): void {
    if (!isPresent(weight) || weight === 1) {
      this.#hasTrained = true;
      this.#turns.markTrained();
    } else if (weight === 0) {
      // Of a prompt nothing is learnt in either format.
      if (!this.#isLearnt) return;
      this.#hasUntrained = true;
      this.#findings.report(
        "unsupported_weight",
        `${place}.weight is 0, and Gemini learns all of the model's turns`,
        "it is learnt where a turn with weight 1 comes after it, else left out",
      );
    } else {
      this.#findings.refuse(`${place}.weight must be 0 or 1, not ${describeValue(weight)}`);
    }
  }

  #finishResults(): void {
    if (this.#results !== undefined) this.#turns.add("results", this.#results.finish());
  }

  #reportFields(message: Message, place: string): void {
    const known = messageFields.get(message.role);
    if (known === undefined) return;
    const { name, role } = message;
    // A result names its function, as Gemini's does.
    if (isPresent(name) && role !== "tool" && role !== "function") {
      const sentence = `${place}.name: Gemini's turns have no names`;
      this.#findings.report("unsupported_name", sentence, "it is left out");
    }
    reportOtherFields(message, known, place, this.#findings);
  }
}
