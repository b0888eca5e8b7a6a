import { parseTrainerLine } from "./protocol.ts";
import { type OutputPosition, readOutput } from "./trainer-output.ts";

/** The columns of OpenAI's result files. */
const header = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n";

/** `results.csv` of the metrics in a trainer's whole output, in pieces. */
export async function* createResults(outputPath: string): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  yield encoder.encode(header);
  let position: OutputPosition = { offset: 0, skipping: false };
  for (;;) {
    const output = await readOutput(outputPath, position, true);
    if (output === undefined) return;
    position = output.position;
    yield encoder.encode(output.lines.map(({ text }) => formatRow(text)).join(""));
  }
}

function formatRow(text: string): string {
  const parsed = parseTrainerLine(text);
  if (parsed === undefined || "problem" in parsed || parsed.line.type !== "metrics") return "";
  const { step, train_loss, train_mean_token_accuracy, ...rest } = parsed.line;
  const { valid_loss, valid_mean_token_accuracy } = rest;
  const figures = [train_loss, train_mean_token_accuracy, valid_loss, valid_mean_token_accuracy];
  return `${[step, ...figures.map(formatFigure)].join(",")}\n`;
}

// With five decimals at most, as in OpenAI's result files.
function formatFigure(figure: number | undefined): string {
  return figure === undefined ? "" : String(Number(figure.toFixed(5)));
}
