import * as v from "valibot";
import type { ErrorFields } from "../../src/upstream/failures.ts";

const Text = v.nullish(v.string());

const MicrosoftError = v.looseObject({
  error: v.looseObject({
    code: v.string(),
    message: v.string(),
    // OpenAI's errors have one; Microsoft's have none.
    type: v.optional(v.null()),
    target: Text,
    param: Text,
    innererror: v.nullish(v.looseObject({ code: Text })),
    details: v.nullish(v.array(v.looseObject({ message: Text, target: Text }))),
  }),
});

/** The body that ASP.NET makes of a request that it cannot bind (RFC 7807). */
const ValidationProblem = v.looseObject({
  title: v.string(),
  errors: v.record(v.string(), v.array(v.string())),
});

const maxDetails = 5;

/**
 * Reads `{"error": {"code", "message", "target", "details", "innererror"}}`, the shape of
 * Microsoft's REST guidelines, and the problem details of ASP.NET.
 */
export function readMicrosoftError(body: unknown): ErrorFields | undefined {
  const result = v.safeParse(MicrosoftError, body);
  if (!result.success) return readProblem(body);
  const { code, message, target, param, innererror, details } = result.output.error;
  const inner = innererror?.code || code;
  const known = details?.slice(0, maxDetails) ?? [];
  const texts = known.flatMap(({ message: text }) => (text && !message.includes(text) ? text : []));
  return {
    message: [message, ...texts].join(" "),
    param: target ?? param ?? known.find((detail) => detail.target)?.target ?? undefined,
    // API Management repeats the status there.
    code: /^\d+$/.test(inner) ? undefined : inner,
  };
}

function readProblem(body: unknown): ErrorFields | undefined {
  const result = v.safeParse(ValidationProblem, body);
  if (!result.success) return undefined;
  const { title, errors } = result.output;
  const [first] = Object.entries(errors);
  return { message: [title, ...(first?.[1] ?? [])].join(" "), param: first?.[0] };
}
