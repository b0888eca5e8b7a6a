import { operations } from "../capabilities.ts";
import type { CheckResult, PluginReport } from "./conformance.ts";
import type { MethodName } from "./methods.ts";

/** A call of the OpenAI SDKs, and the methods of which it needs any. */
type SdkCall = readonly [call: string, ...anyOf: MethodName[]];

const sdkCalls: readonly SdkCall[] = [
  ["files.create", "uploadFile"],
  ["files.retrieve", "getFile"],
  ["files.list", "listFiles"],
  ["files.content", "readFile"],
  ["files.delete", "deleteFile"],
  // Without methods of its own for it, the gateway puts the parts together.
  ["uploads.create, parts.create, complete", "createUpload", "uploadFile"],
  ["fine_tuning.jobs.create", "createJob"],
  ["fine_tuning.jobs.retrieve", "getJob", "listJobs"],
  ["fine_tuning.jobs.list", "listJobs"],
  ["fine_tuning.jobs.cancel", "cancelJob"],
  ["fine_tuning.jobs.pause", "pauseJob"],
  ["fine_tuning.jobs.resume", "resumeJob"],
  ["fine_tuning.jobs.list_events", "listJobEvents"],
  ["fine_tuning.jobs.checkpoints.list", "listJobCheckpoints"],
  ["fine_tuning.checkpoints.permissions.create", "createCheckpointPermissions"],
  ["fine_tuning.checkpoints.permissions.list", "listCheckpointPermissions"],
  ["fine_tuning.checkpoints.permissions.delete", "deleteCheckpointPermission"],
  ["fine_tuning.alpha.graders.run", "runGrader"],
  ["fine_tuning.alpha.graders.validate", "validateGrader"],
  ["models.list", "listModels"],
  ["models.retrieve", "getModel", "listModels"],
];

/** What `tunegate plugin test` prints: SDK calls, capabilities, and what is wrong. */
export function renderReport(name: string, { methods, results }: PluginReport): string {
  const failed = results.filter(({ failure }) => failure !== undefined);
  const faulty = new Set(failed.flatMap(namesOf));
  const width = Math.max(...sdkCalls.map(([call]) => call.length));
  const calls = sdkCalls.map(([call, ...anyOf]) => {
    const method = anyOf.find((one) => methods.includes(one));
    const state = method === undefined ? "–" : faulty.has(method) ? "has mistakes" : "works";
    return `  ${call.padEnd(width)}  ${state}`;
  });
  const able = operations.map(([label, ...needed]) => {
    const all = needed.every((method) => methods.some((one) => one === method));
    return `  ${label.padEnd(width)}  ${all ? "yes" : "–"}`;
  });
  const lines = [
    `Provider "${name}"`,
    ...["", "Calls of the OpenAI SDKs", ...calls],
    ...["", "Capabilities", ...able],
    ...["", "Methods", `  ${methods.join(", ")}`, ""],
    ...failed.flatMap(renderFailure),
    `${results.length - failed.length} checks passed, ${failed.length} failed`,
  ];
  return lines.join("\n");
}

function renderFailure({ name, failure = "", rule }: CheckResult): readonly string[] {
  return [
    `failed: ${name}`,
    ...failure
      .trim()
      .split("\n")
      .map((line) => `  ${line}`.trimEnd()),
    `  The contract says: ${rule}`,
    "",
  ];
}

/** The methods that a failed check is about, by its name and by what it says. */
function namesOf({ name, failure = "" }: CheckResult): readonly string[] {
  return Array.from(`${name} ${failure}`.matchAll(/\b(\w+)\(\)/g), ([, method = ""]) => method);
}
