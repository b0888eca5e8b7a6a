import type { Document, LineCounter, Node, ParsedNode, YAMLMap } from "yaml";
import { isAlias, isMap, isScalar, isSeq, parseDocument, visit } from "yaml";
import type { Environment } from "./environment.ts";
import { resolveVariable } from "./environment.ts";
import type { Mistakes, Path } from "./mistakes.ts";
import { findSyntaxMistakes } from "./syntax.ts";

/** A key of the file with its value, not read yet. */
export interface Block {
  readonly key: string;
  readonly keyOffset: number;
  readonly node: Node | null;
}

/** Deeper or more than any real file; aliases of aliases would grow without end. */
const limits = { depth: 32, values: 10_000 };

/** Keys whose values are taken for secrets, wherever they stand. */
const secretKey = /key|secret|token|password|credential|authorization/i;

/**
 * The values of one YAML text, with the place of each: aliases and merge keys are followed, whole
 * strings `os.environ/NAME` replaced by the variable. What cannot be read becomes a mistake.
 */
export class Settings {
  /** The texts found under keys that look like secrets. */
  readonly secrets = new Set<string>();
  readonly mistakes: Mistakes;
  readonly #top: Node | null;
  readonly #targets: ReadonlyMap<Node, Node>;
  readonly #environment: Environment;
  readonly #places = new Map<string, { readonly key: number; readonly value: number }>();
  readonly #environmentPaths = new Set<string>();
  readonly #unreadable = new Set<string>();
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(document: Document.Parsed, environment: Environment, mistakes: Mistakes) {
    this.#top = document.contents;
    this.#targets = findAliasTargets(document);
    this.#environment = environment;
    this.mistakes = mistakes;
  }

  /** The keys at the top, in the order of the file. */
  listBlocks(): readonly Block[] {
    const top = this.#top;
    if (isMap(top)) return this.#listPairs(top, []);
    const message =
      isScalar(top) && top.value !== null
        ? "must hold keys at the top, such as finetune_settings"
        : isSeq(top)
          ? "must hold keys at the top, is a list; write it under finetune_settings"
          : undefined;
    if (message !== undefined) this.mistakes.add([], offsetOf(top), message);
    return [];
  }

  /** The plain value of a node; mappings are made without a prototype. */
  read(node: Node | null, path: Path): unknown {
    const target = this.#followAlias(node, path);
    return this.#enter(target, path, () => {
      if (isMap(target)) return this.#readMapping(target, path);
      if (isSeq(target)) return this.#readList(target.items, path);
      return isScalar(target) ? this.#readScalar(target.value, path) : null;
    });
  }

  /** Notes a mistake about the value at `path`, or about its key, or else about what holds it. */
  addMistake(path: Path, message: string, part: "key" | "value" = "value"): void {
    let place = this.#places.get(JSON.stringify(path));
    let offset = part === "key" ? place?.key : place?.value;
    for (let length = path.length - 1; place === undefined && length > 0; length--) {
      place = this.#places.get(JSON.stringify(path.slice(0, length)));
      offset = place?.value;
    }
    this.mistakes.add(path, offset ?? 0, message);
  }

  /** Says that the value at `path` has its mistake already, so that no other is noted for it. */
  markUnreadable(path: Path): void {
    this.#unreadable.add(JSON.stringify(path));
  }

  /** Whether the value at `path`, or what holds it, has its mistake already. */
  isUnreadable(path: Path): boolean {
    return path.some((_, index) => this.#unreadable.has(JSON.stringify(path.slice(0, index + 1))));
  }

  isFromEnvironment(path: Path): boolean {
    return this.#environmentPaths.has(JSON.stringify(path));
  }

  #readMapping(map: YAMLMap, path: Path): Record<string, unknown> {
    const values: Record<string, unknown> = Object.create(null);
    for (const { key, node } of this.#listPairs(map, path)) {
      values[key] = this.read(node, [...path, key]);
    }
    return values;
  }

  #readList(items: readonly unknown[], path: Path): readonly unknown[] {
    return items.map((item, index) => {
      const node = toNode(item);
      const offset = offsetOf(node);
      this.#places.set(JSON.stringify([...path, index]), { key: offset, value: offset });
      return this.read(node, [...path, index]);
    });
  }

  #readScalar(value: unknown, path: Path): unknown {
    if (typeof value !== "string") return value;
    const resolved = resolveVariable(value, this.#environment);
    if (resolved.mistake !== undefined) {
      this.addMistake(path, resolved.mistake);
      this.markUnreadable(path);
      return value;
    }
    if (resolved.fromEnvironment) this.#environmentPaths.add(JSON.stringify(path));
    if (path.some((step) => typeof step === "string" && secretKey.test(step))) {
      // Providers cut off the space around a key.
      this.secrets.add(resolved.value.trim());
    }
    return resolved.value;
  }

  /** The pairs of a mapping, its own before those of its merge keys (`<<`). */
  #listPairs(map: YAMLMap, path: Path): readonly Block[] {
    const pairs = new Map<string, Block>();
    const merged: Block[] = [];
    for (const { key, value } of map.items) {
      if (!isScalar(key)) continue;
      const name = String(key.value);
      const pair = { key: name, keyOffset: offsetOf(key), node: toNode(value) };
      if (name === "<<" && key.type === "PLAIN") {
        merged.push(...this.#listMerged(pair.node, [...path, name]));
      } else if (pairs.has(name)) {
        this.mistakes.add([...path, name], pair.keyOffset, "is there twice; remove one of them");
      } else pairs.set(name, pair);
    }
    for (const pair of merged) if (!pairs.has(pair.key)) pairs.set(pair.key, pair);
    for (const pair of pairs.values()) {
      const value = pair.node === null ? pair.keyOffset : offsetOf(pair.node);
      this.#places.set(JSON.stringify([...path, pair.key]), { key: pair.keyOffset, value });
    }
    return [...pairs.values()];
  }

  #listMerged(node: Node | null, path: Path): readonly Block[] {
    const source = this.#followAlias(node, path);
    return this.#enter(source, path, () => {
      if (isMap(source)) return this.#listPairs(source, path.slice(0, -1));
      if (isSeq(source))
        return source.items.flatMap((item) => this.#listMerged(toNode(item), path));
      const message = "must be the alias of a mapping, or a list of such";
      if (!this.isUnreadable(path)) this.mistakes.add(path, offsetOf(node), message);
      return [];
    });
  }

  #followAlias(node: Node | null, path: Path): Node | null {
    if (!isAlias(node)) return node;
    const target = this.#targets.get(node);
    if (target !== undefined && !this.#open.has(target)) return target;
    const message =
      target === undefined
        ? "is an alias, but no such anchor stands before it; quote a value that starts with *"
        : "is an alias of what it stands in; write the value out";
    this.mistakes.add(path, offsetOf(node), message);
    this.markUnreadable(path);
    return null;
  }

  /** Runs `work` with `node` open; a file that goes on without end stops at the limits. */
  #enter<Result>(node: Node | null, path: Path, work: () => Result): Result {
    this.#values += 1;
    const tooDeep = this.#open.size >= limits.depth;
    if (tooDeep || this.#values > limits.values) {
      const limit = tooDeep ? `${limits.depth} levels` : `${limits.values} values`;
      this.mistakes.add(path, offsetOf(node), `holds more than ${limit}; make it smaller`);
      this.mistakes.throwIfAny();
    }
    if (node === null) return work();
    this.#open.add(node);
    try {
      return work();
    } finally {
      this.#open.delete(node);
    }
  }
}

/** Parses YAML; throws a StartError with all mistakes of its syntax. */
export function parseSettings(
  text: string,
  lines: LineCounter,
  environment: Environment,
  mistakes: Mistakes,
): Settings {
  const document = parseDocument<ParsedNode>(text, {
    lineCounter: lines,
    // The default excerpt of the source could show a secret.
    prettyErrors: false,
    // Anything below this level would hide a second document.
    logLevel: "error",
    schema: "core",
    resolveKnownTags: false,
    stringKeys: true,
    // Found while reading, where the path is known; blocks that are not read may do as they like.
    uniqueKeys: false,
  });
  for (const { offset, message } of findSyntaxMistakes(document, lines)) {
    mistakes.add([], offset, message);
  }
  mistakes.throwIfAny();
  return new Settings(document, environment, mistakes);
}

/** Each alias with the last anchor of its name before it; an alias that lacks one is left out. */
function findAliasTargets(document: Document.Parsed): ReadonlyMap<Node, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  visit(document, {
    Node(_key, node) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        return;
      }
      const target = anchors.get(node.source);
      if (target !== undefined) targets.set(node, target);
    },
  });
  return targets;
}

function toNode(value: unknown): Node | null {
  return isAlias(value) || isMap(value) || isSeq(value) || isScalar(value) ? value : null;
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}
