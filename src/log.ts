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

const maxTextLength = 8000;

/** What every one of `secretShapes` begins with or looks back at. */
const secretSign = /-----BEGIN |[rsp]k-|ya29\.|eyJ|Bearer /i;
const secretShapes: readonly RegExp[] = [
  /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g,
  /\b(?:sk|rk|pk)-[A-Za-z0-9_-]{8,}/g,
  /\bya29\.[A-Za-z0-9_-]+/g,
  /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{1,8192}\.[A-Za-z0-9_-]{0,1024}/g,
  /(?<=\bBearer )[A-Za-z0-9._~+/=-]{6,}/gi,
];

/** Makes a log that writes lines of at least `options.level`. */
export function createLog(options: LogOptions): Log {
  const least = logLevels.indexOf(options.level);
  const sink = options.sink ?? createConsoleSink();
  // The longest first, so that a secret that contains another is masked whole.
  const secrets = options.secrets
    .filter((secret) => secret.length >= 4)
    .sort((a, b) => b.length - a.length);

  function mask(text: string): string {
    // Bounded, for the patterns below take time; nobody reads further than that.
    let masked = text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text;
    for (const secret of secrets) masked = masked.replaceAll(secret, "[secret]");
    if (!secretSign.test(masked)) return masked;
    for (const shape of secretShapes) masked = masked.replace(shape, "[secret]");
    return masked;
  }

  function write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < least) return;
    const time = new Date().toISOString();
    const format = options.format === "json" ? formatJson : formatText;
    sink(format(time, level, mask(message), fields, maskValue));
  }

  /** Before it is encoded, where a secret could look otherwise. */
  function maskValue(value: unknown): unknown {
    if (typeof value === "string") return mask(value);
    return typeof value === "object" && value !== null ? mask(JSON.stringify(value)) : value;
  }

  return { write, mask };
}

/** Writes the lines of one turn of the event loop together, as one call a line costs a lot. */
function createConsoleSink(): (line: string) => void {
  let waiting: string[] = [];
  function flush(): void {
    if (waiting.length === 0) return;
    const lines = waiting;
    waiting = [];
    console.error(lines.join("\n"));
  }
  process.on("exit", flush);
  return (line) => {
    waiting.push(line);
    if (waiting.length === 1) setImmediate(flush);
  };
}

type Format = (
  time: string,
  level: LogLevel,
  message: string,
  fields: LogFields,
  mask: (value: unknown) => unknown,
) => string;

const formatJson: Format = (time, level, message, fields, mask) => {
  // Written by hand, for every request has a line.
  let line = `{"time":"${time}","level":"${level}","message":${JSON.stringify(message)}`;
  for (const name in fields) {
    const text: string | undefined = JSON.stringify(mask(fields[name]));
    if (text !== undefined) line += `,${JSON.stringify(name)}:${text}`;
  }
  return `${line}}`;
};

const formatText: Format = (time, level, message, fields, mask) => {
  const shown = Object.entries(fields)
    .map(([name, value]) => [name, mask(value)] as const)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  const line = `${time.slice(11, 19)} ${level.toUpperCase().padEnd(5)} ${message}${shown}`;
  // A line stays one line, and a terminal is not told what to do.
  return line.replace(/\p{Cc}/gu, escapeControl);
};

function escapeControl(character: string): string {
  return JSON.stringify(character).slice(1, -1);
}

/** Writes what a command was asked for to standard output, without time or level. */
export function print(text: string): void {
  console.log(text);
}

/** Writes why a command failed to standard error, without time or level. */
export function printError(text: string): void {
  console.error(text);
}

/** Shows on a terminal how far a command is, in place of what it showed before; "" takes it away. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\x1b[K`);
}

/** Writes bytes to standard output as they are. */
export async function writeOutput(bytes: Uint8Array): Promise<void> {
  await Bun.write(Bun.stdout, bytes);
}
