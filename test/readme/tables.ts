import { tmpdir } from "node:os";
import * as v from "valibot";
import { providers } from "../../providers/index.ts";
import { operations, renderTable } from "../../src/capabilities.ts";
import { generalSettings } from "../../src/config/general-settings.ts";
import type { Backend, Runtime } from "../../src/provider.ts";

// The README's tables, made from the code: a test holds the README to them.

const azure = { api_key: "example", api_base: "https://example.openai.azure.com" };

/** Options that make a backend of each provider, contacting nothing. */
const examples: readonly (readonly [label: string, provider: string, options: object])[] = [
  ["`openai`", "openai", { api_key: "sk-example" }],
  ["`azure`, v1", "azure", azure],
  ["`azure`, dated", "azure", { ...azure, api_version: "2025-04-01-preview" }],
  ["`vertex_ai`", "vertex_ai", { vertex_project: "example", gcs_bucket_name: "example" }],
  ["`together`", "together", { api_key: "example" }],
  ["`fireworks`", "fireworks", { api_key: "example", account_id: "example" }],
  ["`local`", "local", {}],
];

/** What each built-in provider can do, read from what its backends have. */
export function renderCapabilities(): string {
  const shown = new Set(examples.map(([, provider]) => provider));
  const missing = Object.keys(providers).find((name) => !shown.has(name));
  if (missing !== undefined) throw new Error(`There is no example of "${missing}"`);
  const backends = examples.map(createExample);
  return renderTable(
    ["operation", ...examples.map(([label]) => label)],
    operations.map(([label, ...methods]) => [
      label,
      ...backends.map((backend) =>
        methods.every((method) => backend[method] !== undefined) ? "yes" : "–",
      ),
    ]),
  );
}

function createExample([, name, options]: (typeof examples)[number]): Backend {
  const provider = providers[name];
  if (provider === undefined) throw new Error(`There is no provider "${name}"`);
  const runtime: Runtime = {
    name,
    directory: `${tmpdir()}/tunegate-never-made`,
    serves: { files: false, jobs: false },
    command: [],
    secrets: [],
    log: () => undefined,
  };
  return provider.create(v.parse(provider.options, options), runtime);
}

/** The options of one provider, by the descriptions of its schema. */
export function renderOptions(name: string): string {
  return renderEntries(providers[name]?.options.entries ?? {});
}

/** What `general_settings` may hold. */
export function renderGeneralSettings(): string {
  return renderEntries(generalSettings.entries);
}

function renderEntries(entries: v.ObjectEntries): string {
  const rows = Object.entries(entries).map(([key, schema]) => [`\`${key}\``, describe(schema)]);
  return renderTable(["key", "what it is"], rows);
}

function describe(schema: v.ObjectEntries[string]): string {
  const layers = [...unwrap(schema)];
  const text = layers.map((layer) => v.getDescription(layer)).find((one) => one !== undefined);
  const optional = layers.find((layer) => layer.type === "optional");
  const fallback = optional !== undefined && "default" in optional ? optional.default : undefined;
  const sentence = `${optional === undefined ? "Required. " : ""}${text?.replace(/\.$/, "")}.`;
  if (fallback === undefined || /\bDefault:/.test(sentence)) return sentence;
  return `${sentence} Default: \`${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}\`.`;
}

/** A schema and what it wraps, outermost first. */
function* unwrap(schema: v.ObjectEntries[string]): Generator<v.ObjectEntries[string]> {
  yield schema;
  if ("wrapped" in schema) yield* unwrap(schema.wrapped as v.ObjectEntries[string]);
}
