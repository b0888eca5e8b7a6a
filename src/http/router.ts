/** A path's segments, percent-decoded; `:name` in a pattern takes any one segment. */
interface Node<Handler> {
  readonly children: Map<string, Node<Handler>>;
  readonly methods: Map<string, Handler>;
  any?: Node<Handler>;
}

/** What a path leads to; `methods` is empty where it leads nowhere. */
export interface Match<Handler> {
  readonly methods: ReadonlyMap<string, Handler>;
  /** The segments that stood for a `:name`, in order. */
  readonly ids: readonly string[];
}

/** A route: method, pattern such as `files/:id/content`, handler. */
export type Route<Handler> = readonly [method: string, pattern: string, handler: Handler];

/** Makes a function that finds the handlers of a path; a literal segment wins over an id. */
export function createRouter<Handler>(
  routes: readonly Route<Handler>[],
): (segments: readonly string[]) => Match<Handler> {
  const root = createNode<Handler>();
  const none: ReadonlyMap<string, Handler> = new Map();
  for (const [method, pattern, handler] of routes) {
    let node = root;
    for (const segment of pattern.split("/")) node = child(node, segment);
    node.methods.set(method, handler);
  }
  return (segments) => {
    const ids: string[] = [];
    let node: Node<Handler> | undefined = root;
    for (const segment of segments) {
      const literal: Node<Handler> | undefined = node.children.get(segment);
      if (literal === undefined) ids.push(segment);
      node = literal ?? (segment === "" ? undefined : node.any);
      if (node === undefined) return { methods: none, ids };
    }
    return { methods: node.methods, ids };
  };
}

function createNode<Handler>(): Node<Handler> {
  return { children: new Map(), methods: new Map() };
}

function child<Handler>(node: Node<Handler>, segment: string): Node<Handler> {
  if (segment.startsWith(":")) {
    node.any ??= createNode();
    return node.any;
  }
  const known = node.children.get(segment) ?? createNode<Handler>();
  node.children.set(segment, known);
  return known;
}
