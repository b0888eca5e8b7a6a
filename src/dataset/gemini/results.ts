import { describeValue } from "../values.ts";
import type { FunctionCall } from "./calls.ts";
import type { Findings } from "./findings.ts";
import type { Part } from "./turns.ts";

type Message = Readonly<Record<string, unknown>>;

const none: readonly Part[] = [];

/** The results of the functions that the last turn of the assistant called. */
export class Results {
  readonly #findings: Findings;
  #calls: readonly FunctionCall[] = [];
  readonly #responses = new Map<FunctionCall, unknown>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Notes the calls of a turn, whose results are to follow. */
  expect(calls: readonly FunctionCall[]): void {
    this.#calls = calls;
  }

  /** Adds the result of a `tool` or `function` message at `place`, as Gemini has it. */
  add(message: Message, place: string, response: unknown): void {
    const call = this.#findCall(message, place);
    if (call !== undefined) this.#responses.set(call, response);
  }

  /** Gemini's parts with the results in the order of the calls; none where none were called. */
  finish(): readonly Part[] {
    if (this.#calls.length === 0) return none;
    const parts: Part[] = [];
    for (const call of this.#calls) {
      const response = this.#responses.get(call);
      if (response === undefined) {
        const sentence = `${call.place} has no result in the messages right after it`;
        this.#findings.leaveOut("missing_tool_result", sentence);
      } else {
        parts.push({ functionResponse: { name: call.name, response } });
      }
    }
    this.#calls = [];
    this.#responses.clear();
    return parts;
  }

  #findCall(message: Message, place: string): FunctionCall | undefined {
    const [field, id] =
      message.role === "tool" ? ["tool_call_id", message.tool_call_id] : ["name", message.name];
    if (typeof id !== "string") {
      this.#findings.refuse(`${place}.${field} must be a string, not ${describeValue(id)}`);
      return undefined;
    }
    const call = this.#calls.find(
      (candidate) =>
        !this.#responses.has(candidate) &&
        (field === "name"
          ? candidate.id === undefined && candidate.name === id
          : candidate.id === id),
    );
    if (call === undefined) {
      const sentence = `${place}.${field} is ${describeValue(id)}, which no call right before it has left open`;
      this.#findings.leaveOut("orphan_tool_result", sentence);
    } else if (message.name !== undefined && message.name !== null && message.name !== call.name) {
      const sentence = `${place}.name is ${describeValue(message.name)}, and the function called is ${describeValue(call.name)}`;
      this.#findings.report("unsupported_name", sentence, "the name is left out");
    }
    return call;
  }
}
