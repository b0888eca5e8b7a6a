import { join } from "node:path";
import local from "../../../providers/local/index.ts";
import { findProcesses, isRunning } from "../../../providers/local/process-identity.ts";
import type { Candidate } from "../../../src/conformance/candidate.ts";
import { chatSample } from "./sample.ts";

// It trains when it is told to, and not after its job is gone.
const trainer = `
import { existsSync } from "node:fs";
const [wanted] = process.argv.slice(2);
const description = process.env.TUNEGATE_JOB;
const job = JSON.parse(await Bun.file(description).text());
const say = (line) => console.log(JSON.stringify(line));
while (!existsSync(wanted)) {
  if (!existsSync(description)) process.exit(1);
  await Bun.sleep(10);
}
for (const step of [1, 2]) {
  say({ type: "metrics", step, total_steps: 2, train_loss: 1 / step, train_mean_token_accuracy: 0.5 });
  say({ type: "checkpoint", step, path: job.output_directory, metrics: { train_loss: 1 / step } });
}
say({ type: "result", trained_tokens: 1234, model: job.output_directory });
`;

/** The provider `local`, with a trainer that waits to be told. */
export const localCandidate: Candidate = {
  provider: local,
  methods: [
    ...([
      "previewJob",
      "getJob",
      "pauseJob",
      "resumeJob",
      "listJobEvents",
      "listJobCheckpoints",
    ] as const),
    ...(["getFile", "listFiles", "readFile", "deleteFile", "listModels", "getModel"] as const),
  ],
  remote: false,
  async start(directory) {
    const script = join(directory, "trainer.ts");
    const wanted = join(directory, "train-now");
    await Bun.write(script, trainer);
    return {
      options: { trainer: [process.execPath, script, wanted] },
      sample: chatSample,
      model: "tiny-lm",
      mistyped: "",
      listSecrets: () => [],
      runJob: () => undefined,
      finishJob: () => void Bun.write(wanted, ""),
      async stop() {
        // A trainer goes on when its backend is closed.
        const running = [...findProcesses("TUNEGATE_JOB")].flatMap(([path, identity]) =>
          path.startsWith(`${directory}/`) && isRunning(identity) ? [identity] : [],
        );
        for (const { pid } of running) process.kill(-pid, "SIGKILL");
        while (running.some(isRunning)) await Bun.sleep(5);
      },
    };
  },
};
