import { describeValue, isPresent } from "../values.ts";
import type { Findings } from "./findings.ts";

/** Reports the fields of an object that are not in `known` and not null. */
export function reportOtherFields(
  fields: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
  place: string,
  findings: Findings,
): void {
  for (const field in fields) {
    if (known.has(field) || !isPresent(fields[field])) continue;
    const where = place === "" ? "" : `${place}: `;
    const sentence = `${where}the field ${describeValue(field)} has no place in Gemini's format`;
    findings.report("unsupported_field", sentence, "it is left out");
  }
}
