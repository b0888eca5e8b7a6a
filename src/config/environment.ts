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

/** Replaces a whole string `os.environ/NAME` by the variable; an empty one counts as missing. */
export function resolveVariable(value: string, environment: Environment): Resolved {
  if (!value.startsWith(prefix)) return { value, fromEnvironment: false };
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
