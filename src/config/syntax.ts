import type { Document, ErrorCode, LineCounter } from "yaml";
import { isCollection, isScalar, visit } from "yaml";

/**
 * Said in place of the parser's own message, which may quote the file and with it a secret. Codes
 * that are not here have messages without any part of the file.
 */
const messages: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: "has a bad anchor or alias; quote a value that starts with & or *",
  BAD_COLLECTION_TYPE: "has a tag of another type; remove the tag",
  BAD_DIRECTIVE: "has a bad directive; remove the line that starts with %",
  BAD_DQ_ESCAPE: "has an unknown escape; write \\\\ for a backslash, or use single quotes",
  BAD_PROP_ORDER: "has an anchor or tag in the wrong place; remove it",
  BAD_SCALAR_START: "has a value that starts with @ or `; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: 'has two keys or a list on one line; put a value with ": " in quotes',
  MULTIPLE_DOCS: "is the start of a second document; keep one, without ---",
  NON_STRING_KEY: "has a key that is no text; write a plain word",
  RESOURCE_EXHAUSTION: "is nested too deeply; make it flatter",
  TAB_AS_INDENT: "is indented with a tab; use spaces",
  TAG_RESOLVE_FAILED: "has a tag that is not known; remove the tag",
  UNEXPECTED_TOKEN: "is out of place; check indentation, quotes and brackets before it",
};

/** A mistake of the text itself, at an offset in UTF-16 units. */
interface SyntaxMistake {
  readonly offset: number;
  readonly message: string;
}

/** The first mistake of each line that is not valid YAML: the ones after it follow from it. */
export function findSyntaxMistakes(
  document: Document.Parsed,
  lines: LineCounter,
): readonly SyntaxMistake[] {
  const problems = [...document.errors, ...document.warnings];
  if (problems.length === 0) return [];
  // Too deep for the parser is too deep for a walk, and every level has its own error.
  const exhausted = problems.find(({ code }) => code === "RESOURCE_EXHAUSTION");
  const openings =
    exhausted === undefined ? findOpenings(document) : new Map<number, SyntaxMistake>();
  const found = new Map<number, SyntaxMistake>();
  for (const { code, message, pos } of exhausted === undefined ? problems : [exhausted]) {
    // The parser notes an open quote or bracket where the file ends, which helps nobody.
    const unclosed = /closing|end with a/.test(message) ? openings.get(pos[0]) : undefined;
    const text = messages[code] ?? `${message}; check the lines before`;
    const mistake = unclosed ?? { offset: pos[0], message: `not valid YAML: ${text}` };
    const { line } = lines.linePos(mistake.offset);
    if (!found.has(line)) found.set(line, mistake);
  }
  return [...found.values()];
}

/** Every opening quote and bracket, as the mistake it is if it lacks the other, by its end. */
function findOpenings(document: Document.Parsed): ReadonlyMap<number, SyntaxMistake> {
  const openings = new Map<number, SyntaxMistake>();
  visit(document, {
    Node(_key, node) {
      const quoted = isScalar(node) && (node.type?.startsWith("QUOTE") ?? false);
      if (!node.range || !(quoted || (isCollection(node) && node.flow))) return;
      const message = `not valid YAML: lacks the closing ${quoted ? "quote" : "bracket"}`;
      openings.set(node.range[1], { offset: node.range[0], message });
    },
  });
  return openings;
}
