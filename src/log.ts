/** How much is written: each level includes the ones after it. */
export const logLevels = ["debug", "info", "warn", "error"] as const;

/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Values beside a message; secrets in them are masked. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes lines to the console; the only one in the project that does. */
export interface Log {
  readonly write: (level: LogLevel, message: string, fields?: LogFields) => void;
  /** Replaces keys, tokens, PEM blocks and the configured secrets by `[secret]`. */
  readonly mask: (text: string) => string;
}

/** What `createLog` needs; `secrets` are the configured keys, whatever they look like. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Text for a person at a terminal, else JSON, one object a line. */
  readonly format: "text" | "json";
  readonly secrets: readonly string[];
  /** Where lines go; standard error unless told otherwise. */
  readonly sink?: (line: string) => void;
}

const secretShapes: readonly RegExp[] = [
  /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g,
  /\b(?:sk|rk|pk)-[A-Za-z0-9_-]{8,}/g,
  /\bya29\.[A-Za-z0-9_-]+/g,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g,
  /(?<=\bBearer )[A-Za-z0-9._~+/=-]{6,}/gi,
];

/** Makes a log that writes lines of at least `options.level`. */
export function createLog(options: LogOptions): Log {
  const least = logLevels.indexOf(options.level);
  const sink = options.sink ?? ((line: string) => console.error(line));
  // The longest first, so that a secret that contains another is masked whole.
  const secrets = options.secrets
    .filter((secret) => secret.length >= 4)
    .sort((a, b) => b.length - a.length);

  function mask(text: string): string {
    let masked = text;
    for (const secret of secrets) masked = masked.replaceAll(secret, "[secret]");
    for (const shape of secretShapes) masked = masked.replace(shape, "[secret]");
    return masked;
  }

  function write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < least) return;
    const time = new Date().toISOString();
    sink(
      mask(
        options.format === "json"
          ? JSON.stringify({ time, level, message, ...fields })
          : formatText(time, level, message, fields),
      ),
    );
  }

  return { write, mask };
}

function formatText(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  return `${time.slice(11, 19)} ${level.toUpperCase().padEnd(5)} ${message}${shown}`;
}

/** Writes what a command was asked for to standard output, without time or level. */
export function print(text: string): void {
  console.log(text);
}

/** Writes why a command failed to standard error, without time or level. */
export function printError(text: string): void {
  console.error(text);
}
