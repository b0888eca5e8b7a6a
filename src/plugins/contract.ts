// Which sentence of the contract, `src/provider.ts`, a check holds a backend to. A test compares the
// sentences with the contract.

/** The sentences of the contract that checks quote; the first whose pattern fits a check counts. */
export const rules: readonly (readonly [check: RegExp, sentence: string])[] = [
  [
    /^the backend has the methods/,
    "A method that the service lacks is left out: the gateway then answers 400 `unsupported_operation` in its place.",
  ],
  [
    /^every option is described/,
    "A strict object whose entries carry a `v.description`, which is their documentation.",
  ],
  [
    /^create\(\)/,
    "Makes a backend; contacts nothing, so that a backend that is down does not stop the start.",
  ],
  [
    /unknown id|404|does not have|takes a/,
    "An id that the service does not have is a 404 (`fileNotFound`, `jobNotFound` of `errors.ts`), or a 400 where it is not of the service's form.",
  ],
  [/401/, "A service's own 401 is about our key: make it a 502."],
  [/nobody can reach/, "only then may an SDK send a create again."],
  [/abort/, "once it is aborted, throw its `reason`."],
  [
    /^uploadFile\(\) lets|expire/,
    "`expires_after` and `extra` too are carried out or refused with a 400 naming the field.",
  ],
  [
    /^uploadFile|same file|tells the truth/,
    "`id` and `created_at` of an object are the same in every answer, ids differ between backends, and items of the same second keep their order.",
  ],
  [/^readFile/, "The bytes of a file, or of `range` where the service can."],
  [/^createJob|carries out/, "Refuses with a 400 naming the field whatever it cannot carry out."],
  [/^previewJob/, "The service's own request that `createJob` would send, without sending it;"],
  [/^cancelJob/, "Asks for the end of a job; the returned status is what is true afterwards."],
  [
    /^a job that|paused/,
    "One of `JobStatus`; a state that is newer than this file passes as the service spells it.",
  ],
  [/^listFiles/, "Files by `created_at` in `query.order`."],
  [/^listJobs/, "Jobs, newest first by `created_at`."],
  [/^listJobEvents/, "Events of one job, newest first."],
  [/^listJobCheckpoints/, "Checkpoints of one job, newest first."],
  [/^listModels/, "Models that can be tuned here."],
  [
    /^checkAccess/,
    "Tries whether the service can be reached and takes the credential; changes nothing.",
  ],
  [/^an upload in parts/, "What a backend must know of an upload in parts."],
];

/** What holds for whatever no other sentence is about. */
export const generalRule =
  "Every method does the whole call and throws `ApiError` for what the client should read; any other error is a bug and becomes a bare 500.";

/** The sentence that a check is about. */
export function findRule(check: string): string {
  return rules.find(([pattern]) => pattern.test(check))?.[1] ?? generalRule;
}
