import { findNearName } from "./names.ts";

/** The process's environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A string of the file after its variable was looked up, if it names one. */
export interface Resolved {
  readonly value: string;
  readonly fromEnvironment: boolean;
  /** What is wrong with the variable; then `value` is the string as written. */
  readonly mistake?: string;
}

const prefix = "os.environ/";

/**
 * Replaces a whole string `os.environ/NAME` by the variable; an empty one counts as missing. Inside
 * a longer string it is a mistake: sent out as it is, it would be no key to anything.
 */
export function resolveVariable(value: string, environment: Environment): Resolved {
  if (!value.includes(prefix)) return { value, fromEnvironment: false };
  if (!value.startsWith(prefix)) {
    const mistake = `holds ${prefix} inside a longer text, which is not replaced; make the whole text ${prefix} and the name of a variable`;
    return { value, fromEnvironment: false, mistake };
  }
  const name = value.slice(prefix.length);
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) {
    const mistake = `must be ${prefix} and the name of a variable, such as ${prefix}API_KEY`;
    return { value, fromEnvironment: false, mistake };
  }
  const found = Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (found !== undefined && found !== "") return { value: found, fromEnvironment: true };
  const near = findNearName(
    name,
    Object.keys(environment).filter((other) => environment[other]),
  );
  const suggestion =
    near === undefined ? "set it, or write the value here" : `did you mean "${near}"?`;
  const mistake = `environment variable "${name}" is ${found === "" ? "empty" : "not set"}; ${suggestion}`;
  return { value, fromEnvironment: false, mistake };
}
