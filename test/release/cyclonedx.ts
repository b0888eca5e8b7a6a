import * as v from "valibot";

// The parts of CycloneDX 1.6 that a release's bill of materials uses, as the published schema
// (https://cyclonedx.org/schema/bom-1.6.schema.json) has them: strict, because that one is.

const text = v.pipe(v.string(), v.minLength(1));

const license = v.union([
  v.strictObject({ license: v.strictObject({ id: text }) }),
  v.strictObject({ license: v.strictObject({ name: text }) }),
  v.strictObject({ expression: text }),
]);

const hash = v.strictObject({
  alg: v.picklist(["SHA-256", "SHA-512"]),
  content: v.pipe(v.string(), v.regex(/^(?:[a-f0-9]{64}|[a-f0-9]{128})$/)),
});

const part = {
  type: v.picklist(["application", "framework", "library", "platform"]),
  name: text,
  licenses: v.array(license),
};

const component = v.strictObject({
  ...part,
  "bom-ref": text,
  version: text,
  description: v.optional(v.string()),
  hashes: v.optional(v.array(hash)),
  purl: v.optional(v.pipe(v.string(), v.regex(/^pkg:npm\/[^@\s]+@[^@\s]+$/))),
  properties: v.optional(v.array(v.strictObject({ name: v.string(), value: v.string() }))),
  components: v.optional(v.array(v.strictObject(part))),
});

/** Reads a bill of materials; throws where it breaks the schema. */
export const Bom = v.strictObject({
  $schema: v.literal("http://cyclonedx.org/schema/bom-1.6.schema.json"),
  bomFormat: v.literal("CycloneDX"),
  specVersion: v.literal("1.6"),
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  metadata: v.strictObject({ component }),
  components: v.array(component),
  dependencies: v.array(v.strictObject({ ref: text, dependsOn: v.array(text) })),
});
